package events

import (
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

func succeeded() refund.Record {
	at := time.Date(2023, 6, 9, 11, 6, 46, 123_987_654, time.FixedZone("", 8*3600))
	req := contractDecoded()
	req.Trace = refund.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "a=b"}
	return refund.Record{
		Request: req, Provider: "eftpay", Order: req.OrderNo, Attempt: 1, FirstSeen: at.Add(-time.Second),
		Last: refund.Event{
			Sequence: 2, Epoch: 3, Status: refund.StatusSucceeded, Source: refund.FromWorker, Matched: true, Attempt: 1,
			ProviderStatus: "TRADE_REFUND", ProviderRefundID: "eft-1", TransactionID: "4200001", OccurredAt: at, RecordedAt: at.Add(time.Second),
		},
	}
}

func TestEncodeStatusAsInTheContract(t *testing.T) {
	key, value, hs := EncodeStatus(succeeded())
	if want := "S0003469/201901010011"; string(key) != want {
		t.Errorf("key %s, want %s", key, want)
	}
	want := `{"refund_no":"201901010011","merchant":"S0003469","provider":"eftpay","order_no":"rrn_1686280006045","sequence":2,` +
		`"status":"SUCCEEDED","final":true,"source":"worker","matched":true,"correction":false,"amount":"0.01","order_amount":"10.01",` +
		`"currency":"HKD","order_fully_refunded":false,"provider_status":"TRADE_REFUND","provider_refund_id":"eft-1",` +
		`"transaction_id":"4200001","attempt":1,"occurred_at":"2023-06-09T03:06:46.123Z","recorded_at":"2023-06-09T03:06:47.123Z"}`
	if string(value) != want {
		t.Errorf("value\n got %s\nwant %s", value, want)
	}
	for name, want := range map[string]string{
		"content-type": "application/json", "ce_specversion": "1.0", "ce_type": "refund.status.v1",
		"ce_id": "S0003469/201901010011/2", "ce_source": "/refundworker/eftpay/S0003469", "ce_subject": "201901010011",
		"ce_time": "2023-06-09T03:06:47.123Z", "refund-v": "1", "refund-epoch": "3", "refund-content": succeeded().Request.Content(),
		"refund-request": `{"order":"rrn_1686280006045","method":"WeChat","wallet":"WECHATCN","terminal":"tid_3378","flow":"refund",` +
			`"reason":"test refund","requested_at":"2023-06-09T03:06:46Z","first_seen":"2023-06-09T03:06:45.123Z","transaction_told":true}`,
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b",
	} {
		if got := header(hs, name); got != want {
			t.Errorf("header %s\n got %s\nwant %s", name, got, want)
		}
	}
	if len(hs) != 13 {
		t.Errorf("%d headers: %v", len(hs), hs)
	}
}

