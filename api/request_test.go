package api_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/refund"
)

// requestRequired are the fields without which no request is taken (DESIGN.md,
// section 4).
var requestRequired = []string{"refund_no", "merchant", "amount", "order_amount", "currency"}

// fullRequest has every field.
func fullRequest() map[string]any {
	return map[string]any{
		"refund_no": "R1", "merchant": "S0003469", "order_no": "O1", "transaction_id": "T1", "amount": "0.01", "order_amount": "10.01",
		"currency": "HKD", "method": "WeChat", "wallet": "WECHATCN", "terminal": "tid_3378", "flow": "apply", "reason": "test",
		"requested_at": "2023-06-09T11:06:46+08:00",
	}
}

// The decoder refuses exactly what the schema refuses, for requests of which some
// fields are left out, wrong in some way, or at the edges of their rules.
func TestRequestSchemaAndDecoderAgree(t *testing.T) {
	schema := compile(t, "request")
	taken, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			request := fullRequest()
			changed := rapid.SliceOfNDistinct(rapid.SampledFrom(names(request)), 1, 4, rapid.ID).Draw(t, "changed")
			for _, field := range changed {
				if v := fieldValue(field).Draw(t, field); v != absent {
					request[field] = v
				} else {
					delete(request, field)
				}
			}
			text := mustMarshal(request)
			_, err := events.DecodeRequest(text, nil)
			valid := schema.Validate(request)
			if (err == nil) != (valid == nil) {
				t.Fatalf("%s\ndecoder: %v\nschema: %v", text, err, valid)
			}
			if err == nil {
				taken++
			} else {
				refused++
			}
		}
	})
	if taken < 100 || refused < 100 {
		t.Errorf("%d taken, %d refused: of both some are needed", taken, refused)
	}
}

// absent stands for a field that is not there.
var absent any = struct{ absent bool }{true}

func fieldValue(field string) *rapid.Generator[any] {
	form := rapid.StringMatching(forms[field]).AsAny()
	return rapid.OneOf(form, form, form, form, form, rapid.Just(absent), rapid.Just[any](nil), rapid.Just[any](""),
		rapid.SampledFrom([]any{1, 0.5, true, []any{}, map[string]any{"a": "b"}}), rapid.StringN(0, 70, -1).AsAny())
}

// forms are values around the edges of each field's rule.
var forms = map[string]string{
	"refund_no": `[A-Za-z0-9_.:@+*=|-]{1,64}|[a-z]{64,65}|[a-z ]{3}`, "merchant": `[A-Za-z0-9._-]{1,64}|[a-z:]{3}`,
	"order_no": `[a-z|*]{0,65}`, "transaction_id": `[0-9@]{0,65}`,
	"amount": `0{0,2}[0-9]{1,6}(\.[0-9]{0,3})?|0\.0{0,4}[0-9]`, "order_amount": `[0-9]{1,8}(\.[0-9]{1,2})?|-?[0-9]{2}\.[0-9]{2} ?`,
	"currency": `HKD|THB|JPY|KWD|CLF|USD|XXX|hkd|ZZZ`, "method": `WeChat|Alipay`, "wallet": `WECHAT[A-Z]{2}`, "terminal": `[a-z]{1,20}`,
	"flow": `refund|apply|refund|Refund`, "reason": `(退款|[a-z]){0,260}`,
	"requested_at": `2023-(06|02|13)-(0[1-9]|28|29|31)[Tt ](1[0-9]|24):[0-5][0-9]:([0-5][0-9]|60)([.,][0-9]{1,3})?([Zz]|[+-](0[0-9]|2[34]):[0-6][0-9])?`,
}

// What the schema cannot say, its description does; here is what it comes to.
func TestRequestRulesBeyondTheSchema(t *testing.T) {
	schema := compile(t, "request")
	large := fullRequest()
	large["order_amount"] = "90071992547409.92"
	fits(t, schema, any(large), "one minor unit too many")
	refusedFor(t, mustMarshal(large), events.Invalid)
	large["order_amount"] = "90071992547409.91"
	if _, err := events.DecodeRequest(mustMarshal(large), nil); err != nil {
		t.Error(err)
	}
	twice := strings.Replace(string(mustMarshal(fullRequest())), `"amount"`, `"amount":"0.01","amount"`, 1)
	refusedFor(t, []byte(twice), events.Undecodable)
}

func refusedFor(t *testing.T, text []byte, want events.Reason) {
	t.Helper()
	var e *events.Error
	if _, err := events.DecodeRequest(text, nil); !errors.As(err, &e) || e.Reason != want {
		t.Errorf("%s: got %v, want %s", text, err, want)
	}
}

// The schema's table of currencies is the code's, with the same decimals.
func TestRequestCurrencies(t *testing.T) {
	definitions := document(t, "request")["definitions"].(map[string]any)
	seen := 0
	for i := range 26 * 26 * 26 {
		code := string([]byte{'A' + byte(i/676), 'A' + byte(i/26%26), 'A' + byte(i%26)})
		c, known := refund.CurrencyOf(code)
		for exponent, name := range []string{"decimals0", "", "decimals2", "decimals3", "decimals4"} {
			if name == "" {
				continue
			}
			listed := slices.Contains(definitions[name].(map[string]any)["enum"].([]any), any(code))
			if listed != (known && c.Exponent == exponent) {
				t.Errorf("%s: in %s: %v, in the code: %v with %d decimals", code, name, listed, known, c.Exponent)
			}
			if listed {
				seen++
			}
		}
	}
	if seen != 165 {
		t.Errorf("%d currencies", seen)
	}
}

// What EncodeRequest writes is valid, with and without each field, and names no
// field that the schema does not have; together they name all of them.
func TestRequestsAsWritten(t *testing.T) {
	schema, headers := strict(t, "request"), strict(t, "request-headers")
	seen, always := map[string]bool{}, names(fullRequest())
	for _, full := range []bool{true, false} {
		given := fullRequest()
		for field := range given {
			if !full && !slices.Contains(requestRequired, field) {
				delete(given, field)
			}
		}
		request, err := events.DecodeRequest(mustMarshal(given), nil)
		if err != nil {
			t.Fatal(err)
		}
		if full {
			request.Trace = refund.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "a=b"}
		}
		value, hs := events.EncodeRequest(request)
		written := object(t, value)
		fits(t, schema, any(written), "written")
		fits(t, headers, any(headerObject(hs)), "headers")
		for field := range written {
			seen[field] = true
		}
		always = slices.DeleteFunc(always, func(field string) bool { _, there := written[field]; return !there })
	}
	if got, want := names(seen), names(properties(document(t, "request"))); !slices.Equal(got, want) {
		t.Errorf("written %v, in the schema %v", got, want)
	}
	for _, field := range requestRequired {
		if !slices.Contains(always, field) {
			t.Errorf("%s is required and not always written", field)
		}
	}
}

// A request in structured mode is valid where the decoder takes it.
func TestStructuredRequests(t *testing.T) {
	schema := compile(t, "request-event")
	headers := []events.Header{{Key: "content-type", Value: []byte("application/cloudevents+json")}}
	base := func() map[string]any {
		return map[string]any{"specversion": "1.0", "type": events.TypeRequest, "id": "1", "source": "/shop", "data": fullRequest()}
	}
	for name, change := range map[string]func(map[string]any){
		"right":            func(map[string]any) {},
		"with time":        func(e map[string]any) { e["time"] = time.Unix(0, 0).UTC().Format(time.RFC3339) },
		"no id":            func(e map[string]any) { delete(e, "id") },
		"no source":        func(e map[string]any) { delete(e, "source") },
		"other type":       func(e map[string]any) { e["type"] = "x" },
		"other version":    func(e map[string]any) { e["specversion"] = "0.3" },
		"no data":          func(e map[string]any) { delete(e, "data") },
		"data twice":       func(e map[string]any) { e["data_base64"] = "e30=" },
		"data not a right": func(e map[string]any) { e["data"].(map[string]any)["amount"] = "x" },
		"extension":        func(e map[string]any) { e["partitionkey"] = "O1" },
	} {
		event := base()
		change(event)
		text := mustMarshal(event)
		_, err := events.DecodeRequest(text, headers)
		if valid := schema.Validate(object(t, text)); (err == nil) != (valid == nil) {
			t.Errorf("%s: decoder: %v, schema: %v", name, err, valid)
		}
	}
}
