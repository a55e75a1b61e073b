package statuslog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// job is one merchant's rebuild, from the lock to the epoch. Its ctx ends with the lock: nothing is done without it.
type job struct {
	merchant string
	token    string
	loss     Loss
	locked   time.Time
	ctx      context.Context
	cancel   context.CancelCauseFunc
	holder   sync.WaitGroup
	done     bool // opened

	restored, left atomic.Int64 // refunds, and follow-ups

	mu    sync.Mutex
	epoch int64                    // highest ever heard of
	kept  map[string]refund.Record // by number: not final as far as has been read, and not brought back yet
	owed  map[string]refund.Record // by number: not final, and its follow-up still to be written
}

// lockTime is how long a lock lives without its holder, and so how long a merchant stays closed for one that was killed: no
// longer than the quiet time that it waits anyway, but long enough for a store whose disk is busy with all that a rebuild
// writes. It is refreshed at a third of it. A holder that was paused for longer is refused at its next step.
func (k *Keeper) lockTime() time.Duration { return max(10*time.Second, k.Quiet) }

// errLockLost ends a job that could not hold its lock.
var errLockLost = errors.New("the lock of the rebuild was lost: it begins again")

// begin takes the lock and holds it until end. It answers nil where another process has it, or where there is nothing
// to do any more.
func (k *Keeper) begin(ctx context.Context, merchant string) (*job, error) {
	token, err := k.Index.Lock(ctx, merchant, k.lockTime())
	if err != nil {
		return nil, err
	}
	j := &job{merchant: merchant, token: token, locked: time.Now(), kept: map[string]refund.Record{}, owed: map[string]refund.Record{}}
	j.ctx, j.cancel = context.WithCancelCause(ctx)
	j.holder.Go(func() { k.hold(j) })
	// Only what is seen under the lock counts: another process may have ended a rebuild before it.
	_, err = k.Index.Epoch(j.ctx, merchant)
	if j.loss = LossOf(err); j.loss.Kind == Nothing {
		k.end(j)
		return nil, err
	}
	j.epoch = j.loss.Epoch
	return j, nil
}

// hold refreshes the lock, and ends the job once it may have run out.
func (k *Keeper) hold(j *job) {
	lockTime := k.lockTime()
	tick := time.NewTicker(lockTime / 3)
	defer tick.Stop()
	held := time.Now()
	for {
		select {
		case <-j.ctx.Done():
			return
		case <-tick.C:
		}
		if j.ctx.Err() != nil { // both, after a pause
			return
		}
		asked := time.Now()
		bounded, cancel := context.WithDeadline(j.ctx, held.Add(lockTime))
		err := k.Index.Refresh(bounded, j.merchant, j.token, lockTime)
		cancel()
		switch {
		case err == nil:
			held = asked
		case time.Since(held) >= lockTime*2/3:
			j.cancel(fmt.Errorf("%w: %w", errLockLost, err))
			return
		}
	}
}

// end gives the lock back, where it is still held.
func (k *Keeper) end(j *job) {
	j.cancel(nil)
	j.holder.Wait()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(j.ctx), lastWords)
	defer cancel()
	_ = k.Index.Unlock(bounded, j.merchant, j.token) // it runs out by itself
}

// lastWords bounds the unlocking of a process that stops.
const lastWords = 2 * time.Second

// why is the reason for which a job's ctx ended; nil: it has not.
func (j *job) why() error {
	if j.ctx.Err() == nil {
		return nil
	}
	return context.Cause(j.ctx)
}

// fail ends the job; the first reason stays.
func (j *job) fail(err error) { j.cancel(err) }

// persist tries a step until it succeeds, fails for good, or the job ends.
func (j *job) persist(step func() error, passing func(error) bool) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := step()
		if err == nil || !passing(err) {
			return err
		}
		if pause(j.ctx, wait) != nil {
			return err
		}
	}
}

// pause waits, or ends with ctx. Package refund has the same, and exports no clockwork.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
