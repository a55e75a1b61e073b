package events

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// contractRequest is the example of DESIGN.md, section 4.
const contractRequest = `{"refund_no":"201901010011","merchant":"S0003469","order_no":"rrn_1686280006045","transaction_id":"",
 "amount":"0.01","order_amount":"10.01","currency":"HKD","method":"WeChat","wallet":"WECHATCN","terminal":"tid_3378",
 "flow":"refund","reason":"test refund","requested_at":"2023-06-09T11:06:46+08:00"}`

var hkd = refund.Currency{Code: "HKD", Exponent: 2}

func contractDecoded() refund.Request {
	return refund.Request{
		Key:         refund.Key{Merchant: "S0003469", RefundNo: "201901010011"},
		OrderNo:     "rrn_1686280006045",
		Amount:      refund.Money{Minor: 1, Currency: hkd},
		OrderAmount: refund.Money{Minor: 1001, Currency: hkd},
		Method:      "WeChat", Wallet: "WECHATCN", Terminal: "tid_3378", Flow: refund.FlowRefund, Reason: "test refund",
		RequestedAt: time.Date(2023, 6, 9, 3, 6, 46, 0, time.UTC),
	}
}

// same compares requests; two times are the same when they are the same instant.
func same(a, b refund.Request) bool {
	at, bt := a.RequestedAt, b.RequestedAt
	a.RequestedAt, b.RequestedAt = time.Time{}, time.Time{}
	return a == b && at.Equal(bt) && at.IsZero() == bt.IsZero()
}

// headers makes headers of name, value, name, value ...
func headers(pairs ...string) (hs []Header) {
	for i := 0; i < len(pairs); i += 2 {
		hs = append(hs, Header{pairs[i], []byte(pairs[i+1])})
	}
	return hs
}

func binary(pairs ...string) []Header {
	return append(headers("content-type", "application/json", "ce_specversion", "1.0", "ce_type", TypeRequest,
		"ce_id", "A234-1234-1234", "ce_source", "/shop"), headers(pairs...)...)
}

func structured(data string) string {
	return `{"specversion":"1.0","type":"` + TypeRequest + `","source":"/shop","id":"1",` + data + `}`
}

