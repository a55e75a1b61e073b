package app

import (
	"context"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/statuslog"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// Client reads and writes the system's topics, for programs beside worker and
// bridge.
type Client struct{ core *core }

// NewClient opens the configuration's Kafka. Close it.
func NewClient(cfg *config.Config) (*Client, error) {
	c, err := open(telemetry.Worker, cfg, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	return &Client{c}, nil
}

// Close closes it.
func (c *Client) Close() { c.core.close() }

// Publish writes a message to the request topic as it is, acks=all.
func (c *Client) Publish(ctx context.Context, key, value []byte, headers ...kafka.Header) error {
	return c.core.producer.Write(ctx, kafka.Record{Topic: c.core.cfg.Kafka.Topics.Requests, Key: key, Value: value, Headers: headers})
}

// Watch shows the status topic from its beginning and goes on until ctx ends.
func (c *Client) Watch(ctx context.Context, each func(statuslog.Entry) error) error {
	log := statuslog.Log{Reader: c.core.kafka, Topic: c.core.cfg.Kafka.Topics.Status}
	return log.Watch(ctx, kafka.FromFirst(), each)
}

// WatchDeadLetters shows the dead letters from their beginning and goes on until
// ctx ends.
func (c *Client) WatchDeadLetters(ctx context.Context, each func(consumer.DeadLetter, kafka.Record) error) error {
	return c.core.kafka.Tail(ctx, c.core.cfg.Kafka.Topics.DeadLetters, kafka.FromFirst(), func(r kafka.Record) error {
		return each(consumer.ReadDeadLetter(r.Headers), r)
	})
}

// AwaitTaken returns once the group has committed every request that is on the
// topic now, or ctx ends.
func (c *Client) AwaitTaken(ctx context.Context) error {
	topic, group := c.core.cfg.Kafka.Topics.Requests, c.core.cfg.Kafka.Group
	spans, err := c.core.kafka.Spans(ctx, topic)
	if err != nil {
		return err
	}
	for {
		committed, err := c.core.kafka.Committed(ctx, group, topic)
		if err != nil {
			return err
		}
		open := slices.ContainsFunc(spans, func(s kafka.Span) bool { return s.End > s.First && committed[s.Partition] < s.End })
		if !open {
			return nil
		}
		select {
		case <-time.After(takenEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const takenEvery = 50 * time.Millisecond
