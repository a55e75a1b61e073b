package consumer

import (
	"sync"
	"time"
)

// place is one delivered offset that is not done.
type place struct {
	offset int64
	size   int
	due    time.Time // since when it could run

	before, behind *place
	done           bool
}

// tracker is a partition's watermark: everything before the oldest delivery that is not done may be committed, and where
// there is none, everything before the place where reading goes on. Offsets have gaps (transactions, compaction). It
// never goes back.
type tracker struct {
	window *window // that its partition shares

	mu             sync.Mutex
	oldest, newest *place // the list of those that are not done
	position       int64  // where reading goes on; -1: not known yet
	count, bytes   int    // of the list
	oldestAt       time.Time
	freed          chan struct{} // closed and made anew when something is done
}

// newTracker begins at an offset, or at -1 where it is not known yet.
func newTracker(start int64, window *window) *tracker {
	return &tracker{window: window, position: max(start, -1), freed: make(chan struct{})}
}

// room is nil when one more delivery fits, else a channel that closes when one of this partition's is done. It does not
// close when others give back to the window: who waits looks again now and then.
func (t *tracker) room() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.oldest == nil || t.window.fits(t.count, t.bytes) && t.position-t.oldest.offset < windowOffset {
		return nil
	}
	return t.freed
}

// add takes an offset, higher than all before.
func (t *tracker) add(offset int64, size int, due time.Time) *place {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &place{offset: offset, size: size, due: due, before: t.newest}
	if t.newest != nil {
		t.newest.behind = p
	} else {
		t.oldest, t.oldestAt = p, time.Now()
	}
	t.newest = p
	t.hold(1, size)
	t.position = max(t.position, offset+1)
	return p
}

// done marks a delivery as done, once.
func (t *tracker) done(p *place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.done {
		return
	}
	p.done = true
	t.hold(-1, -p.size)
	if p.before != nil {
		p.before.behind = p.behind
	} else {
		t.oldest, t.oldestAt = p.behind, time.Now()
	}
	if p.behind != nil {
		p.behind.before = p.before
	} else {
		t.newest = p.before
	}
	p.before, p.behind = nil, nil
	close(t.freed)
	t.freed = make(chan struct{})
}

func (t *tracker) hold(count, bytes int) {
	t.count += count
	t.bytes += bytes
	t.window.add(count, bytes)
}

// read says that everything before next was added, or was nothing to deliver.
func (t *tracker) read(next int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.position = max(t.position, next)
}

// restart moves an idle tracker to another offset, back too: after a topic was truncated there is no other way. It
// answers false when deliveries are still under way.
func (t *tracker) restart(at int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.oldest != nil {
		return false
	}
	t.position = at
	return true
}

// changes is a channel that closes when something is done.
func (t *tracker) changes() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.freed
}

// status is how many deliveries are not done, and where reading goes on (-1: not known yet).
func (t *tracker) status() (open int, position int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count, t.position
}

// watermark is the offset to commit: everything before it is done. False where nothing is known yet.
func (t *tracker) watermark() (int64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.oldest != nil {
		return t.oldest.offset, true
	}
	return t.position, t.position >= 0
}

// waiting is the delivery that the watermark waits for, since when it does, and when it was due. False when it waits for
// none.
func (t *tracker) waiting() (offset int64, since, due time.Time, is bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.oldest == nil {
		return 0, time.Time{}, time.Time{}, false
	}
	return t.oldest.offset, t.oldestAt, t.oldest.due, true
}