func TestDecodeRequestModes(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ce := func(media string) []Header { return headers("content-type", media) }
	traced := contractDecoded()
	traced.Trace = refund.Trace{Parent: parent, State: "a=b"}
	for name, test := range map[string]struct {
		value   string
		headers []Header
		want    refund.Request
	}{
		"bare":                      {contractRequest, nil, contractDecoded()},
		"bare, foreign headers":     {contractRequest, headers("content-type", "text/plain", "x-origin", "\xff"), contractDecoded()},
		"bare, traced":              {contractRequest, headers("traceparent", parent, "tracestate", "a=b"), traced},
		"binary":                    {contractRequest, binary(), contractDecoded()},
		"binary, charset":           {contractRequest, binary("content-type", "application/json; charset=UTF-8"), contractDecoded()},
		"binary, Content-Type":      {contractRequest, binary("Content-Type", "Application/JSON"), contractDecoded()},
		"binary, suffix":            {contractRequest, binary("content-type", "application/vnd.shop+json"), contractDecoded()},
		"binary, last header":       {contractRequest, append(headers("ce_type", "other"), binary()...), contractDecoded()},
		"binary, extensions":        {contractRequest, binary("ce_partitionkey", "rrn", "ce_time", "2018-04-05T03:56:24Z"), contractDecoded()},
		"binary, traced attribute":  {contractRequest, binary("ce_traceparent", parent, "ce_tracestate", "a=b"), traced},
		"binary, header before ext": {contractRequest, binary("ce_traceparent", "00-x", "traceparent", parent, "tracestate", "a=b"), traced},
		"structured":                {structured(`"data":` + contractRequest), ce("application/cloudevents+json; charset=UTF-8"), contractDecoded()},
		"structured, any order":     {`{"data":` + contractRequest + `,` + structured(`"x":1`)[1:], ce("application/cloudevents+json"), contractDecoded()},
		"structured, traced": {structured(`"traceparent":"` + parent + `","tracestate":"a=b","datacontenttype":"application/json","data":` + contractRequest),
			ce("application/cloudevents+json"), traced},
		"structured, base64": {structured(`"data_base64":"eyJyZWZ1bmRfbm8iOiJyMSIsIm1lcmNoYW50IjoibSIsImFtb3VudCI6IjEiLCJvcmRlcl9hbW91bnQiOiIxIiwiY3VycmVuY3kiOiJIS0QifQ=="`),
			ce("application/cloudevents+json"), refund.Request{Key: refund.Key{Merchant: "m", RefundNo: "r1"}, Flow: refund.FlowRefund,
				Amount: refund.Money{Minor: 100, Currency: hkd}, OrderAmount: refund.Money{Minor: 100, Currency: hkd}}},
		"unknown fields":                      {`{"x":{"a":[1,{"b":null}]},"Amount":"9",` + contractRequest[1:], nil, contractDecoded()},
		"escapes":                             {strings.Replace(contractRequest, "S0003469", `S00\u00303469`, 1), nil, contractDecoded()},
		"null is nothing":                     {strings.Replace(contractRequest, `"transaction_id":""`, `"transaction_id":null`, 1), nil, contractDecoded()},
		"0.010 is not there":                  {strings.Replace(contractRequest, `"10.01"`, `"0010.01"`, 1), nil, contractDecoded()},
		"small t and z":                       {strings.Replace(contractRequest, "2023-06-09T11:06:46+08:00", "2023-06-09t03:06:46z", 1), nil, contractDecoded()},
		"trace of other bytes is not carried": {contractRequest, headers("traceparent", "00-\xff", "tracestate", "a=b"), contractDecoded()},
		"trace too long is not carried":       {contractRequest, headers("traceparent", strings.Repeat("0", 129)), contractDecoded()},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeRequest([]byte(test.value), test.headers)
			if err != nil {
				t.Fatal(err)
			}
			if !same(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestDecodeRequestUndecodable(t *testing.T) {
	structuredHeaders := headers("content-type", "application/cloudevents+json")
	for name, test := range map[string]struct {
		value   string
		headers []Header
		want    string
	}{
		"empty":                      {"", nil, "no readable JSON"},
		"no JSON":                    {"refund", nil, "no readable JSON"},
		"cut off":                    {contractRequest[:100], nil, "no readable JSON"},
		"two documents":              {contractRequest + contractRequest, nil, "more after the end"},
		"byte order mark":            {"\ufeff" + contractRequest, nil, "no readable JSON"},
		"not UTF-8":                  {strings.Replace(contractRequest, "test", "te\xffst", 1), nil, "not UTF-8"},
		"UTF-16":                     {"\xff\xfe{\x00}\x00", nil, "not UTF-8"},
		"half a surrogate":           {`{"x":"\ud800"}`, nil, "half a surrogate"},
		"twice":                      {`{"amount":"0.01",` + contractRequest[1:], nil, "a key stands twice"},
		"twice, escaped":             {`{"am\u006funt":"0.01",` + contractRequest[1:], nil, "a key stands twice"},
		"twice, unknown":             {`{"x":1,"x":1,` + contractRequest[1:], nil, "a key stands twice"},
		"twice, deep":                {`{"x":[{"y":{"z":1,"a":2,"z":1}}],` + contractRequest[1:], nil, "a key stands twice"},
		"comment":                    {"{/**/}", nil, "no readable JSON"},
		"wrong type":                 {contractRequest, binary("ce_type", "refund.requested.v2"), "no CloudEvent of type refund.requested.v1"},
		"status on the wrong topic":  {contractRequest, binary("ce_type", TypeStatus), "no CloudEvent of type refund.requested.v1"},
		"wrong specversion":          {contractRequest, binary("ce_specversion", "0.3"), "specversion 1.0"},
		"no id":                      {contractRequest, headers("ce_specversion", "1.0", "ce_type", TypeRequest, "ce_source", "/a"), "id is missing"},
		"no specversion":             {contractRequest, headers("ce_type", TypeRequest), "specversion is missing"},
		"binary, not JSON's type":    {contractRequest, binary("content-type", "application/xml"), "no JSON"},
		"structured, other format":   {contractRequest, headers("content-type", "application/cloudevents+avro"), "only application/cloudevents+json"},
		"batch":                      {"[" + structured(`"data":{}`) + "]", headers("content-type", "application/cloudevents-batch+json"), "only application/cloudevents+json"},
		"structured, no object":      {"[]", structuredHeaders, "not a JSON object"},
		"structured, no event":       {contractRequest, structuredHeaders, "specversion is missing"},
		"structured, wrong type":     {strings.Replace(structured(`"data":{}`), ".v1", ".v9", 1), structuredHeaders, "no CloudEvent of type"},
		"structured, twice in data":  {structured(`"data":{"a":1,"a":1}`), structuredHeaders, "a key stands twice"},
		"structured, twice":          {structured(`"type":"x","data":{}`), structuredHeaders, "a key stands twice"},
		"structured, two data":       {structured(`"data":{},"data_base64":"e30="`), structuredHeaders, "data and data_base64"},
		"structured, no base64":      {structured(`"data_base64":"%%"`), structuredHeaders, "no Base64"},
		"structured, XML":            {structured(`"datacontenttype":"application/xml","data":"<a/>"`), structuredHeaders, "no JSON"},
		"structured, no data at all": {structured(`"x":1`), structuredHeaders, "no readable JSON"},
		"too deep":                   {strings.Repeat("[", 20000), nil, "nested too deeply"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeRequest([]byte(test.value), test.headers)
			expect(t, err, Undecodable, test.want)
		})
	}
	_, err := DecodeRequest(nil, nil)
	expect(t, err, Undecodable, "tombstone")
}

func expect(t *testing.T, err error, reason Reason, want string) {
	t.Helper()
	var failed *Error
	if !errors.As(err, &failed) {
		t.Fatalf("got %v, want an *Error", err)
	}
	if failed.Reason != reason || !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want %s with %q", err, reason, want)
	}
	if strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("the error is more than one line: %q", err)
	}
}

