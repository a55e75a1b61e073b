package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// prepare waits until Kafka and Redis answer and holds them against what this
// system needs. An error is something that a person has to change.
func (c *core) prepare(ctx context.Context) error {
	if err := c.await(ctx, "kafka", c.kafka.Ping, always); err != nil {
		return err
	}
	create := c.cfg.Kafka.CreateTopics
	specs := consumer.Specs(c.topics(), c.delays, create.Partitions, create.Replication)
	if create.Enabled {
		if err := c.await(ctx, "kafka", func(ctx context.Context) error { return c.kafka.EnsureTopics(ctx, specs) }, always); err != nil {
			return err
		}
	}
	var drifts []kafka.Drift
	if err := c.await(ctx, "kafka", func(ctx context.Context) (err error) {
		drifts, err = c.kafka.CheckTopics(ctx, specs)
		return err
	}, always); err != nil {
		return err
	}
	if err := c.judge(drifts); err != nil {
		return err
	}
	var advice []string
	if err := c.await(ctx, "redis", func(ctx context.Context) error {
		err := c.store.Check(ctx)
		if err == nil {
			var more []string
			more, err = c.store.Advice(ctx)
			advice = append(c.cfg.Advice(), more...)
		}
		return err
	}, away); err != nil {
		return err
	}
	for _, line := range advice {
		c.log.Warn().Msg(line)
	}
	return nil
}

// always: whatever Kafka says at a start, it may be better soon.
func always(error) bool { return true }

// away: Redis does not answer; any other finding is a setting that loses money.
func away(err error) bool {
	var unavailable *refund.Unavailable
	return errors.As(err, &unavailable) || errors.Is(err, context.DeadlineExceeded)
}

// await asks until the part answers, and says every few seconds that it waits. An
// answer that does not pass by itself is returned.
func (c *core) await(ctx context.Context, part string, ask func(context.Context) error, passing func(error) bool) error {
	c.starting.waits(part, nil)
	for {
		bounded, cancel := context.WithTimeout(ctx, askTime)
		err := ask(bounded)
		cancel()
		if err == nil {
			return nil
		}
		if !passing(err) {
			return err
		}
		c.starting.waits(part, err)
		c.trouble("start: "+part, err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(askPause):
		}
	}
}

const (
	askTime  = 10 * time.Second
	askPause = 500 * time.Millisecond
)

// judge refuses topics by which money or messages would be lost, and advises about
// the rest.
func (c *core) judge(drifts []kafka.Drift) error {
	var wrong []error
	for _, drift := range drifts {
		switch {
		case drift.Missing:
			wrong = append(wrong, fmt.Errorf("%s: create it, or set kafka.create_topics.enabled; without the Describe right it looks the same", drift))
		case c.loses(drift):
			wrong = append(wrong, fmt.Errorf("%s: with it the system's memory, or a message that waits, would be lost", drift))
		default:
			c.log.Warn().Msg(drift.String())
		}
	}
	return errors.Join(wrong...)
}

// shortestRetention of requests: an outage of a night must cost time only.
const shortestRetention = 24 * time.Hour

// loses: the status and control topics are what Redis is rebuilt from; what waits
// in a delay topic or lies in the dead letters must not expire, and is due by its
// writer's time; a request must not expire before an outage is over, and must fit
// where it waits, but for one that is as large as Kafka takes by default.
func (c *core) loses(drift kafka.Drift) bool {
	t := c.cfg.Kafka.Topics
	keeps := drift.Topic == t.DeadLetters || strings.HasPrefix(drift.Topic, t.DelayPrefix)
	switch drift.Setting {
	case "cleanup.policy":
		return true
	case "min.compaction.lag.ms":
		return drift.Topic == t.Status || drift.Topic == t.Control
	case "retention.ms":
		return keeps || drift.Topic == t.Requests && below(drift.Have, shortestRetention.Milliseconds())
	case "max.message.bytes":
		return keeps && below(drift.Have, consumer.RequestBytes)
	case "retention.bytes", "message.timestamp.type":
		return keeps
	}
	return false
}

func below(value string, least int64) bool {
	n, err := strconv.ParseInt(value, 10, 64)
	return err == nil && n < least
}
