package consumer

import (
	"sync"
	"time"
)

// The window of a partition: how much of it may be under way. It bounds memory, and what a restart delivers again.
const (
	windowCount  = 2048    // deliveries that are not done
	windowBytes  = 2 << 20 // of their keys, values and headers
	windowOffset = 1 << 15 // places between the watermark and the newest delivery: done ones behind one that waits
)

// place is one delivered offset in its partition's FIFO.
type place struct {
	offset int64
	size   int
	due    time.Time // since when it could run
	done   bool
}

// tracker is a partition's watermark: a FIFO of the delivered offsets, whose done prefix may be committed. Offsets have
// gaps (transactions, compaction); behind a FIFO that is empty the watermark is where reading goes on. It never goes back.
type tracker struct {
	mu       sync.Mutex
	fifo     []*place
	position int64 // where reading goes on; -1: not known yet
	count    int   // not done
	bytes    int
	headAt   time.Time     // since when the head of the FIFO is the head
	freed    chan struct{} // closed and made anew when something is done
}

// newTracker begins at an offset, or at -1 where it is not known yet.
func newTracker(start int64) *tracker {
	return &tracker{position: max(start, -1), freed: make(chan struct{})}
}

// room is nil when one more delivery fits, else a channel that closes when it may.
func (t *tracker) room() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count < windowCount && t.bytes < windowBytes && len(t.fifo) < windowOffset {
		return nil
	}
	return t.freed
}

// add takes an offset, higher than all before, into the FIFO.
func (t *tracker) add(offset int64, size int, due time.Time) *place {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &place{offset: offset, size: size, due: due}
	if len(t.fifo) == 0 {
		t.headAt = time.Now()
	}
	t.fifo = append(t.fifo, p)
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
	head := 0
	for head < len(t.fifo) && t.fifo[head].done {
		t.fifo[head] = nil
		head++
	}
	if head > 0 {
		t.fifo = t.fifo[head:]
		t.headAt = time.Now()
	}
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
	if len(t.fifo) > 0 {
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
	if len(t.fifo) > 0 {
		return t.fifo[0].offset, true
	}
	return t.position, t.position >= 0
}

// oldest is the delivery that the watermark waits for, and since when it does. False when it waits for none.
func (t *tracker) oldest() (place, time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.fifo) == 0 {
		return place{}, time.Time{}, false
	}
	return *t.fifo[0], t.headAt, true
}
