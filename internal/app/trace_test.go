package app

import (
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// Where tracing is off nothing is wrapped: it costs nothing.
func TestTracingThatIsOffWrapsNothing(t *testing.T) {
	c := &core{cfg: exampleTopics(), store: &dedupe.Store{}}
	if err := c.startTracing(); err != nil || c.tracing != nil {
		t.Fatalf("%v, %v", c.tracing, err)
	}
	account := &providers.Account{}
	c.dress(account, "https://gateway.example")
	_, plain := account.Gateway.(masked)
	if !plain || c.records() != refund.Records(c.store) || c.claims() != refund.Claims(c.store) {
		t.Error("something is wrapped")
	}
	if _, plain := c.publisher().(*statusTopic); !plain {
		t.Error("the publisher is wrapped")
	}
	c.tracing = telemetry.NewTracing(telemetry.Worker, tracetest.NewInMemoryExporter())
	c.dress(account, "https://gateway.example")
	_, plain = account.Gateway.(masked)
	if _, bare := c.publisher().(*statusTopic); plain || bare || c.records() == refund.Records(c.store) {
		t.Error("with tracing on something is not wrapped")
	}
}