// What is always there, and nothing else, where nothing else is known: a callback
// for a refund that was never requested here.
func TestEncodeStatusOfLittle(t *testing.T) {
	rec := refund.Record{
		Request:  refund.Request{Key: refund.Key{Merchant: "m", RefundNo: "r"}, Amount: refund.Money{Minor: 5, Currency: hkd}},
		Provider: "bluepay",
		Last: refund.Event{Sequence: 3001, Status: refund.StatusUnknown, Source: refund.FromCallback, RecordedAt: time.Unix(0, 0),
			Message: "say \"\\\n\x01\xff\u2028 é"},
	}
	_, value, hs := EncodeStatus(rec)
	want := `{"refund_no":"r","merchant":"m","provider":"bluepay","sequence":3001,"status":"UNKNOWN","final":false,"source":"callback",` +
		`"matched":false,"correction":false,"amount":"0.05","currency":"HKD","order_fully_refunded":false,` +
		`"error":{"message":"say \"\\\u000a\u0001` + "\ufffd\u2028" + ` é"},"attempt":0,` +
		`"occurred_at":"1970-01-01T00:00:00.000Z","recorded_at":"1970-01-01T00:00:00.000Z"}`
	if string(value) != want {
		t.Errorf("value\n got %s\nwant %s", value, want)
	}
	if got := header(hs, HeaderRequest); got != "{}" {
		t.Errorf("refund-request %s", got)
	}
	st, err := DecodeStatus(value, hs)
	if err != nil || st.ID() != "m/r/3001" || st.Matched || st.OrderAmount != (refund.Money{}) || st.Amount != rec.Request.Amount {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestEncodeStatusClipsWhatGatewaysTell(t *testing.T) {
	rec := succeeded()
	rec.Last.Message = strings.Repeat("é", 100_000)
	rec.Last.ProviderStatus = strings.Repeat("\xff", 100_000)
	rec.Last.ProviderRefundID = strings.Repeat("a", maxTold-1) + "é"
	_, value, hs := EncodeStatus(rec)
	st, err := DecodeStatus(value, hs)
	if err != nil {
		t.Fatal(err)
	}
	if st.Message != strings.Repeat("é", maxTold/2) || st.ProviderStatus != "\ufffd" || st.ProviderRefundID != strings.Repeat("a", maxTold-1) {
		t.Errorf("%d bytes of message, %q, %d of id", len(st.Message), st.ProviderStatus, len(st.ProviderRefundID))
	}
}

func TestDecodeStatus(t *testing.T) {
	_, value, hs := EncodeStatus(succeeded())
	st, err := DecodeStatus(value, hs)
	if err != nil {
		t.Fatal(err)
	}
	rec := succeeded()
	want := Status{
		Key: rec.Key(), Provider: "eftpay", OrderNo: "rrn_1686280006045", Amount: rec.Request.Amount, OrderAmount: rec.Request.OrderAmount,
		Final: true, Event: rec.Last, Trace: rec.Request.Trace,
	}
	want.Epoch = 0 // a subscriber is not told
	want.OccurredAt = want.OccurredAt.UTC().Truncate(time.Millisecond)
	want.RecordedAt = want.RecordedAt.UTC().Truncate(time.Millisecond)
	if st != want {
		t.Errorf("got  %+v\nwant %+v", st, want)
	}
	later := `{"new":{"a":1},` + strings.Replace(string(value), "SUCCEEDED", "REVERSED", 1)[1:]
	if st, err = DecodeStatus([]byte(later), nil); err != nil || st.Status != "REVERSED" || !st.Final {
		t.Errorf("what a later version may write: %+v, %v", st, err)
	}
}

func TestDecodeStatusRefuses(t *testing.T) {
	_, value, hs := EncodeStatus(succeeded())
	v := string(value)
	for name, test := range map[string]struct {
		value  string
		reason Reason
		want   string
	}{
		"no JSON":        {v[1:], Undecodable, "no readable JSON"},
		"twice":          {`{"sequence":1,` + v[1:], Undecodable, "twice"},
		"array":          {"[]", Invalid, "not a JSON object"},
		"empty":          {"{}", Invalid, "refund_no: missing; merchant: missing; provider: missing; sequence: missing; status: missing; final: missing; source: missing; matched: missing; correction: missing; amount: missing; currency: missing; attempt: missing; occurred_at: missing; recorded_at: missing"},
		"sequence":       {strings.Replace(v, `"sequence":2`, `"sequence":2.5`, 1), Invalid, "sequence: not a whole number"},
		"huge sequence":  {strings.Replace(v, `"sequence":2`, `"sequence":92233720368547758070`, 1), Invalid, "sequence: not a whole number"},
		"sequence text":  {strings.Replace(v, `"sequence":2`, `"sequence":"2"`, 1), Invalid, "sequence: not a number"},
		"final":          {strings.Replace(v, `"final":true`, `"final":1`, 1), Invalid, "final: not true or false"},
		"amount":         {strings.Replace(v, `"0.01"`, `"-0.01"`, 1), Invalid, "amount: not an amount"},
		"order_amount":   {strings.Replace(v, `"10.01"`, `"ten"`, 1), Invalid, "order_amount: not an amount"},
		"time":           {strings.Replace(v, `46.123Z`, `46`, 1), Invalid, "occurred_at: not a time"},
		"time as number": {strings.Replace(v, `"2023-06-09T03:06:46.123Z"`, `1`, 1), Invalid, "invalid: occurred_at: not a string"},
		"error":          {strings.Replace(v, `"attempt"`, `"error":"x","attempt"`, 1), Invalid, "error: not an object"},
		"error.code":     {strings.Replace(v, `"attempt"`, `"error":{"code":7},"attempt"`, 1), Invalid, "error.code: not a string"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeStatus([]byte(test.value), hs)
			expect(t, err, test.reason, test.want)
		})
	}
	_, err := DecodeStatus(nil, nil)
	expect(t, err, Undecodable, "tombstone")
	_, err = DecodeStatus([]byte(contractRequest), binary())
	expect(t, err, Undecodable, "no CloudEvent of type refund.status.v1")
}
