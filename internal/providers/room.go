package providers

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/refundworker/refundworker/internal/refund"
)

// room is a merchant's slots, given out in the order of asking. Nobody stands in
// line whose turn is not to be expected within maxWait, so a merchant whose gateway
// is slow never keeps more of the worker than its slots and a short line.
type room struct {
	slots   *semaphore.Weighted
	size    int
	maxWait time.Duration

	mu      sync.Mutex
	taken   int
	waiting int
	holds   time.Duration // how long a slot is held, on average
}

func (r *room) open(size int, maxWait time.Duration) {
	r.size, r.maxWait = max(size, 1), maxWait
	r.slots = semaphore.NewWeighted(int64(r.size))
}

// enter takes a slot, at the latest after maxWait.
func (r *room) enter(ctx context.Context) *refund.Wait {
	if r.slots.TryAcquire(1) {
		r.change(1, 0)
		return nil
	}
	if wait := r.queue(); wait != nil {
		return wait
	}
	bounded, cancel := context.WithTimeout(ctx, r.maxWait)
	defer cancel()
	if r.slots.Acquire(bounded, 1) != nil {
		r.change(0, -1)
		return r.full()
	}
	r.change(1, -1)
	return nil
}

// queue stands in line where that is worth it.
func (r *room) queue() *refund.Wait {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.maxWait <= 0 || r.waiting >= max(r.size, 16) || r.expected() > r.maxWait {
		return r.busy()
	}
	r.waiting++
	return nil
}

// expected is when one more in line would have its turn.
func (r *room) expected() time.Duration {
	return r.holds * time.Duration(r.waiting+1) / time.Duration(r.size)
}

func (r *room) full() *refund.Wait {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.busy()
}

func (r *room) busy() *refund.Wait {
	return &refund.Wait{
		After: min(max(r.expected(), time.Second), longest), Code: refund.CodeRateLimited,
		Message: "all of the merchant's calls are under way",
	}
}

// leave gives a slot back that was held for so long; 0 says nothing about it.
func (r *room) leave(held time.Duration) {
	r.mu.Lock()
	r.taken--
	switch {
	case held <= 0:
	case r.holds == 0:
		r.holds = held
	default:
		r.holds += (held - r.holds) / 8
	}
	r.mu.Unlock()
	r.slots.Release(1)
}

func (r *room) change(taken, waiting int) {
	r.mu.Lock()
	r.taken += taken
	r.waiting += waiting
	r.mu.Unlock()
}

func (r *room) count() (taken, waiting int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken, r.waiting
}
