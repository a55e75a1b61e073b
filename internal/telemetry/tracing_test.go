package telemetry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/refundworker/refundworker/internal/refund"
)

func TestNamesAreTheConventions(t *testing.T) {
	if conventions != semconv.SchemaURL {
		t.Errorf("%s is not %s", conventions, semconv.SchemaURL)
	}
	for ours, theirs := range map[attribute.Key]attribute.Key{
		serviceName: semconv.ServiceNameKey, serviceVersion: semconv.ServiceVersionKey, serviceInstance: semconv.ServiceInstanceIDKey,
		messagingSystem: semconv.MessagingSystemKey, messagingOperation: semconv.MessagingOperationNameKey, messagingOperationType: semconv.MessagingOperationTypeKey,
		messagingDestination: semconv.MessagingDestinationNameKey, messagingPartition: semconv.MessagingDestinationPartitionIDKey,
		messagingGroup: semconv.MessagingConsumerGroupNameKey, messagingMessageID: semconv.MessagingMessageIDKey,
		kafkaOffset: semconv.MessagingKafkaOffsetKey, kafkaKey: semconv.MessagingKafkaMessageKeyKey,
		dbSystem: semconv.DBSystemNameKey, dbOperation: semconv.DBOperationNameKey, dbProcedure: semconv.DBStoredProcedureNameKey,
		httpMethod: semconv.HTTPRequestMethodKey, httpRoute: semconv.HTTPRouteKey, httpStatus: semconv.HTTPResponseStatusCodeKey,
		serverAddress: semconv.ServerAddressKey, errorType: semconv.ErrorTypeKey,
	} {
		if ours != theirs {
			t.Errorf("%s is %s in the conventions", ours, theirs)
		}
	}
}

const (
	parentTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentSpan  = "00f067aa0ba902b7"
)

var (
	asked = refund.Request{
		Key: refund.Key{Merchant: "shop", RefundNo: "R1"}, Trace: refund.Trace{Parent: "00-" + parentTrace + "-" + parentSpan + "-01", State: "vendor=x"},
	}
	untraced = refund.Request{Key: refund.Key{Merchant: "shop", RefundNo: "R2"}}
)

// ports are everything that is traced, as fakes.
type ports struct {
	refund.Gateway
	rec     refund.Record
	outcome refund.Outcome
	err     error
}

func (p *ports) Claim(context.Context, refund.Claim) (refund.Claimed, error) {
	return refund.Claimed{Answer: refund.Yours, Record: p.rec}, p.err
}

func (p *ports) Resend(context.Context, refund.Record, string, time.Duration) (refund.Claimed, error) {
	return refund.Claimed{Answer: refund.NotYours}, p.err
}
func (p *ports) Load(context.Context, refund.Key) (refund.Record, error) { return p.rec, p.err }
func (p *ports) Record(_ context.Context, next refund.Record, _ string) (refund.Record, bool, error) {
	return next, true, p.err
}

func (p *ports) Published(context.Context, refund.Key, int64) (refund.Record, error) {
	return p.rec, p.err
}
func (p *ports) Publish(context.Context, refund.Record) error { return p.err }
func (p *ports) Sign(refund.Request) (refund.Call, error) {
	return func(context.Context) refund.Outcome { return p.outcome }, p.err
}
func (p *ports) Query(context.Context, refund.Record) refund.Outcome { return p.outcome }

// spans by name, of which each is there once.
func spans(t *testing.T, exporter *tracetest.InMemoryExporter) map[string]tracetest.SpanStub {
	t.Helper()
	all := map[string]tracetest.SpanStub{}
	for _, s := range exporter.GetSpans() {
		if _, twice := all[s.Name]; twice {
			t.Errorf("%s is there twice", s.Name)
		}
		all[s.Name] = s
	}
	return all
}

func attributeOf(s tracetest.SpanStub, key attribute.Key) string {
	for _, kv := range s.Attributes {
		if kv.Key == key {
			return kv.Value.String()
		}
	}
	return ""
}

