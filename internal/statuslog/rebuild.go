package statuslog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/internal/kafka"
)

// rebuild is one scan of the status topic for several merchants, whose quiet time has passed.
type rebuild struct {
	*Keeper
	jobs   map[string]*job
	window *window
	read   atomic.Int64
	total  int64
}

// errNobody ends a scan for which nobody waits any more.
var errNobody = errors.New("every merchant of this scan has failed")

// appliers is how many refunds are brought back at the same time.
const appliers = 32

// run reads and applies. Afterwards each job either has failed or holds all that the topic knows of its merchant.
func (r *rebuild) run(ctx context.Context) {
	from, err := r.from(ctx)
	if err == nil {
		ended := r.progress(ctx)
		err = r.scan(ctx, from)
		ended()
	}
	var gone *kafka.OutOfRangeError
	if errors.As(err, &gone) && gone.Offset < gone.First { // older than what the topic still has: it has all that counts
		err = r.scan(ctx, kafka.FromFirst())
	}
	if err != nil && !errors.Is(err, errNobody) {
		for _, j := range r.jobs {
			j.fail(fmt.Errorf("reading the status topic: %w", err))
		}
	}
}

func (r *rebuild) scan(ctx context.Context, from kafka.From) error {
	_, err := r.Log.Reader.Scan(ctx, r.Log.Topic, from, r.each)
	if err == nil {
		err = r.flush()
	}
	return err
}

// each takes one record of the topic. A deletion (null value) tells nothing: what was before it counts.
func (r *rebuild) each(record kafka.Record) error {
	r.read.Add(1)
	merchant, ok := merchantOf(record.Key)
	if !ok || record.Value == nil {
		return nil
	}
	j := r.jobs[merchant]
	if j == nil || j.why() != nil {
		return nil
	}
	rec, err := restore(record)
	if err != nil {
		j.fail(err)
		return nil
	}
	j.epoch = max(j.epoch, rec.Epoch)
	if r.window.add(rec) {
		return r.flush()
	}
	return nil
}

// flush applies the window: each refund is in it once, so its steps are in order however many run at once.
func (r *rebuild) flush() error {
	var all errgroup.Group
	all.SetLimit(appliers)
	for _, rec := range r.window.take() {
		if j := r.jobs[rec.Request.Merchant]; j.why() == nil {
			all.Go(func() error { r.apply(j, rec); return nil })
		}
	}
	_ = all.Wait() // what fails fails its job
	for _, j := range r.jobs {
		if j.why() == nil {
			return nil
		}
	}
	return errNobody
}

// from is the first offset that anybody needs: the beginning, but where every merchant lost a suffix at most.
func (r *rebuild) from(ctx context.Context) (kafka.From, error) {
	spans, err := r.Log.Reader.Spans(ctx, r.Log.Topic)
	if err != nil {
		return kafka.From{}, err
	}
	var notes []map[int]int64
	whole := false
	for _, j := range r.jobs {
		offsets, ok := map[int]int64(nil), false
		if j.loss.Kind == Suffix {
			note, err := r.Index.Noted(ctx, j.merchant)
			if err != nil {
				return kafka.From{}, err
			}
			offsets, ok = readOffsets(note)
		}
		notes, whole = append(notes, offsets), whole || !ok
	}
	from, begin := kafka.FromFirst(), map[int]int64{}
	if !whole {
		begin = earliest(notes)
		from = kafka.FromOffsets(begin)
	}
	r.total = 0
	for _, s := range spans {
		r.total += max(0, s.End-max(s.First, begin[s.Partition]))
	}
	return from, nil
}

// progress tells every few seconds how far the scan has come, until the answered function is called.
func (r *rebuild) progress(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for pause(ctx, progressEvery) == nil {
			r.tell()
		}
	}()
	return func() { cancel(); <-ended; r.tell() }
}

const progressEvery = 3 * time.Second

func (r *rebuild) tell() {
	var restored, open int64
	for _, j := range r.jobs {
		restored, open = restored+j.restored.Load(), open+j.open.Load()
	}
	read := r.read.Load()
	r.Logger.Info().Int64("read", read).Int64("of", r.total).Int64("restored", restored).Int64("open", open).Int("merchants", len(r.jobs)).
		Msg("rebuilding from the status topic")
	if r.Metrics.Progress != nil {
		r.Metrics.Progress(read, r.total)
	}
}
