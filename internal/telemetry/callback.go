package telemetry

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/refundworker/refundworker/internal/refund"
)

// callback is one callback under way. Gateways send no trace context: which trace
// it belongs to is known once its refund's record is.
type callback struct {
	began time.Time
	mu    sync.Mutex
	span  trace.Span
}

type keyOfCallback struct{}

// Callbacks is next with a span for each callback, in the trace of the request
// that it is about.
func (t *Tracing) Callbacks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &callback{began: time.Now()}
		said := &status{ResponseWriter: w, code: http.StatusOK}
		defer func() { c.end(t, said.code) }()
		next.ServeHTTP(said, r.WithContext(context.WithValue(r.Context(), keyOfCallback{}, c)))
	})
}

// belongs tells a callback whose it is.
func (t *Tracing) belongs(ctx context.Context, rec refund.Record) {
	if c, is := ctx.Value(keyOfCallback{}).(*callback); is {
		c.begin(t, ofRefund(ctx, rec.Key(), rec.Request.Trace), rec.Key())
	}
}

func (c *callback) begin(t *Tracing, ctx context.Context, key refund.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.span != nil {
		return
	}
	_, c.span = t.tracer.Start(ctx, "POST "+callbackRoute, trace.WithTimestamp(c.began), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(httpMethod.String("POST"), httpRoute.String(callbackRoute)))
	if key.RefundNo != "" {
		c.span.SetAttributes(refundNo.String(key.RefundNo), refundMerchant.String(key.Merchant))
	}
}

const callbackRoute = "/v1/callbacks/{merchant}"

// end says what was answered. What was refused before its refund was looked for is
// a trace of its own.
func (c *callback) end(t *Tracing, code int) {
	c.begin(t, context.Background(), refund.Key{})
	c.span.SetAttributes(httpStatus.Int(code))
	if code >= http.StatusInternalServerError {
		c.span.SetStatus(codes.Error, http.StatusText(code))
	}
	c.span.End()
}

// within is ctx within the span of its callback, where it has one and no other.
func within(ctx context.Context) context.Context {
	c, is := ctx.Value(keyOfCallback{}).(*callback)
	if !is || trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.span == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, c.span)
}

// status notes the code of an answer.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController find the connection.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }
