package events

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
	"pgregory.net/rapid"
)

func TestRestoreRecord(t *testing.T) {
	rec := succeeded()
	_, value, hs := EncodeStatus(rec)
	got, err := RestoreRecord(value, hs)
	if err != nil {
		t.Fatal(err)
	}
	if !same(got.Request, rec.Request) {
		t.Errorf("request\n got %+v\nwant %+v", got.Request, rec.Request)
	}
	if got.Order != rec.Order || got.Last.Epoch != 3 || got.Attempt != 1 || got.Published != 2 || got.Provider != "eftpay" ||
		!got.FirstSeen.Equal(rec.FirstSeen.Truncate(time.Millisecond)) || got.Last.TransactionID != "4200001" {
		t.Errorf("got %+v", got)
	}
	if got.Version != 0 || got.Holding != "" || got.Token != "" {
		t.Errorf("what is the store's to decide was decided: %+v", got)
	}
	rec.Request.TransactionID, rec.Last.TransactionID = "4200001", ""
	_, value, hs = EncodeStatus(rec)
	if got, err = RestoreRecord(value, hs); err != nil || got.Request.TransactionID != "4200001" || got.Last.TransactionID != "" {
		t.Errorf("the publisher's transaction: %+v, %v", got, err)
	}
}

func TestRestoreRecordRefuses(t *testing.T) {
	_, value, good := EncodeStatus(succeeded())
	with := func(name, v string) []Header { return append(slices.Clone(good), headers(name, v)...) }
	for name, test := range map[string]struct {
		value   string
		headers []Header
		want    string
	}{
		"no headers":         {string(value), nil, "no header refund-v"},
		"version 0":          {string(value), with(HeaderVersion, "0"), "no header refund-v"},
		"no epoch":           {string(value), with(HeaderEpoch, ""), "no number in its header refund-epoch"},
		"no content":         {string(value), with(HeaderContent, ""), "refund-content"},
		"other amount":       {strings.Replace(string(value), "0.01", "0.02", 1), good, "refund-content"},
		"other method":       {string(value), with(HeaderRequest, `{"method":"Alipay"}`), "refund-content"},
		"request no JSON":    {string(value), with(HeaderRequest, `{`), "refund-request"},
		"request no object":  {string(value), with(HeaderRequest, ``), "refund-request: not a JSON object"},
		"request wrong":      {string(value), with(HeaderRequest, `{"flow":7}`), "flow: not a string"},
		"not a status event": {"{}", good, "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			rec, err := RestoreRecord([]byte(test.value), test.headers)
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, ErrNewer) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if rec != (refund.Record{}) {
				t.Errorf("an error with a record: %+v", rec)
			}
		})
	}
	for name, newer := range map[string]struct {
		value   string
		headers []Header
	}{
		"version": {string(value), with(HeaderVersion, "2")},
		"status":  {strings.Replace(string(value), "SUCCEEDED", "REVERSED", 1), good},
	} {
		if _, err := RestoreRecord([]byte(newer.value), newer.headers); !errors.Is(err, ErrNewer) {
			t.Errorf("newer %s: got %v", name, err)
		}
	}
}

// The same id has the same content, after a rebuild too, whatever a gateway tells.
func TestRestoredRecordRendersTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec := anyRecord().Draw(t, "record")
		key, value, hs := EncodeStatus(rec)
		restored, err := RestoreRecord(value, hs)
		if err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		if restored.Request.Content() != rec.Request.Content() || !same(restored.Request, rec.Request) {
			t.Fatalf("request\n got %+v\nwant %+v", restored.Request, rec.Request)
		}
		if restored.Order != rec.Order || restored.Last.Epoch != rec.Last.Epoch || restored.Provider != rec.Provider {
			t.Fatalf("got %+v\nwant %+v", restored, rec)
		}
		key2, value2, hs2 := EncodeStatus(restored)
		if !bytes.Equal(key, key2) || !bytes.Equal(value, value2) {
			t.Fatalf("rendered again\n got %s\nwant %s", value2, value)
		}
		if !slices.EqualFunc(hs, hs2, func(a, b Header) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) }) {
			t.Fatalf("headers again\n got %s\nwant %s", hs2, hs)
		}
	})
}

func TestRequestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req := anyRequest().Draw(t, "request")
		value, hs := EncodeRequest(req)
		for mode, encoded := range map[string][]byte{
			"binary":     value,
			"structured": []byte(structured(`"traceparent":"` + req.Trace.Parent + `","tracestate":"` + req.Trace.State + `","data":` + string(value))),
		} {
			hs := hs
			if mode == "structured" {
				hs = headers("content-type", "application/cloudevents+json")
			}
			got, err := DecodeRequest(encoded, hs)
			if err != nil {
				t.Fatalf("%s: %s: %v", mode, encoded, err)
			}
			if !same(got, req) {
				t.Fatalf("%s: got  %+v\nwant %+v", mode, got, req)
			}
			follow, err := DecodeFollowUp(encoded, hs)
			if err != nil || !same(follow, got) {
				t.Fatalf("%s: as follow-up %+v, %v", mode, follow, err)
			}
		}
	})
}

