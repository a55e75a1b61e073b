package statuslog

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/internal/refund"
)

const (
	// batchSize is how many refunds are brought back in one step: the store does nothing else for that long, some two
	// milliseconds.
	batchSize = 128
	// appliers is how many batches are decoded or under way at the same time.
	appliers = 8
	// owedMost bounds the memory of refunds that are open as far as has been read. They are brought back last, so that one
	// that ends further on never holds its order; where there are more, some are brought back before the topic has been
	// read to its end, and asked about needlessly.
	owedMost = 100_000
	// leavers is how many follow-ups are written at the same time.
	leavers = 64
)

// apply hands events to the appliers, once those before them have been applied: of each refund the earlier come first.
func (r *rebuild) apply(ready []event) error {
	if len(ready) == 0 {
		return nil
	}
	r.applying.Wait()
	if r.nobody() {
		return errNobody
	}
	r.applying.Go(func() {
		var all errgroup.Group
		all.SetLimit(appliers)
		parted := byMerchant(ready)
		for _, merchant := range slices.Sorted(maps.Keys(parted)) {
			for batch := range slices.Chunk(parted[merchant], batchSize) {
				all.Go(func() error { r.applyBatch(r.jobs[merchant], batch); return nil })
			}
		}
		_ = all.Wait() // what fails fails its job
		if r.owed() > owedMost {
			r.leaveFollowUps()
		}
	})
	return nil
}

func byMerchant(events []event) map[string][]event {
	parted := map[string][]event{}
	for _, e := range events {
		merchant, _ := merchantOf(e.Key)
		parted[string(merchant)] = append(parted[string(merchant)], e)
	}
	return parted
}

// applyBatch brings refunds of one merchant back. A store that is away for a moment is waited for, until the lock is lost.
func (r *rebuild) applyBatch(j *job, batch []event) {
	if j.why() != nil {
		return
	}
	recs, epoch := make([]refund.Record, len(batch)), int64(0)
	for i, e := range batch {
		rec, err := e.decode()
		if err != nil {
			j.fail(err)
			return
		}
		recs[i], epoch = rec, max(epoch, rec.Last.Epoch)
	}
	r.restore(j, j.keep(recs), epoch)
}

// restore brings refunds back in one step.
func (r *rebuild) restore(j *job, recs []refund.Record, epoch int64) {
	if len(recs) == 0 {
		j.note(nil, nil, epoch)
		return
	}
	var open []refund.Record
	err := j.persist(func() (err error) {
		open, err = r.Index.Restore(j.ctx, j.merchant, j.token, recs)
		return err
	}, func(err error) bool {
		var away *refund.Unavailable
		return errors.As(err, &away)
	})
	if err != nil {
		j.fail(fmt.Errorf("restoring %d refunds from %s on: %w", len(recs), recs[0].Key(), err))
		return
	}
	j.restored.Add(int64(len(recs)))
	j.note(recs, open, epoch)
}

// keep keeps those that are not final for the end, and answers those to be brought back now.
func (j *job) keep(recs []refund.Record) (now []refund.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, rec := range recs {
		no := rec.Request.RefundNo
		kept, there := j.kept[no]
		switch {
		case there && kept.Last.Sequence > rec.Last.Sequence: // an older one, that was left behind
		case !rec.Last.Status.Final() && (there || len(j.kept) < owedMost):
			j.kept[no] = rec
		default:
			delete(j.kept, no)
			now = append(now, rec)
		}
	}
	return now
}

// restoreKept brings back what is not final as far as the topic goes.
func (r *rebuild) restoreKept() {
	var all errgroup.Group
	all.SetLimit(appliers)
	for _, name := range slices.Sorted(maps.Keys(r.jobs)) {
		j := r.jobs[name]
		kept := slices.SortedFunc(maps.Values(j.kept), byNumber)
		clear(j.kept)
		for batch := range slices.Chunk(kept, batchSize) {
			all.Go(func() error {
				if j.why() == nil {
					r.restore(j, batch, 0)
				}
				return nil
			})
		}
	}
	_ = all.Wait() // what fails fails its job
}

func byNumber(a, b refund.Record) int { return cmp.Compare(a.Request.RefundNo, b.Request.RefundNo) }

// note remembers which of the refunds are owed a follow-up now, and which no longer.
func (j *job) note(recs, open []refund.Record, epoch int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.epoch = max(j.epoch, epoch)
	for _, rec := range recs {
		delete(j.owed, rec.Request.RefundNo)
	}
	for _, rec := range open {
		j.owed[rec.Request.RefundNo] = rec
	}
}

// owes is how many are not final as far as has been read.
func (j *job) owes() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.owed) + len(j.kept)
}

func (r *rebuild) owed() (n int) {
	for _, j := range r.jobs {
		j.mu.Lock()
		n += len(j.owed)
		j.mu.Unlock()
	}
	return n
}

// leaveFollowUps writes what is owed. A topic that is away for a moment is waited for, until the lock is lost.
func (r *rebuild) leaveFollowUps() {
	var all errgroup.Group
	all.SetLimit(leavers)
	for _, name := range slices.Sorted(maps.Keys(r.jobs)) {
		j := r.jobs[name]
		j.mu.Lock()
		owed := slices.SortedFunc(maps.Values(j.owed), byNumber)
		clear(j.owed)
		j.mu.Unlock()
		for _, rec := range owed {
			all.Go(func() error { r.leave(j, rec); return nil })
		}
	}
	_ = all.Wait() // what fails fails its job
}

func (r *rebuild) leave(j *job, rec refund.Record) {
	if j.why() != nil {
		return
	}
	after := r.After(rec.FollowUp + 1)
	err := j.persist(func() error { return r.FollowUps.FollowUp(j.ctx, rec, after) }, func(error) bool { return true })
	if err != nil {
		j.fail(fmt.Errorf("leaving the follow-up of %s: %w", rec.Key(), err))
		return
	}
	j.left.Add(1)
}

// nobody waits any more: every merchant of this scan has failed.
func (r *rebuild) nobody() bool {
	for _, j := range r.jobs {
		if j.why() == nil {
			return false
		}
	}
	return true
}
