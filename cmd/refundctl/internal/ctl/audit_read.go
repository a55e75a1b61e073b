package ctl

import (
	"context"
	"time"

	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// auditRead feeds the checker, in the order that is fair to a system at work: what
// the group has taken, the books, dead letters, what waits, requests, statuses.
type auditRead struct {
	auditing
	run        *run
	system     *system
	checker    *audit.Checker
	taken      map[string]map[int]int64
	unreadable int
	books      string                     // none, partial or complete
	only       func(refundNo string) bool // nil: all payments
}

func (a *auditRead) all(ctx context.Context) (audit.Report, error) {
	a.books = "none"
	switch {
	case len(a.ledgers) > 0 && len(a.settlements) == 0, len(a.ledgers)+len(a.settlements) > 0 && a.complete:
		a.books = "complete"
	case len(a.ledgers)+len(a.settlements) > 0:
		a.books = "partial"
	}
	a.checker = audit.New(audit.Options{Whole: a.whole, Books: a.books == "complete"})
	for _, step := range []func(context.Context) error{a.committed, a.payments, a.letters, a.delays, a.requests, a.statuses} {
		if err := step(ctx); err != nil {
			return audit.Report{}, err
		}
	}
	return a.checker.Report(), nil
}

// judged says whether a merchant's refunds are looked at.
func (a *auditRead) judged(merchant string) bool { return a.merchant == "" || a.merchant == merchant }

func (a *auditRead) committed(ctx context.Context) error {
	a.taken = map[string]map[int]int64{}
	for _, topic := range append([]string{a.system.Topics.Requests}, a.system.delayTopics()...) {
		committed, err := a.system.Kafka.Committed(ctx, a.system.Config.Kafka.Group, topic)
		if err != nil {
			return err
		}
		a.taken[topic] = committed
	}
	return nil
}

// scan reads a topic and shows how far it is.
func (a *auditRead) scan(ctx context.Context, topic string, from kafka.From, each func(kafka.Record) error) error {
	progress := a.run.progress()
	defer progress.Clear()
	read := 0
	_, err := a.system.Kafka.Scan(ctx, topic, from, func(r kafka.Record) error {
		if read++; read%1000 == 0 {
			progress.Show("audit: %d records of %s", read, topic)
		}
		return each(r)
	})
	return err
}

// window begins where the time begins; a record's timestamp is never before it was
// made.
func (a *auditRead) window() kafka.From {
	if a.from.IsZero() {
		return kafka.FromFirst()
	}
	return kafka.FromTime(a.from)
}

func (a *auditRead) letters(ctx context.Context) error {
	return a.scan(ctx, a.system.Topics.DeadLetters, a.window(), func(r kafka.Record) error {
		letter := consumer.ReadDeadLetter(r.Headers)
		request, _ := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers)) // zero where it is no request
		if request.Merchant != "" && !a.judged(request.Merchant) {
			return nil
		}
		a.checker.DeadLetter(audit.DeadLetter{
			Origin: audit.Place{Topic: letter.Topic, Partition: letter.Partition, Offset: letter.Offset},
			Reason: refund.Reason(letter.Reason), Request: request,
		})
		return nil
	})
}

func (a *auditRead) delays(ctx context.Context) error {
	for _, topic := range a.system.delayTopics() {
		err := a.scan(ctx, topic, kafka.FromOffsets(a.taken[topic]), func(r kafka.Record) error {
			if request, err := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers)); err == nil && a.judged(request.Merchant) {
				a.checker.Queued(request.Key)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *auditRead) requests(ctx context.Context) error {
	topic := a.system.Topics.Requests
	return a.scan(ctx, topic, a.window(), func(r kafka.Record) error {
		if !r.Time.Before(a.to) || r.Time.Before(a.from.Truncate(time.Millisecond)) {
			return nil
		}
		waits := r.Offset >= a.taken[topic][r.Partition]
		request, err := events.DecodeRequest(r.Value, events.As[events.Header](r.Headers))
		if err != nil {
			if !waits && a.merchant == "" {
				a.checker.Unreadable(audit.Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset})
			}
			return nil
		}
		if !a.judged(request.Merchant) {
			return nil
		}
		asked := audit.Request{Request: request}
		if account, ok := a.system.Accounts[request.Merchant]; ok {
			asked.Order = account.Gateway.Order(request)
		}
		a.checker.Request(asked)
		if waits {
			a.checker.Queued(request.Key)
		}
		return nil
	})
}

// statuses are read whole: an order's total may rest on old ones. Of a refund that
// was requested before the window nothing is asked but that.
func (a *auditRead) statuses(ctx context.Context) error {
	log := &statuslog.Log{Reader: reading{a}, Topic: a.system.Topics.Status}
	return log.Scan(ctx, kafka.FromFirst(), func(e statuslog.Entry) error {
		if e.Value == nil || e.Err == nil && !a.judged(e.Status.Merchant) {
			return nil
		}
		rec, err := e.Restore()
		if err != nil {
			a.unreadable++
			return nil
		}
		a.checker.Status(audit.Status{
			Place:  audit.Place{Topic: e.Topic, Partition: e.Partition, Offset: e.Offset},
			Record: rec, Body: e.Value,
		})
		return nil
	})
}

// reading is the system's Kafka with a progress line.
type reading struct{ *auditRead }

// Scan implements statuslog.Reader.
func (a reading) Scan(ctx context.Context, topic string, from kafka.From, each func(kafka.Record) error) (map[int]int64, error) {
	return nil, a.scan(ctx, topic, from, each)
}

// Tail implements statuslog.Reader.
func (a reading) Tail(ctx context.Context, topic string, from kafka.From, each func(kafka.Record) error) error {
	return a.system.Kafka.Tail(ctx, topic, from, each)
}

// Spans implements statuslog.Reader.
func (a reading) Spans(ctx context.Context, topic string) ([]kafka.Span, error) {
	return a.system.Kafka.Spans(ctx, topic)
}