// A delivery from its request to its event: one trace, the publisher's.
func TestADeliveryIsInTheTraceOfItsRequest(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tr := NewTracing(Worker, exporter)
	p := &ports{rec: refund.Record{Request: asked, Provider: "eftpay", Attempt: 1, Last: refund.Event{Sequence: 2, Status: refund.StatusSucceeded}},
		outcome: refund.Outcome{Class: refund.Succeeded}}
	routed := time.Now().Add(-time.Second)
	ctx, end := tr.Process(t.Context(), Message{Topic: "refund.requests", Group: "workers", Partition: 3, Offset: 42, Key: []byte("order-1"), Routed: routed}, asked)
	_, _ = tr.Claims(p).Claim(ctx, refund.Claim{Request: asked})
	_ = tr.Publisher("refund.status", p).Publish(ctx, p.rec)
	call, err := tr.Gateway("eftpay", "gateway.example", p).Sign(asked)
	if err != nil {
		t.Fatal(err)
	}
	call(ctx)
	_, _, _ = tr.Records(p).Record(ctx, p.rec, "")
	_, _ = tr.Records(p).Published(ctx, asked.Key, 2)
	end("done", nil)

	all := spans(t, exporter)
	process := all["process refund.requests"]
	for name, want := range map[string]struct {
		kind   trace.SpanKind
		parent string
		has    map[attribute.Key]string
	}{
		"receive refund.requests": {trace.SpanKindClient, parentSpan, map[attribute.Key]string{messagingOperationType: "receive", kafkaOffset: "42"}},
		"process refund.requests": {trace.SpanKindConsumer, parentSpan, map[attribute.Key]string{
			messagingSystem: "kafka", messagingOperation: "process", messagingOperationType: "process", messagingDestination: "refund.requests", messagingGroup: "workers",
			messagingPartition: "3", kafkaOffset: "42", kafkaKey: "order-1", refundNo: "R1", refundMerchant: "shop", refundVerdict: "done"}},
		"EVALSHA claim": {trace.SpanKindClient, "", map[attribute.Key]string{dbSystem: "redis", refundAnswer: "yours", refundAttempt: "1"}},
		"send refund.status": {trace.SpanKindProducer, "", map[attribute.Key]string{
			messagingOperationType: "send", messagingMessageID: "shop/R1/2", kafkaKey: "shop/R1", refundStatus: "SUCCEEDED"}},
		"refund eftpay":     {trace.SpanKindClient, "", map[attribute.Key]string{serverAddress: "gateway.example", refundClass: "succeeded"}},
		"EVALSHA record":    {trace.SpanKindClient, "", map[attribute.Key]string{refundStatus: "SUCCEEDED", refundSequence: "2"}},
		"EVALSHA published": {trace.SpanKindClient, "", nil},
	} {
		got := all[name]
		parent := want.parent
		if parent == "" {
			parent = process.SpanContext.SpanID().String()
		}
		if got.SpanContext.TraceID().String() != parentTrace || got.Parent.SpanID().String() != parent || got.SpanKind != want.kind {
			t.Errorf("%s: trace %s, parent %s (want %s), kind %s", name, got.SpanContext.TraceID(), got.Parent.SpanID(), parent, got.SpanKind)
		}
		if got.SpanContext.TraceState().Get("vendor") != "x" || got.Status.Code == codes.Error {
			t.Errorf("%s: state %q, %v", name, got.SpanContext.TraceState(), got.Status)
		}
		for key, value := range want.has {
			if attributeOf(got, key) != value {
				t.Errorf("%s: %s is %q, want %q", name, key, attributeOf(got, key), value)
			}
		}
		delete(all, name)
	}
	if len(all) > 0 {
		t.Errorf("more spans: %v", all)
	}
	if receive := exporter.GetSpans()[0]; !receive.StartTime.Equal(routed) || receive.EndTime.Sub(routed) < time.Second {
		t.Errorf("received from %s to %s", receive.StartTime, receive.EndTime)
	}
}

// Deliveries of a refund whose request began no trace share one all the same.
func TestARefundWithoutATraceHasOne(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tr := NewTracing(Worker, exporter)
	for range 2 {
		_, end := tr.Process(t.Context(), Message{Topic: "t", Routed: time.Now()}, untraced)
		end("later", nil)
	}
	other := NewTracing(Bridge, exporter) // another process
	_, _ = other.Records(&ports{}).Load(t.Context(), untraced.Key)
	_, end := tr.Process(t.Context(), Message{Topic: "t", Routed: time.Now()}, asked)
	end("done", nil)
	ids := map[string]int{}
	for _, s := range exporter.GetSpans() {
		ids[s.SpanContext.TraceID().String()]++
	}
	if len(ids) != 2 || ids[parentTrace] != 2 {
		t.Errorf("traces %v", ids)
	}
}