func TestDecodeRequestInvalid(t *testing.T) {
	with := func(field, value string) string { return replaceField(contractRequest, field, value) }
	long := func(n int) string { return `"` + strings.Repeat("é", n) + `"` }
	for name, test := range map[string]struct{ value, want string }{
		"array":                   {"[]", "invalid: not a JSON object"},
		"string":                  {`"x"`, "invalid: not a JSON object"},
		"null":                    {"null", "invalid: not a JSON object"},
		"empty object":            {"{}", "invalid: refund_no: missing; merchant: missing; amount: missing; order_amount: missing; currency: missing"},
		"amount as number":        {with("amount", "0.01"), "invalid: amount: not a string"},
		"several":                 {replaceField(with("amount", `"-1"`), "flow", `"Refund"`), `invalid: amount: not an amount: "-1" has a character other than 0-9 and one point; flow: must be refund or apply`},
		"all of wrong types":      {`{"refund_no":1,"merchant":[],"amount":{},"order_amount":true,"currency":2,"reason":false}`, "invalid: refund_no: not a string; merchant: not a string; amount: not a string; order_amount: not a string; currency: not a string; reason: not a string"},
		"refund_no with slash":    {with("refund_no", `"a/b"`), "invalid: refund_no: must be"},
		"refund_no too long":      {with("refund_no", `"`+strings.Repeat("a", 65)+`"`), "invalid: refund_no: must be"},
		"refund_no with space":    {with("refund_no", `"a "`), "invalid: refund_no: must be"},
		"refund_no with NUL":      {with("refund_no", `"a\u0000"`), "invalid: refund_no: must be"},
		"refund_no in Thai":       {with("refund_no", `"๑"`), "invalid: refund_no: must be"},
		"order_no":                {with("order_no", `"a#"`), "invalid: order_no: must be"},
		"transaction_id":          {with("transaction_id", `"a b"`), "invalid: transaction_id: must be"},
		"merchant with colon":     {with("merchant", `"a:b"`), "invalid: merchant: must be"},
		"merchant with braces":    {with("merchant", `"{a}"`), "invalid: merchant: must be"},
		"amount zero":             {with("amount", `"0.00"`), "invalid: amount: not an amount"},
		"amount with plus":        {with("amount", `"+1"`), "invalid: amount: not an amount"},
		"amount with space":       {with("amount", `" 1"`), "invalid: amount: not an amount"},
		"amount with exponent":    {with("amount", `"1e2"`), "invalid: amount: not an amount"},
		"amount with comma":       {with("amount", `"1,00"`), "invalid: amount: not an amount"},
		"amount in other digits":  {with("amount", `"１"`), "invalid: amount: not an amount"},
		"amount too fine":         {with("amount", `"0.001"`), "has more than the 2 decimals of HKD"},
		"amount too large":        {with("amount", `"90071992547409.92"`), "above the largest"},
		"amount without whole":    {with("amount", `".5"`), "invalid: amount: not an amount"},
		"amount without decimals": {with("amount", `"5."`), "invalid: amount: not an amount"},
		"order_amount missing":    {with("order_amount", `""`), "invalid: order_amount: missing"},
		"currency in small":       {with("currency", `"hkd"`), "invalid: currency: not an active currency"},
		"currency of metal":       {with("currency", `"XAU"`), "invalid: currency: not an active currency"},
		"currency and amount":     {replaceField(with("currency", `"RMB"`), "amount", `"x"`), `invalid: amount: not an amount: "x" has a character other than 0-9 and one point; currency: not an active`},
		"yen with decimals":       {with("currency", `"JPY"`), `invalid: amount: not an amount: "0.01" has more than the 0 decimals of JPY; order_amount: not`},
		"reason too long":         {with("reason", long(257)), "invalid: reason: longer than 256 characters"},
		"method too long":         {with("method", long(1025)), "invalid: method: longer than 1024 characters"},
		"no time":                 {with("requested_at", `"2023-06-09 11:06:46"`), "invalid: requested_at: not a time"},
		"time without zone":       {with("requested_at", `"2023-06-09T11:06:46"`), "invalid: requested_at: not a time"},
		"time without zeros":      {with("requested_at", `"2023-06-09T1:06:46Z"`), "invalid: requested_at: not a time"},
		"time with a comma":       {with("requested_at", `"2023-06-09T11:06:46,5Z"`), "invalid: requested_at: not a time"},
		"time 24 hours off":       {with("requested_at", `"2023-02-01T10:00:00+24:00"`), "invalid: requested_at: not a time"},
		"time 60 minutes off":     {with("requested_at", `"2023-02-01T10:00:00.5-08:60"`), "invalid: requested_at: not a time"},
		"time of no day":          {with("requested_at", `"2023-02-30T11:06:46Z"`), "invalid: requested_at: not a time"},
		"structured text":         {`"{}"`, "invalid: not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeRequest([]byte(test.value), nil)
			expect(t, err, Invalid, test.want)
		})
	}
	for name, value := range map[string]string{
		"reason of 256 characters": with("reason", long(256)),
		"all kinds of characters":  with("refund_no", `"aZ09_-.:@+*=|"`),
		"64 characters":            with("merchant", `"`+strings.Repeat("M", 64)+`"`),
		"amount above the order's": with("amount", `"99.00"`), // REJECTED by the claim, not dead
		"apply":                    with("flow", `"apply"`),
		"largest amount":           with("amount", `"90071992547409.91"`),
	} {
		if _, err := DecodeRequest([]byte(value), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// replaceField puts a raw JSON value in the place of a field's string.
func replaceField(doc, field, value string) string {
	before, after, ok := strings.Cut(doc, `"`+field+`":"`)
	if !ok {
		panic(field)
	}
	_, after, _ = strings.Cut(after, `"`)
	return before + `"` + field + `":` + value + after
}

func TestDecodeFollowUp(t *testing.T) {
	got, err := DecodeFollowUp([]byte(`{"merchant":"m","refund_no":"r","amount":"1.00","currency":"HKD"}`), binary())
	want := refund.Request{Key: refund.Key{Merchant: "m", RefundNo: "r"}, Amount: refund.Money{Minor: 100, Currency: hkd}, Flow: refund.FlowRefund}
	if err != nil || !same(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	got, err = DecodeFollowUp([]byte(`{"merchant":"m","refund_no":"r","amount":1,"order_no":"#","flow":"x","currency":"?"}`), nil)
	if want = (refund.Request{Key: want.Key}); err != nil || !same(got, want) {
		t.Errorf("got %+v, %v; want the name alone", got, err)
	}
	_, err = DecodeFollowUp([]byte(`{"merchant":"m","amount":1}`), nil)
	expect(t, err, Invalid, "invalid: refund_no: missing")
	_, err = DecodeFollowUp([]byte(`[]`), nil)
	expect(t, err, Invalid, "not a JSON object")
	_, err = DecodeFollowUp([]byte(`{"merchant":"m","merchant":"n"}`), nil)
	expect(t, err, Undecodable, "twice")
}
