package consumer

import (
	"sync"
	"time"
)

// The window of a partition: how much of it may be under way. It bounds memory, and what a restart delivers again.
const (
	windowCount  = 2048    // deliveries that are not done
	windowLeast  = 256     // of one among many partitions
	windowAll    = 4 << 10 // of all partitions of the requests, and as many of the delay topics, where that leaves windowLeast
	windowBytes  = 1 << 10 // of keys, values and headers, times the count
	windowOffset = 1 << 16 // offsets between the watermark and the newest delivery: done ones behind one that waits
)

// windowOf is the window of one of so many partitions, of a consumer that may have so many deliveries in flight: all
// together hold that many twice, so that there is something to choose from.
func windowOf(partitions, inFlight int) int {
	all := max(windowAll, 2*inFlight)
	return min(max(all/max(partitions, 1), windowLeast), max(windowCount, inFlight))
}

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
	window int

	mu             sync.Mutex
	oldest, newest *place // the list of those that are not done
	position       int64  // where reading goes on; -1: not known yet
	count, bytes   int    // of the list
	oldestAt       time.Time
	freed          chan struct{} // closed and made anew when something is done
}

// newTracker begins at an offset, or at -1 where it is not known yet.
func newTracker(start int64, window int) *tracker {
	return &tracker{window: window, position: max(start, -1), freed: make(chan struct{})}
}

// room is nil when one more delivery fits, else a channel that closes when it may.
func (t *tracker) room() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.oldest == nil || t.count < t.window && t.bytes < t.window*windowBytes && t.position-t.oldest.offset < windowOffset {
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
	t.count++
	t.bytes += size
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
	t.count--
	t.bytes -= p.size
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
