package ctl

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/chart"
	"github.com/refundworker/refundworker/cmd/refundctl/internal/load"
	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// loadTest is one load test: a sender that keeps to the schedule whatever becomes of
// what it sent, and a reader of what becomes of it.
type loadTest struct {
	loading
	run      *run
	system   *system
	schedule load.Schedule
	names    load.Names
	source   load.Source

	began    time.Time
	recorder *load.Recorder
	checker  *audit.Checker
	broken   int
}

// tick is how often what is due is sent.
const tick = 5 * time.Millisecond

// sendersMost bounds the writes that Kafka has not acknowledged.
const sendersMost = 256

func (t *loadTest) all(ctx context.Context) (*load.Result, int, error) {
	follower, err := t.system.follow(ctx)
	if err != nil {
		return nil, 0, err
	}
	task, err := t.run.begin(ctx, t.system, entry{What: "replay", Merchant: t.merchant,
		Detail: fmt.Sprintf("run %s: %s", t.names.Run, t.schedule)})
	if err != nil {
		return nil, 0, err
	}
	t.checker = audit.New(audit.Options{Whole: true, Books: len(t.ledgers) > 0})
	t.began = time.Now()
	t.recorder = load.NewRecorder(t.schedule, t.began)
	err = t.sendAndWatch(ctx, follower)
	result := t.recorder.Result(t.names.Run, time.Now())
	if err == nil {
		err = t.judge(ctx, follower, result)
	}
	if written := task.end(ctx, err, "%d sent, %s", result.Sent, endedWords(result)); err == nil {
		err = written
	}
	return result, t.broken, err
}

// sendAndWatch returns once all have ended, or the drain is over.
func (t *loadTest) sendAndWatch(ctx context.Context, follower *follower) error {
	progress := t.run.progress()
	defer progress.Clear()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var all errgroup.Group
	all.Go(func() error {
		err := t.watch(watching, follower)
		if err != nil {
			stop()
		}
		return err
	})
	if t.run.ErrTerminal {
		all.Go(func() error { t.live(watching, progress); return nil })
	}
	err := t.send(watching)
	if err == nil {
		select {
		case <-watching.Done():
		case <-time.After(t.drain):
		}
	}
	stop()
	if ended := all.Wait(); err == nil && !errors.Is(ended, errEnough) {
		err = ended
	}
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		err = nil // everything has ended
	}
	return err
}

// live rewrites the line until ctx ends.
func (t *loadTest) live(ctx context.Context, progress *out.Progress) {
	every := time.NewTicker(500 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-every.C:
			l := t.recorder.Live(now)
			progress.Show("%s %s: sent %d (%.0f/s), ended %d (%.0f/s), under way %d, lag %s, p50 %s, p99 %s", t.names.Run, age(now.Sub(t.began)),
				l.Sent, l.SentRate, l.Ended, l.EndedRate, l.Sent-l.Ended, t.lag(ctx), took(l.P50), took(l.P99))
		}
	}
}

// took is a latency; none where nothing ended.
func took(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return chart.Millis(float64(d) / float64(time.Millisecond))
}

// lag is how many requests the workers' group has not committed.
func (t *loadTest) lag(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	rows, err := t.system.offsets(ctx, t.system.Topics.Requests)
	if err != nil {
		return "?"
	}
	var sum int64
	for _, o := range rows {
		sum += o.Lag
	}
	return fmt.Sprint(sum)
}

