package telemetry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/refundworker/refundworker/internal/refund"
)

// Tracing makes the spans of one process. Where tracing is off there is none, and
// nothing is wrapped by it: it costs nothing.
//
// All deliveries, follow-ups and callbacks of a refund are in one trace: that of
// its request's traceparent, or, where the request has none, one whose id is made
// of the refund's key.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// StartTracing sends spans by OTLP over HTTP to an endpoint: a URL, or host:port
// for http without TLS. Spans leave in batches and are dropped where they cannot:
// nothing ever waits for them. failed is told why, and must not block. Close it.
func StartTracing(p Process, endpoint string, failed func(error)) (*Tracing, error) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("tracing.endpoint: %w", err)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces" // OTLP's own
	}
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(u.String()))
	if err != nil {
		return nil, fmt.Errorf("tracing.endpoint: %w", err)
	}
	return newTracing(p, sdktrace.WithBatcher(telling{exporter, failed})), nil
}

// NewTracing hands every span to an exporter as it ends, for tests.
func NewTracing(p Process, exporter sdktrace.SpanExporter) *Tracing {
	return newTracing(p, sdktrace.WithSyncer(exporter))
}

// newTracing reads OTEL_TRACES_SAMPLER as the SDK does; by default everything is
// sampled that its publisher sampled.
func newTracing(p Process, option sdktrace.TracerProviderOption) *Tracing {
	version, _ := buildVersion()
	provider := sdktrace.NewTracerProvider(option, sdktrace.WithIDGenerator(ids{}), sdktrace.WithResource(resource.NewWithAttributes(
		conventions, serviceName.String("refundworker-"+string(p)), serviceVersion.String(version), serviceInstance.String(rand.Text()))))
	return &Tracing{provider: provider, tracer: provider.Tracer("github.com/refundworker/refundworker", trace.WithSchemaURL(conventions))}
}

// Close sends what is left, until ctx ends.
func (t *Tracing) Close(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// telling is an exporter whose failures are told to our log, not to the library's
// global handler.
type telling struct {
	sdktrace.SpanExporter
	failed func(error)
}

// ExportSpans implements sdktrace.SpanExporter.
func (e telling) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.failed(fmt.Errorf("%d spans were not taken: %w", len(spans), err))
	}
	return nil
}

// ids are random, but for the trace of a refund whose request began none.
type ids struct{}

type keyOfTrace struct{}

// NewIDs implements sdktrace.IDGenerator.
func (g ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	var id trace.TraceID
	if key, ok := ctx.Value(keyOfTrace{}).(refund.Key); ok {
		sum := sha256.Sum256([]byte(key.String()))
		copy(id[:], sum[:])
	} else {
		_, _ = rand.Read(id[:]) // never fails
	}
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID implements sdktrace.IDGenerator.
func (ids) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	_, _ = rand.Read(id[:])
	return id
}

// ofRefund is ctx with the refund's trace as parent, where no span is in it yet.
func ofRefund(ctx context.Context, key refund.Key, t refund.Trace) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	carrier := propagation.MapCarrier{"traceparent": t.Parent, "tracestate": t.State}
	ctx = propagation.TraceContext{}.Extract(ctx, carrier)
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	return context.WithValue(ctx, keyOfTrace{}, key)
}

// start begins a span of a refund.
func (t *Tracing) start(ctx context.Context, key refund.Key, parent refund.Trace, name string, kind trace.SpanKind, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	ctx = ofRefund(within(ctx), key, parent)
	attributes = append(attributes, refundNo.String(key.RefundNo), refundMerchant.String(key.Merchant))
	return t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
}

// failed marks a span. Its words are errors of Kafka, Redis or a gateway's
// classified answer: they hold no secret.
func failed(span trace.Span, err error) {
	if err == nil {
		return
	}
	what := "other"
	var away *refund.Unavailable
	switch {
	case errors.As(err, &away):
		what = "unavailable"
	case errors.Is(err, context.DeadlineExceeded):
		what = "timeout"
	case errors.Is(err, context.Canceled):
		what = "canceled"
	}
	fail(span, what, err.Error())
}

// Message is where a delivery lies.
type Message struct {
	Topic, Group string
	Partition    int
	Offset       int64
	Key          []byte
	FollowUp     int
	Routed       time.Time // when it was handed to its lane
}

// Process begins the spans of a delivery: that it was received and stood in its
// lane, and that it is processed. The answered function ends them.
func (t *Tracing) Process(ctx context.Context, m Message, r refund.Request) (context.Context, func(verdict string, err error)) {
	attributes := []attribute.KeyValue{
		messagingSystem.String("kafka"), messagingDestination.String(m.Topic), messagingGroup.String(m.Group),
		messagingPartition.String(fmt.Sprint(m.Partition)), kafkaOffset.Int64(m.Offset), kafkaKey.String(string(m.Key)),
		refundNo.String(r.RefundNo), refundMerchant.String(r.Merchant), refundFollowUp.Int(m.FollowUp),
	}
	begin := func(operation string, kind trace.SpanKind, options ...trace.SpanStartOption) (context.Context, trace.Span) {
		options = append(options, trace.WithSpanKind(kind), trace.WithAttributes(attributes...),
			trace.WithAttributes(messagingOperation.String(operation), messagingOperationType.String(operation)))
		return t.tracer.Start(ofRefund(ctx, r.Key, r.Trace), operation+" "+m.Topic, options...)
	}
	_, received := begin("receive", trace.SpanKindClient, trace.WithTimestamp(m.Routed))
	received.End()
	ctx, processing := begin("process", trace.SpanKindConsumer)
	return ctx, func(verdict string, err error) {
		processing.SetAttributes(refundVerdict.String(verdict))
		failed(processing, err)
		processing.End()
	}
}
