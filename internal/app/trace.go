package app

import (
	"context"
	"net/url"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// startTracing begins nothing where no endpoint is configured; then nothing is
// wrapped by it either.
func (c *core) startTracing() error {
	if c.cfg.Tracing.Endpoint == "" {
		return nil
	}
	var err error
	c.tracing, err = telemetry.StartTracing(c.process, c.cfg.Tracing.Endpoint, func(err error) { c.seldom("tracing", err, "spans are dropped") })
	if err != nil {
		return err
	}
	c.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), tracingFlush)
		defer cancel()
		_ = c.tracing.Close(ctx) // a collector that is away costs its spans
	})
	return nil
}

// tracingFlush bounds the sending of the last spans.
const tracingFlush = 3 * time.Second

// dress has a merchant's gateway masked, and its calls and queries traced.
func (c *core) dress(a *providers.Account, baseURL string) {
	a.Account.Gateway = masked{a.Callbacks}
	if c.tracing == nil {
		return
	}
	host := ""
	if u, err := url.Parse(baseURL); err == nil {
		host = u.Hostname()
	}
	a.Account.Gateway = c.tracing.Gateway(a.Provider, host, a.Account.Gateway)
}

func (c *core) records() refund.Records {
	if c.tracing == nil {
		return c.store
	}
	return c.tracing.Records(c.store)
}

func (c *core) publisher() refund.Publisher {
	topic := c.cfg.Kafka.Topics.Status
	next := &statusTopic{producer: c.producer, topic: topic}
	if c.tracing == nil {
		return next
	}
	return c.tracing.Publisher(topic, next)
}

func (c *core) claims() refund.Claims {
	if c.tracing == nil {
		return c.store
	}
	return c.tracing.Claims(c.store)
}

// process is work within the spans of its delivery.
func (r *route) process(ctx context.Context, d *consumer.Delivery, work refund.Work, routed time.Time) refund.Verdict {
	if r.tracing == nil {
		return r.handler.Handle(ctx, work)
	}
	ctx, end := r.tracing.Process(ctx, telemetry.Message{
		Topic: d.Topic, Group: r.group, Partition: d.Partition, Offset: d.Offset, Key: d.Key, FollowUp: d.FollowUp, Routed: routed,
	}, work.Request)
	said, verdict := "panic", refund.Verdict{}
	defer func() { end(said, verdict.Err) }()
	verdict = r.handler.Handle(ctx, work)
	said = verdictWords[verdict.Kind]
	return verdict
}

var verdictWords = map[refund.VerdictKind]string{
	refund.Done: "done", refund.Later: "later", refund.Dead: "dead", refund.Again: "again", refund.Soon: "soon", refund.Abandon: "abandoned",
}
