package app

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// Audit reads the system's topics and holds them, with the gateways' books where
// they are given (nil: not), against the promises. books is read first and the
// status topic last, so a system under way is judged fairly too.
func Audit(ctx context.Context, cfg *config.Config, books func() []audit.Payment) (audit.Report, error) {
	c, err := open(cfg, zerolog.Nop())
	if err != nil {
		return audit.Report{}, err
	}
	defer c.close()
	checker := audit.New(audit.Options{Whole: true, Books: books != nil})
	if books != nil {
		for _, payment := range books() {
			checker.Payment(payment)
		}
	}
	steps := []func(context.Context, *audit.Checker) error{c.auditDeadLetters, c.auditDelays, c.auditRequests, c.auditStatuses}
	for _, step := range steps {
		if err := step(ctx, checker); err != nil {
			return audit.Report{}, err
		}
	}
	return checker.Report(), nil
}

func (c *core) auditDeadLetters(ctx context.Context, checker *audit.Checker) error {
	_, err := c.kafka.Scan(ctx, c.cfg.Kafka.Topics.DeadLetters, kafka.FromFirst(), func(r kafka.Record) error {
		letter := consumer.ReadDeadLetter(r.Headers)
		request, _ := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers))
		checker.DeadLetter(audit.DeadLetter{
			Origin: audit.Place{Topic: letter.Topic, Partition: letter.Partition, Offset: letter.Offset},
			Reason: refund.Reason(letter.Reason), Request: request,
		})
		return nil
	})
	return err
}

// auditDelays: what lies there and is not taken yet still waits.
func (c *core) auditDelays(ctx context.Context, checker *audit.Checker) error {
	for _, delay := range c.delays {
		topic := c.topics().Delay(delay)
		committed, err := c.kafka.Committed(ctx, c.cfg.Kafka.Group, topic)
		if err != nil {
			return err
		}
		_, err = c.kafka.Scan(ctx, topic, kafka.FromOffsets(committed), func(r kafka.Record) error {
			if request, err := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers)); err == nil {
				checker.Queued(request.Key)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *core) auditRequests(ctx context.Context, checker *audit.Checker) error {
	topic := c.cfg.Kafka.Topics.Requests
	committed, err := c.kafka.Committed(ctx, c.cfg.Kafka.Group, topic)
	if err != nil {
		return err
	}
	_, err = c.kafka.Scan(ctx, topic, kafka.FromFirst(), func(r kafka.Record) error {
		request, err := events.DecodeRequest(r.Value, events.As[events.Header](r.Headers))
		if err != nil {
			checker.Unreadable(audit.Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset})
			return nil
		}
		asked := audit.Request{Request: request}
		if account, ok := c.accounts.Account(request.Merchant); ok {
			asked.Order = account.Gateway.Order(request)
		}
		checker.Request(asked)
		if r.Offset >= committed[r.Partition] {
			checker.Queued(request.Key)
		}
		return nil
	})
	return err
}

func (c *core) auditStatuses(ctx context.Context, checker *audit.Checker) error {
	log := statuslog.Log{Reader: c.kafka, Topic: c.cfg.Kafka.Topics.Status}
	return log.Scan(ctx, kafka.FromFirst(), func(entry statuslog.Entry) error {
		rec, err := entry.Restore()
		if err != nil {
			return err
		}
		checker.Status(audit.Status{
			Place:  audit.Place{Topic: entry.Topic, Partition: entry.Partition, Offset: entry.Offset},
			Record: rec, Body: entry.Value,
		})
		return nil
	})
}
