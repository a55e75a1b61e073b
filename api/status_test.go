package api_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/sandbox"
)

var statuses = []refund.Status{
	refund.StatusWaiting, refund.StatusPending, refund.StatusUnknown, refund.StatusReview,
	refund.StatusSucceeded, refund.StatusFailed, refund.StatusRejected,
}

var sources = []refund.Source{refund.FromWorker, refund.FromCallback, refund.FromQuery, refund.FromOperator}

var hkd, _ = refund.CurrencyOf("HKD")

// recordOf draws a record with each optional part there or not.
func recordOf(t *rapid.T) refund.Record {
	text := func(name string) string {
		return rapid.OneOf(rapid.Just(""), rapid.StringN(1, 40, -1)).Draw(t, name)
	}
	number := func(name string) string { return rapid.StringMatching(`[A-Za-z0-9]{1,12}`).Draw(t, name) }
	at := time.UnixMilli(rapid.Int64Range(1_600_000_000_000, 1_900_000_000_000).Draw(t, "at"))
	rec := refund.Record{
		Provider: rapid.SampledFrom([]string{"eftpay", "bluepay"}).Draw(t, "provider"),
		Order:    number("order"), FirstSeen: at,
		Request: refund.Request{
			Key: refund.Key{Merchant: number("merchant"), RefundNo: number("refund_no")}, Flow: refund.FlowRefund,
			Amount: refund.Money{Minor: rapid.Int64Range(1, refund.MaxMinor).Draw(t, "amount"), Currency: hkd},
			Method: text("method"), Wallet: text("wallet"), Terminal: text("terminal"), Reason: text("reason"),
		},
		Last: refund.Event{
			Epoch:    int64(rapid.IntRange(0, 9).Draw(t, "epoch")),
			Sequence: rapid.Int64Range(1, 1<<40).Draw(t, "sequence"), Status: rapid.SampledFrom(statuses).Draw(t, "status"),
			Source: rapid.SampledFrom(sources).Draw(t, "source"), Matched: rapid.Bool().Draw(t, "matched"),
			Correction: rapid.Bool().Draw(t, "correction"), OrderFullyRefunded: rapid.Bool().Draw(t, "full"),
			Attempt: rapid.IntRange(0, 5).Draw(t, "attempt"), ProviderStatus: text("provider_status"),
			ProviderRefundID: text("provider_refund_id"), TransactionID: text("told"), Code: text("code"), Message: text("message"),
			RecordedAt: at,
		},
	}
	if rapid.Bool().Draw(t, "has order") {
		rec.Request.OrderNo, rec.Request.TransactionID = number("order_no"), number("transaction_id")
		rec.Request.OrderAmount = refund.Money{Minor: refund.MaxMinor, Currency: hkd}
		rec.Request.RequestedAt, rec.Last.OccurredAt = at, at
		rec.Request.Trace = refund.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "a=b"}
	}
	return rec
}

// Whatever event is written: the schemas have every field and header of it, with its
// type; what they call required is always there, and what they name is written.
func TestStatusEventsAsWritten(t *testing.T) {
	schema, headers, request := strict(t, "status"), strict(t, "status-headers"), strict(t, "status-request-header")
	seen := map[string]map[string]bool{"status": {}, "status-headers": {}, "status-request-header": {}}
	rapid.Check(t, func(r *rapid.T) {
		_, value, hs := events.EncodeStatus(recordOf(r))
		head := headerObject(hs)
		for name, one := range map[string]struct {
			schema interface{ Validate(any) error }
			doc    map[string]any
		}{
			"status": {schema, object(t, value)}, "status-headers": {headers, head},
			"status-request-header": {request, object(t, []byte(head[events.HeaderRequest].(string)))},
		} {
			if err := one.schema.Validate(one.doc); err != nil {
				r.Fatalf("%s: %v\n%s", name, err, mustMarshal(one.doc))
			}
			for field := range one.doc {
				seen[name][field] = true
			}
		}
		if _, err := events.DecodeStatus(value, hs); err != nil {
			r.Fatal(err)
		}
	})
	for name, fields := range seen {
		if got, want := names(fields), names(properties(document(t, name))); !slices.Equal(got, want) {
			t.Errorf("%s: written %v, in the schema %v", name, got, want)
		}
	}
}

// The decoder reads every field of the schema, and needs those that are required.
func TestStatusSchemaAndDecoderAgree(t *testing.T) {
	schema, doc := compile(t, "status"), document(t, "status")
	example := func() map[string]any {
		return object(t, mustMarshal(doc["examples"].([]any)[0]))
	}
	full := example()
	full["error"] = map[string]any{"code": "1", "message": "m"}
	if got, want := names(full), names(properties(doc)); !slices.Equal(got, want) {
		t.Fatalf("the example has %v, the schema %v", got, want)
	}
	required := doc["required"].([]any)
	for field := range properties(doc) {
		without := example()
		delete(without, field)
		_, err := events.DecodeStatus(mustMarshal(without), nil)
		if needed := slices.Contains(required, any(field)); (err != nil) != needed || (schema.Validate(without) != nil) != needed {
			t.Errorf("without %s: decoder: %v, schema: %v", field, err, schema.Validate(without))
		}
		wrong := example()
		wrong[field] = []any{}
		if _, err := events.DecodeStatus(mustMarshal(wrong), nil); err == nil || schema.Validate(wrong) == nil {
			t.Errorf("%s of a wrong type: decoder: %v, schema: %v", field, err, schema.Validate(wrong))
		}
	}
	more := example()
	more["of_a_later_version"] = 1
	if _, err := events.DecodeStatus(mustMarshal(more), nil); err != nil || schema.Validate(more) != nil {
		t.Errorf("a field of a later version: decoder: %v, schema: %v", err, schema.Validate(more))
	}
	wrong := example()
	wrong["final"] = false
	if schema.Validate(wrong) == nil {
		t.Error("SUCCEEDED is final")
	}
}

// The enums are the code's.
func TestStatusWords(t *testing.T) {
	p := properties(document(t, "status"))
	if got := p["status"].(map[string]any)["enum"].([]any); len(got) != len(statuses) {
		t.Errorf("statuses: %v", got)
	}
	if got := p["source"].(map[string]any)["enum"].([]any); len(got) != len(sources) {
		t.Errorf("sources: %v", got)
	}
	about := p["error"].(map[string]any)["description"].(string)
	for _, code := range []string{refund.CodeOverOrderTotal, refund.CodeTooManyRefunds, refund.CodeUnsupported, refund.CodeFieldLimit,
		refund.CodeGatewayDown, refund.CodeRateLimited, refund.CodeOnHold, refund.CodeMisconfigured, refund.CodeWithdrawn} {
		if !strings.Contains(about, code) {
			t.Errorf("error says nothing of %s", code)
		}
	}
}

// The public type for subscribers' tests has the schema's fields.
func TestSandboxEventHasTheFields(t *testing.T) {
	var fields []string
	for f := range reflect.TypeFor[sandbox.Event]().Fields() {
		if name := f.Tag.Get("json"); name != "-" {
			fields = append(fields, name)
		}
	}
	slices.Sort(fields)
	if want := names(properties(document(t, "status"))); !slices.Equal(fields, want) {
		t.Errorf("sandbox.Event has %v, the schema %v", fields, want)
	}
}

// mustMarshal is for values that the tests make themselves.
func mustMarshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
