package statuslog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// bringBack brings merchants back, each under its lock: new ones at once, the others after the quiet time by one scan.
func (k *Keeper) bringBack(ctx context.Context, lost []string) {
	defer k.release(lost)
	jobs := map[string]*job{}
	defer func() {
		for _, j := range jobs {
			k.close(j)
		}
	}()
	var unfit error
	for _, merchant := range lost {
		j, err := k.begin(ctx, merchant)
		var away *refund.Unavailable
		switch {
		case err == nil && j != nil:
			jobs[merchant] = j
		case err == nil || errors.As(err, &away):
			k.Logger.Debug().Err(err).Str("merchant", merchant).Msg("not rebuilt here")
		default:
			if unfit == nil {
				k.Logger.Error().Err(err).Str("merchant", merchant).Msg("merchants cannot be rebuilt: somebody has to change that")
			}
			unfit = err
			k.tellFailed(merchant, err)
		}
	}
	if len(jobs) == 0 { // another process is at it
		if unfit != nil {
			_ = pause(ctx, unfitPause)
		}
		return
	}
	roll, err := k.roll(ctx)
	if err != nil {
		for _, j := range jobs {
			j.fail(err)
		}
		return
	}
	var quiet time.Time
	for _, j := range jobs {
		said, isKnown := roll.Merchants[j.merchant]
		if roll.Whole && !isKnown && j.loss.Kind == Everything {
			k.open(j, true)
			continue
		}
		j.epoch = max(j.epoch, said.Epoch)
		quiet = later(quiet, j.locked.Add(k.Quiet))
	}
	maps.DeleteFunc(jobs, func(_ string, j *job) bool { return j.done })
	if len(jobs) == 0 {
		return
	}
	k.Logger.Warn().Strs("merchants", slices.Sorted(maps.Keys(jobs))).Dur("quiet", time.Until(quiet)).
		Msg("Redis lost what it knew of these merchants, or may have: nothing is claimed for them until they are rebuilt from the status topic")
	if pause(ctx, time.Until(quiet)) != nil {
		return
	}
	r := &rebuild{Keeper: k, jobs: jobs, window: newWindow()}
	r.run(ctx)
	if !roll.Whole && r.served != nil {
		k.makeWhole(ctx, r.served, jobs)
	}
	for _, j := range jobs {
		if j.why() == nil {
			k.open(j, false)
		}
	}
}

// unfitPause is between two tries at a server that somebody has to change: each writes a line.
const unfitPause = 5 * time.Second

// roll reads the control topic to its end. One that is not whole beside a status topic without any event is made so: nobody
// was ever called for.
func (k *Keeper) roll(ctx context.Context) (Roll, error) {
	roll, err := k.Control.Read(ctx)
	if err != nil {
		return Roll{}, fmt.Errorf("reading the control topic: %w", err)
	}
	if roll.Whole {
		return roll, nil
	}
	spans, err := k.Log.Reader.Spans(ctx, k.Log.Topic)
	if err != nil {
		return Roll{}, fmt.Errorf("looking at the status topic: %w", err)
	}
	if !slices.ContainsFunc(spans, func(s kafka.Span) bool { return s.End > 0 }) {
		roll.Whole = k.makeWhole(ctx, nil, nil)
	}
	return roll, nil
}

// makeWhole puts on the roll who has events on the status topic, and who may have some soon: whoever is open, or was open
// when a scan began. Of those whose lock is held here the scan has told all: one without events is new, as is one that is
// closed while the topic has no event at all. Where this fails, the next loss costs a scan.
func (k *Keeper) makeWhole(ctx context.Context, served map[string]bool, jobs map[string]*job) bool {
	everybody := maps.Clone(served)
	if everybody == nil {
		everybody = map[string]bool{}
	}
	for _, merchant := range k.merchants() {
		_, err := k.Index.Epoch(ctx, merchant)
		if LossOf(err).Kind == Nothing || jobs != nil && jobs[merchant] == nil {
			everybody[merchant] = true
		}
	}
	if err := k.Control.MakeWhole(ctx, slices.Sorted(maps.Keys(everybody))); err != nil {
		k.Logger.Warn().Err(err).Msg("the control topic does not say that it knows every merchant: the next one that is not on it costs a scan")
		return false
	}
	return true
}

// open raises the epoch, which opens the merchant: last of all. The control topic has it before the store does, so that
// it is never given twice.
func (k *Keeper) open(j *job, isNew bool) {
	epoch := j.epoch + 1
	if isNew {
		epoch = 0
	}
	err := j.persist(func() error {
		return k.Control.Write(j.ctx, Known{Merchant: j.merchant, Since: j.locked.UTC(), Epoch: epoch})
	}, func(error) bool { return true })
	if err == nil {
		_, err = k.Index.Finish(j.ctx, j.merchant, j.token, epoch)
	}
	if err != nil {
		j.fail(fmt.Errorf("opening it: %w", err))
		return
	}
	j.done = true
	done := Rebuilt{Merchant: j.merchant, New: isNew, Epoch: epoch, Restored: j.restored.Load(), Open: j.left.Load(), Took: time.Since(j.locked)}
	k.Logger.Info().Str("merchant", done.Merchant).Bool("new", isNew).Int64("epoch", epoch).Int64("restored", done.Restored).
		Int64("open", done.Open).Dur("took", done.Took).Msg("the merchant is open")
	if k.Metrics.Rebuilt != nil {
		k.Metrics.Rebuilt(done)
	}
	k.end(j)
}

// close ends a job that was not opened.
func (k *Keeper) close(j *job) {
	if j.done {
		return
	}
	why := j.why()
	k.end(j)
	if why == nil || errors.Is(why, context.Canceled) {
		return // this process stops; another goes on
	}
	k.Logger.Error().Err(why).Str("merchant", j.merchant).Msg("the rebuild failed and begins again; the merchant stays closed")
	k.tellFailed(j.merchant, why)
}

func (k *Keeper) tellFailed(merchant string, err error) {
	if k.Metrics.Failed != nil {
		k.Metrics.Failed(merchant, err)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