// send publishes each message at its time, or as soon after as that is possible.
func (t *loadTest) send(ctx context.Context) error {
	count, next := t.schedule.Count(), 0
	var writers errgroup.Group
	writers.SetLimit(sendersMost)
	defer func() { _ = writers.Wait() }() // what fails is counted
	timer := time.NewTicker(tick)
	defer timer.Stop()
	for next < count {
		first := next
		var records []kafka.Record
		for now := time.Since(t.began); next < count && t.schedule.At(next) <= now && len(records) < publishTogether; next++ {
			request := t.source.Fresh(t.names, next)
			t.asked(request)
			records = append(records, t.system.requestRecord(request))
		}
		if len(records) > 0 {
			t.recorder.Sent(first, len(records), time.Now())
			writers.Go(func() error {
				if err := t.system.Producer.Write(ctx, records...); err != nil {
					t.recorder.Failed(len(records))
				}
				return nil
			})
			if len(records) == publishTogether {
				continue // behind: no rest
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	return nil
}

func (t *loadTest) asked(request refund.Request) {
	asked := audit.Request{Request: request}
	if account, ok := t.system.Accounts[request.Merchant]; ok {
		asked.Order = account.Gateway.Order(request)
	}
	t.checker.Request(asked)
}

// watch reads what becomes of the run's refunds until all have ended, or ctx has.
func (t *loadTest) watch(ctx context.Context, f *follower) error {
	var all errgroup.Group
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	tell := func(err error) error {
		if err != nil {
			stop()
		}
		return err
	}
	all.Go(func() error {
		return tell(t.system.Log.Watch(ctx, f.statuses, func(e statuslog.Entry) error {
			i, ours := t.names.Index(e.Status.RefundNo)
			if e.Err != nil || !ours {
				return nil
			}
			if e.Status.Status == refund.StatusPending {
				t.recorder.Pending(i, time.Now())
			}
			if e.Status.Final && t.recorder.Ended(i, e.Status.Status, time.Now()) {
				return errEnough
			}
			return nil
		}))
	})
	all.Go(func() error {
		return tell(t.system.Kafka.Tail(ctx, t.system.Topics.DeadLetters, f.letters, func(r kafka.Record) error {
			l := letterOf(r)
			i, ours := t.names.Index(l.RefundNo)
			if !ours {
				return nil
			}
			if t.recorder.Ended(i, refund.StatusNone, time.Now()) {
				return errEnough
			}
			return nil
		}))
	})
	return all.Wait()
}

// judge has the audit's verdict on the run's refunds. All is read in the order that
// is fair to a system at work: what was taken first, the statuses last. Where some
// have not ended the books are not held for complete.
func (t *loadTest) judge(ctx context.Context, f *follower, result *load.Result) error {
	s := t.system
	taken := map[string]map[int]int64{}
	for _, topic := range append([]string{s.Topics.Requests}, s.delayTopics()...) {
		committed, err := s.Kafka.Committed(ctx, s.Config.Kafka.Group, topic)
		if err != nil {
			return err
		}
		taken[topic] = committed
	}
	books := &auditRead{run: t.run, system: s, checker: t.checker, auditing: auditing{ledgers: t.ledgers}, only: t.ours}
	if err := books.payments(ctx); err != nil {
		return err
	}
	if result.Open > 0 {
		t.checker.Incomplete()
	}
	if err := t.read(ctx, f, taken); err != nil {
		return err
	}
	report := t.checker.Report()
	result.Audit, result.AuditOK, result.Lost = report.String(), report.OK(), report.Count(audit.Lost)
	t.broken = report.Broken[1] + report.Broken[2] + report.Broken[3] + report.Broken[4]
	return nil
}

// read feeds dead letters since the run began, what waits, and statuses since then.
func (t *loadTest) read(ctx context.Context, f *follower, taken map[string]map[int]int64) error {
	s := t.system
	if _, err := s.Kafka.Scan(ctx, s.Topics.DeadLetters, f.letters, func(r kafka.Record) error {
		if l := letterOf(r); t.ours(l.RefundNo) {
			t.checker.DeadLetter(audit.DeadLetter{Reason: refund.Reason(l.Reason), Request: l.request})
		}
		return nil
	}); err != nil {
		return err
	}
	for topic, committed := range taken {
		if _, err := s.Kafka.Scan(ctx, topic, kafka.FromOffsets(committed), func(r kafka.Record) error {
			request, err := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers))
			if err == nil && t.ours(request.RefundNo) {
				t.checker.Queued(request.Key)
			}
			return nil
		}); err != nil {
			return fmt.Errorf("looking for what waits at %s: %w", topic, err)
		}
	}
	return s.Log.Scan(ctx, f.statuses, func(e statuslog.Entry) error {
		if e.Err != nil || !t.ours(e.Status.RefundNo) {
			return nil
		}
		rec, err := e.Restore()
		if err != nil {
			return err
		}
		t.checker.Status(audit.Status{Place: audit.Place{Topic: e.Topic, Partition: e.Partition, Offset: e.Offset}, Record: rec, Body: e.Value})
		return nil
	})
}

// ours: a number of this run.
func (t *loadTest) ours(refundNo string) bool {
	_, is := t.names.Index(refundNo)
	return is
}
