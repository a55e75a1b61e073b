package app_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/kafka"
)

// A refund from its request to the callback that ends it, worker and bridge: all in
// the trace that its publisher began, which its status events carry on.
func TestOneTraceFromRequestToCallback(t *testing.T) {
	const traceID, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	atWorker, atBridge := tracetest.NewInMemoryExporter(), tracetest.NewInMemoryExporter()
	h := newHouse(t, app.TraceTo(atWorker))
	cfg, err := app.Load(h.file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- app.Bridge(ctx, cfg, app.Logger(config.Log{Level: "info"}, h.log), app.TraceTo(atBridge))
	}()
	eventually(t, "the bridge", func() bool { return strings.HasPrefix(ready(cfg.Bridge.Admin), "ready") })

	value := strings.Replace(eftPay("T1", "1.00"), `"amount"`, `"flow":"apply","amount"`, 1)
	if err := h.client.Publish(t.Context(), nil, []byte(value), kafka.Header{Key: "traceparent", Value: []byte(parent)}, kafka.Header{Key: "tracestate", Value: []byte("vendor=x")}); err != nil {
		t.Fatal(err)
	}
	h.await("T1", "SUCCEEDED")
	if carried := h.headers("T1"); !strings.Contains(carried, parent) || !strings.Contains(carried, "vendor=x") {
		t.Errorf("the event's headers: %s", carried)
	}
	of := func(exporter *tracetest.InMemoryExporter) map[string]int {
		names := map[string]int{}
		for _, s := range exporter.GetSpans() {
			if s.SpanContext.TraceID().String() == traceID {
				names[s.Name]++
			}
		}
		return names
	}
	callback := "POST /v1/callbacks/{merchant}"
	eventually(t, "the callback's span", func() bool { return of(atBridge)[callback] == 1 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	worker, bridge := of(atWorker), of(atBridge)
	for _, name := range []string{"receive own.requests", "process own.requests", "EVALSHA claim", "refund eftpay", "EVALSHA record", "send own.status", "EVALSHA published"} {
		if worker[name] < 1 {
			t.Errorf("the worker has no span %q, but %v", name, worker)
		}
	}
	for _, name := range []string{callback, "EVALSHA load", "EVALSHA record", "send own.status", "EVALSHA published"} {
		if bridge[name] < 1 {
			t.Errorf("the bridge has no span %q, but %v", name, bridge)
		}
	}
	for _, s := range append(atWorker.GetSpans(), atBridge.GetSpans()...) {
		if text := fmt.Sprint(s.Name, s.Attributes, s.Status); strings.Contains(text, "sandbox-secret") {
			t.Errorf("a span shows a secret: %s", text)
		}
	}
}
