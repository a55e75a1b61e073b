package app

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/refundworker/refundworker/internal/telemetry"
)

// TraceTo has every span handed to an exporter as it ends.
func TraceTo(exporter sdktrace.SpanExporter) Option {
	return func(c *core) { c.tracing = telemetry.NewTracing(c.process, exporter) }
}