func anyRequest() *rapid.Generator[refund.Request] {
	number := rapid.StringMatching(`[A-Za-z0-9_.:@+*=|-]{1,64}`)
	optional := func(g *rapid.Generator[string]) *rapid.Generator[string] { return rapid.OneOf(rapid.Just(""), g) }
	return rapid.Custom(func(t *rapid.T) refund.Request {
		cur, _ := refund.CurrencyOf(rapid.SampledFrom([]string{"HKD", "JPY", "KWD", "CLF"}).Draw(t, "currency"))
		money := func(label string) refund.Money {
			return refund.Money{Minor: rapid.Int64Range(1, refund.MaxMinor).Draw(t, label), Currency: cur}
		}
		req := refund.Request{
			Key: refund.Key{
				Merchant: rapid.StringMatching(`[A-Za-z0-9._-]{1,64}`).Draw(t, "merchant"),
				RefundNo: number.Draw(t, "refund_no"),
			},
			OrderNo:       optional(number).Draw(t, "order_no"),
			TransactionID: optional(number).Draw(t, "transaction_id"),
			Amount:        money("amount"),
			OrderAmount:   money("order_amount"),
			Method:        rapid.StringN(0, 20, -1).Draw(t, "method"),
			Wallet:        rapid.StringN(0, 20, -1).Draw(t, "wallet"),
			Terminal:      rapid.StringN(0, 20, -1).Draw(t, "terminal"),
			Flow:          rapid.SampledFrom([]refund.Flow{refund.FlowRefund, refund.FlowApply}).Draw(t, "flow"),
			Reason:        rapid.StringN(0, 256, -1).Draw(t, "reason"),
		}
		if rapid.Bool().Draw(t, "timed") {
			zone := time.FixedZone("", rapid.IntRange(-14*60, 14*60).Draw(t, "zone")*60)
			req.RequestedAt = time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(zone)
		}
		if rapid.Bool().Draw(t, "traced") {
			req.Trace.Parent = rapid.StringMatching(`00-[0-9a-f]{32}-[0-9a-f]{16}-01`).Draw(t, "traceparent")
			req.Trace.State = rapid.StringMatching(`([a-z]{1,5}=[0-9]{1,5})?`).Draw(t, "tracestate")
		}
		return req
	})
}

// anyRecord may also be that of an unmatched callback, with bytes of a gateway.
func anyRecord() *rapid.Generator[refund.Record] {
	bytesText := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 30), func(b []byte) string { return string(b) })
	text := rapid.OneOf(rapid.Just(""), rapid.StringN(0, 2000, -1), bytesText)
	return rapid.Custom(func(t *rapid.T) refund.Record {
		when := func(label string) time.Time {
			return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, label), rapid.Int64Range(0, 999_999_999).Draw(t, label+" ns"))
		}
		req := anyRequest().Draw(t, "request")
		if rapid.Bool().Draw(t, "unmatched") {
			req.OrderAmount, req.Flow, req.Terminal, req.Reason, req.RequestedAt = refund.Money{}, "", "", "", time.Time{}
			if rapid.Bool().Draw(t, "no amount") {
				req.Amount.Minor = 0
			}
		}
		rec := refund.Record{
			Request: req, Provider: "eftpay", Order: req.OrderNo,
			Last: refund.Event{
				Epoch:    rapid.Int64Range(0, 1e6).Draw(t, "epoch"),
				Sequence: rapid.Int64Range(1, 1<<60).Draw(t, "sequence"),
				Status:   rapid.SampledFrom(known).Draw(t, "status"),
				Source:   rapid.SampledFrom([]refund.Source{refund.FromWorker, refund.FromCallback, refund.FromQuery, refund.FromOperator}).Draw(t, "source"),
				Matched:  rapid.Bool().Draw(t, "matched"), Correction: rapid.Bool().Draw(t, "correction"),
				OrderFullyRefunded: rapid.Bool().Draw(t, "full"), Attempt: rapid.IntRange(0, 99).Draw(t, "attempt"),
				ProviderStatus: text.Draw(t, "provider_status"), ProviderRefundID: text.Draw(t, "provider_refund_id"),
				TransactionID: text.Draw(t, "told transaction"), Code: text.Draw(t, "code"), Message: text.Draw(t, "message"),
				RecordedAt: when("recorded"),
			},
		}
		if rapid.Bool().Draw(t, "dated") {
			rec.Last.OccurredAt, rec.FirstSeen = when("occurred"), when("first seen")
		}
		return rec
	})
}