func TestFailuresMarkTheirSpans(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tr := NewTracing(Worker, exporter)
	p := &ports{err: &refund.Unavailable{Why: "loading"}}
	if _, err := tr.Claims(p).Claim(t.Context(), refund.Claim{Request: asked}); !errors.Is(err, p.err) {
		t.Errorf("the error is %v", err)
	}
	if _, err := tr.Claims(p).Resend(t.Context(), refund.Record{Request: asked}, "", 0); err == nil {
		t.Error("no error")
	}
	if err := tr.Publisher("s", p).Publish(t.Context(), refund.Record{}); err == nil {
		t.Error("no error")
	}
	if _, err := tr.Gateway("eftpay", "", p).Sign(asked); err == nil {
		t.Error("no error")
	}
	down := &ports{outcome: refund.Outcome{Class: refund.Unknown, Outage: true, Code: "gateway_down", Message: "card 4111111111111111 reset"}}
	tr.Gateway("eftpay", "", down).Query(t.Context(), refund.Record{Request: asked})
	for name, s := range spans(t, exporter) {
		if s.Status.Code != codes.Error || attributeOf(s, errorType) == "" {
			t.Errorf("%s: %v %v", name, s.Status, s.Attributes)
		}
		if strings.Contains(s.Status.Description, "4111111111111111") {
			t.Errorf("%s shows a card", name)
		}
	}
}

// A callback is in its request's trace, though no gateway sends one; what is
// refused is a trace of its own.
func TestACallbackIsInTheTraceOfItsRequest(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tr := NewTracing(Bridge, exporter)
	p := &ports{rec: refund.Record{Version: 1, Request: asked}}
	records, publisher := tr.Records(p), tr.Publisher("refund.status", p)
	handler := tr.Callbacks(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		ctx := context.WithoutCancel(r.Context())
		rec, _ := records.Load(ctx, asked.Key)
		_, _, _ = records.Record(ctx, rec, "")
		_ = publisher.Publish(ctx, rec)
		if r.URL.Path == "/failed" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	serve := func(path string) map[string]tracetest.SpanStub {
		exporter.Reset()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil))
		return spans(t, exporter)
	}
	const name = "POST /v1/callbacks/{merchant}"
	all := serve("/")
	server := all[name]
	if server.SpanContext.TraceID().String() != parentTrace || server.Parent.SpanID().String() != parentSpan || server.SpanKind != trace.SpanKindServer ||
		attributeOf(server, httpStatus) != "200" || attributeOf(server, refundNo) != "R1" || server.Status.Code == codes.Error {
		t.Errorf("%+v", server)
	}
	for _, inner := range []string{"EVALSHA load", "EVALSHA record", "send refund.status"} {
		if s := all[inner]; s.Parent.SpanID() != server.SpanContext.SpanID() || s.SpanContext.TraceID() != server.SpanContext.TraceID() || s.StartTime.Before(server.StartTime) {
			t.Errorf("%s is not within the callback: %+v", inner, s)
		}
	}
	refused := serve("/refused")
	if s := refused[name]; len(refused) != 1 || s.Parent.IsValid() || attributeOf(s, httpStatus) != "401" || s.Status.Code == codes.Error {
		t.Errorf("%+v", refused)
	}
	if s := serve("/failed")[name]; s.Status.Code != codes.Error || attributeOf(s, httpStatus) != "503" {
		t.Errorf("%+v", s)
	}
}

// A collector gets spans by OTLP; where it is away, that is told and nobody waits.
func TestOTLP(t *testing.T) {
	got := make(chan string, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case got <- r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type"):
		default:
		}
	}))
	defer collector.Close()
	for _, endpoint := range []string{collector.URL, strings.TrimPrefix(collector.URL, "http://")} {
		tr, err := StartTracing(Worker, endpoint, func(err error) { t.Errorf("%s: %v", endpoint, err) })
		if err != nil {
			t.Fatal(err)
		}
		_, end := tr.Process(t.Context(), Message{Topic: "t", Routed: time.Now()}, asked)
		end("done", nil)
		if err := tr.Close(t.Context()); err != nil {
			t.Errorf("%s: %v", endpoint, err)
		}
		if said := <-got; said != "POST /v1/traces application/x-protobuf" {
			t.Errorf("%s: %s", endpoint, said)
		}
	}
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer refusing.Close()
	told := make(chan error, 1)
	tr, err := StartTracing(Worker, refusing.URL, func(err error) { told <- err })
	if err != nil {
		t.Fatal(err)
	}
	_, end := tr.Process(t.Context(), Message{Topic: "t", Routed: time.Now()}, asked)
	end("done", nil)
	_ = tr.Close(t.Context())
	if err := <-told; err == nil || !strings.Contains(err.Error(), "2 spans") {
		t.Errorf("told %v", err)
	}
}
