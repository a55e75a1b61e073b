package app

import (
	"context"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/statuslog"
)

func (c *core) control() *statuslog.Control {
	return &statuslog.Control{Reader: c.kafka, Writer: c.producer, Topic: c.cfg.Kafka.Topics.Control}
}

// readHolds brings every guard in step with what operators hold, as the control
// topic has it, and answers from where the changes go on.
func (c *core) readHolds(ctx context.Context) (kafka.From, error) {
	held, from, err := c.control().Holds(ctx)
	if err != nil {
		return from, err
	}
	for _, merchant := range c.merchants.heldNow() {
		if _, still := held[merchant]; !still {
			c.setHold(merchant, nil)
		}
	}
	for merchant, h := range held {
		c.setHold(merchant, &h)
	}
	return from, nil
}

// followHolds keeps them in step until ctx ends. After trouble that waiting does
// not end, everything is read again.
func (c *core) followHolds(ctx context.Context, from kafka.From) {
	for ctx.Err() == nil {
		err := c.control().FollowHolds(ctx, from, c.setHold)
		for err != nil && ctx.Err() == nil {
			c.trouble("holds", err)
			select {
			case <-ctx.Done():
			case <-time.After(holdsPause):
			}
			from, err = c.readHolds(ctx)
		}
	}
}

const holdsPause = time.Second

// setHold holds a merchant's refund calls, or with nil lets them go.
func (c *core) setHold(merchant string, h *statuslog.Hold) {
	if c.merchants.hold(merchant, h) {
		c.log.Warn().Str("merchant", merchant).Bool("held", h != nil).Msg("an operator's hold")
	}
}
