package app

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// Audit reads the system's topics and holds them, with the gateways' books where
// they are given (nil: not), against the promises. whole says that nothing of the
// topics was ever compacted away or expired. The order of reading (what the group
// has taken, books, dead letters, delays, requests, and the statuses last) judges
// a system under way fairly; books of a system under way are never complete.
func Audit(ctx context.Context, cfg *config.Config, whole bool, books func() ([]audit.Payment, error)) (audit.Report, error) {
	c, err := open(telemetry.Worker, cfg, zerolog.Nop())
	if err != nil {
		return audit.Report{}, err
	}
	defer c.close()
	a := &auditing{core: c, checker: audit.New(audit.Options{Whole: whole, Books: books != nil}), taken: map[string]map[int]int64{}}
	if books != nil {
		payments, err := books()
		if err != nil {
			return audit.Report{}, fmt.Errorf("the gateways' books: %w", err)
		}
		for _, payment := range payments {
			a.checker.Payment(payment)
		}
	}
	for _, step := range []func(context.Context) error{a.committed, a.deadLetters, a.delays, a.requests, a.statuses} {
		if err := step(ctx); err != nil {
			return audit.Report{}, err
		}
	}
	report := a.checker.Report()
	if a.unreadable > 0 {
		return report, fmt.Errorf("%d records of %s are no status events: their refunds were not judged", a.unreadable, cfg.Kafka.Topics.Status)
	}
	return report, nil
}

// auditing is one audit under way.
type auditing struct {
	*core
	checker    *audit.Checker
	taken      map[string]map[int]int64 // by topic and partition: offsets that the group had committed before anything was read
	unreadable int
}

// committed is read first, of all topics: a message that moves on meanwhile is
// then found where it was or where it is, never nowhere.
func (a *auditing) committed(ctx context.Context) error {
	topics := []string{a.cfg.Kafka.Topics.Requests}
	for _, delay := range a.core.delays {
		topics = append(topics, a.topics().Delay(delay))
	}
	for _, topic := range topics {
		committed, err := a.kafka.Committed(ctx, a.cfg.Kafka.Group, topic)
		if err != nil {
			return err
		}
		a.taken[topic] = committed
	}
	return nil
}

func (a *auditing) deadLetters(ctx context.Context) error {
	_, err := a.kafka.Scan(ctx, a.cfg.Kafka.Topics.DeadLetters, kafka.FromFirst(), func(r kafka.Record) error {
		letter := consumer.ReadDeadLetter(r.Headers)
		request, _ := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers)) // zero where it is no request
		a.checker.DeadLetter(audit.DeadLetter{
			Origin: audit.Place{Topic: letter.Topic, Partition: letter.Partition, Offset: letter.Offset},
			Reason: refund.Reason(letter.Reason), Request: request,
		})
		return nil
	})
	return err
}

// delays: what lies there and was not taken still waits.
func (a *auditing) delays(ctx context.Context) error {
	for _, delay := range a.core.delays {
		topic := a.topics().Delay(delay)
		_, err := a.kafka.Scan(ctx, topic, kafka.FromOffsets(a.taken[topic]), func(r kafka.Record) error {
			if request, err := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers)); err == nil {
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

func (a *auditing) requests(ctx context.Context) error {
	topic := a.cfg.Kafka.Topics.Requests
	_, err := a.kafka.Scan(ctx, topic, kafka.FromFirst(), func(r kafka.Record) error {
		waits := r.Offset >= a.taken[topic][r.Partition]
		request, err := events.DecodeRequest(r.Value, events.As[events.Header](r.Headers))
		if err != nil {
			if !waits {
				a.checker.Unreadable(audit.Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset})
			}
			return nil
		}
		asked := audit.Request{Request: request}
		if account, ok := a.merchants.Account(request.Merchant); ok {
			asked.Order = account.Gateway.Order(request)
		}
		a.checker.Request(asked)
		if waits {
			a.checker.Queued(request.Key)
		}
		return nil
	})
	return err
}

func (a *auditing) statuses(ctx context.Context) error {
	log := statuslog.Log{Reader: a.kafka, Topic: a.cfg.Kafka.Topics.Status}
	return log.Scan(ctx, kafka.FromFirst(), func(entry statuslog.Entry) error {
		rec, err := entry.Restore()
		if err != nil {
			a.unreadable++
			return nil
		}
		a.checker.Status(audit.Status{
			Place:  audit.Place{Topic: entry.Topic, Partition: entry.Partition, Offset: entry.Offset},
			Record: rec, Body: entry.Value,
		})
		return nil
	})
}
