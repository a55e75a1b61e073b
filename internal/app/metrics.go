package app

import (
	"time"

	"github.com/refundworker/refundworker/internal/bridge"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// labelNames are the words of the configuration that become labels.
func labelNames(topics consumer.Topics, delays consumer.Delays) telemetry.Names {
	names := telemetry.Names{Providers: providers.Names(), Topics: []string{topics.Requests}}
	for _, d := range delays {
		names.Topics = append(names.Topics, topics.Delay(d))
		names.Delays = append(names.Delays, consumer.DelayName(d))
	}
	return names
}

// countCallback is the bridge's hook.
func (c *core) countCallback(r bridge.Report) {
	c.metrics.Callback(r.Provider, r.Code, string(r.Outcome), r.Took)
}

// consumerMetrics are the hooks of the consumer.
func (c *core) consumerMetrics() consumer.Metrics {
	m := c.metrics
	return consumer.Metrics{
		Delivered:  m.Delivered,
		DeadLetter: func(reason consumer.Reason) { m.DeadLetter(refund.Reason(reason)) },
		Delayed: func(cause consumer.Cause, delay time.Duration) {
			m.Delayed(refund.Cause(cause), consumer.DelayName(delay))
		},
		InFlight: m.InFlight,
		Trouble:  m.Trouble,
	}
}

// rebuildMetrics are the hooks of the keeper.
func (c *core) rebuildMetrics() statuslog.Metrics {
	m := c.metrics
	return statuslog.Metrics{
		Rebuilding: m.Rebuilding, Progress: m.RebuildProgress,
		Rebuilt: func(r statuslog.Rebuilt) { m.Rebuilt(r.New, r.Restored, r.Open, r.Took) },
		Failed:  func(string, error) { m.RebuildFailed() },
		Trouble: c.failed, // not trouble: it looks again by itself, nobody has to wake it
	}
}

// gatewayStates are the guards at this moment.
func (c *core) gatewayStates() []telemetry.GatewayState {
	var all []telemetry.GatewayState
	for merchant, account := range c.merchants.all() {
		s := account.Guard.Status()
		all = append(all, telemetry.GatewayState{
			Merchant: merchant, Breaker: s.Breaker, HeldByOperator: s.OnHold, Held: s.Misconfigured, InFlight: s.InFlight, Waiting: s.Waiting,
		})
	}
	return all
}

// claimed is told each answer to a claim.
func (c *core) claimed(claimed *refund.Claimed) {
	c.metrics.Claimed(claimed.Answer)
	switch claimed.Answer {
	case refund.Yours:
		c.observe(claimed.Record)
	case refund.NotNow:
		c.metrics.Waited(telemetry.WaitsForLimit, claimed.Wait)
	}
}

// observe is told each new event, once.
func (c *core) observe(rec refund.Record) {
	c.metrics.Event(rec)
	logEvent(c.log, rec)
}
