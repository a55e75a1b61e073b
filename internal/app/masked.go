package app

import (
	"context"

	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// masked is a gateway whose words hold no card's number, before they get into a
// record, an event or a log.
type masked struct{ providers.Gateway }

// Sign implements refund.Gateway.
func (m masked) Sign(r refund.Request) (refund.Call, error) {
	call, err := m.Gateway.Sign(r)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) refund.Outcome { return maskOutcome(call(ctx)) }, nil
}

// Query implements refund.Gateway.
func (m masked) Query(ctx context.Context, rec refund.Record) refund.Outcome {
	return maskOutcome(m.Gateway.Query(ctx, rec))
}

// ParseCallback implements providers.Gateway.
func (m masked) ParseCallback(body []byte) (refund.Notice, error) {
	notice, err := m.Gateway.ParseCallback(body)
	notice.Outcome = maskOutcome(notice.Outcome)
	return notice, err
}

// maskOutcome masks words. Numbers of the gateway's own (its refund, the payment)
// stay: they are asked for by them.
func maskOutcome(o refund.Outcome) refund.Outcome {
	o.Message, o.ProviderStatus = telemetry.MaskCards(o.Message), telemetry.MaskCards(o.ProviderStatus)
	return o
}
