package statuslog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// rebuild is one scan of the status topic for several merchants, whose quiet time has passed.
type rebuild struct {
	*Keeper
	jobs     map[string]*job
	window   *window
	applying sync.WaitGroup
	read     atomic.Int64
	total    int64
	// served is everybody who has an event on the topic; nil where it was not read from its beginning to its end.
	served map[string]bool
}

// errNobody ends a scan for which nobody waits any more.
var errNobody = errors.New("every merchant of this scan has failed")

// run reads and applies. Afterwards each job either has failed or holds all that the topic knows of its merchant, and
// whatever is not final has its follow-up.
func (r *rebuild) run(ctx context.Context) {
	from, err := r.from(ctx)
	if err == nil {
		ended := r.progress(ctx)
		err = r.scan(ctx, from)
		var gone *kafka.OutOfRangeError
		if errors.As(err, &gone) && gone.Offset < gone.First { // older than what the topic still has: it has all that counts
			err = r.scan(ctx, kafka.FromFirst())
		}
		r.applying.Wait()
		ended()
	}
	if err != nil {
		r.served = nil
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
		err = r.finish()
	}
	return err
}

// each takes one record of the topic. A deletion (null value) tells nothing: what was before it counts.
func (r *rebuild) each(record kafka.Record) error {
	r.read.Add(1)
	merchant, ok := merchantOf(record.Key)
	if !ok {
		return nil
	}
	if r.served != nil && !r.served[string(merchant)] {
		r.served[string(merchant)] = true
	}
	if record.Value == nil {
		return nil
	}
	j := r.jobs[string(merchant)]
	if j == nil || j.why() != nil {
		return nil
	}
	e, err := glance(record)
	if err != nil {
		j.fail(err)
		return nil
	}
	return r.apply(r.window.add(e))
}

// finish applies what the window still has, and leaves what is owed.
func (r *rebuild) finish() error {
	if err := r.apply(r.window.take()); err != nil {
		return err
	}
	r.applying.Wait()
	r.restoreKept()
	r.leaveFollowUps()
	return nil
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
	if whole {
		r.served = map[string]bool{}
	} else {
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
		restored, open = restored+j.restored.Load(), open+j.left.Load()+int64(j.owes())
	}
	read := r.read.Load()
	r.Logger.Info().Int64("read", read).Int64("of", r.total).Int64("restored", restored).Int64("open", open).Int("merchants", len(r.jobs)).
		Msg("rebuilding from the status topic")
	if r.Metrics.Progress != nil {
		r.Metrics.Progress(read, r.total)
	}
}
