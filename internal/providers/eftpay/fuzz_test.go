package eftpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

func seeds(f *testing.F) {
	for _, body := range []string{
		signedBody(notification, testSecret), signedBody(jsapi, testSecret), signedBody(callAnswer, testSecret),
		signedBody(queryAnswer, testSecret), signedBody(unifiedAnswer, testSecret), `{"return_status":"-13","return_char":"invalid service"}`,
		`{"a":1e999,"b":null,"c":true,"d":"\ud800"}`, `{"a":"x&b=1"}`, `{"a":{}}`, `{"a":1,"a":2}`, "{}", "null", "\ufeff{}", `{"a":"1"`, `{"":""}`,
	} {
		f.Add([]byte(body))
	}
}

// byTokens reads an object by the standard library's tokens, without the rules that
// are ours alone. False where it is not one flat object.
func byTokens(body []byte) (fields, bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	f := fields{}
	for d.More() {
		key, _ := d.Token()
		value, err := d.Token()
		name, isString := key.(string)
		if _, nested := value.(json.Delim); err != nil || nested || !isString {
			return nil, false
		}
		if f[name] = fmt.Sprint(value); value == nil {
			f[name] = ""
		}
	}
	_, closed := d.Token()
	_, behind := d.Token()
	return f, closed == nil && behind == io.EOF
}

// Whatever comes in, the parser reads what the standard library reads, answers
// fields that write and read back the same, and never two meanings of one signed
// text.
func FuzzParseFlat(f *testing.F) {
	seeds(f)
	for _, body := range []string{
		" { \"a\" :\t1.50 ,\r\n\"b\\\"\": \"x\\\\\" } ", `{"a":"\\","b":"\"}"}`, `{"a":"\u20ac\ud83d\ude00\/"}`, `{"a":[]}`, `{"a":-0e-1,"b":false}`,
		`{"a":1}}`, `{"a":1,}`, `{"a":tru}`, `{"a":"\x"}`, `[]`, `"a"`, `{`, ``, `{"a"}`, `{"a":1 "b":2}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parseFlat(body)
		if plain, ok := byTokens(body); err == nil && !(ok && maps.Equal(got, plain)) {
			t.Fatalf("%q is read as %q, by tokens as %q, %v", body, got, plain, ok)
		}
		if _, ok := byTokens(body); ok && err != nil && strings.Contains("broken JSON, not a JSON object, a value is nested", err.Error()) {
			t.Fatalf("%q is refused: %v", body, err)
		}
		if err != nil {
			if got != nil {
				t.Fatal("fields and an error")
			}
			return
		}
		if !utf8.Valid(body) || !json.Valid(body) || len(got) > maxFields {
			t.Fatalf("%q was read", body)
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseFlat(again); err != nil || !maps.Equal(back, got) {
			t.Fatalf("%q is read as %v, written and read again as %v, %v", body, got, back, err)
		}
	})
}

// resigned is the object with a right signature, so that a fuzzer gets past it.
func resigned(g *Gateway, body []byte) (fields, []byte) {
	f, err := parseFlat(body)
	if err != nil {
		return nil, nil
	}
	f["sign"] = signature(testSecret, g.keys.canonical(f))
	again, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return f, again
}

// Nothing that was not signed by the secret is ever a notice, every refusal is
// typed, and what is signed is a notice only where it says all that one needs.
func FuzzParseCallback(f *testing.F) {
	seeds(f)
	g := newGateway(f, "", nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		signed, again := resigned(g, body)
		bodies := [][]byte{body}
		if signed != nil {
			bodies = append(bodies, again)
		}
		for _, body := range bodies {
			n, err := g.ParseCallback(body)
			var refused *refund.CallbackError
			if err != nil {
				if !errors.As(err, &refused) || n != (refund.Notice{}) {
					t.Fatalf("%q: %v, %+v", body, err, n)
				}
				continue
			}
			told, _ := parseFlat(body)
			if told["sign"] != signature(testSecret, g.keys.canonical(told)) {
				t.Fatalf("%q has another signature and was read", body)
			}
			if n.Request.Amount.Minor <= 0 || n.Request.RefundNo != told["refund_no"] || !number.MatchString(n.Request.RefundNo) ||
				told["trade_type"] != "REFUND" || told["user_confirm_key"] != "S0003469" {
				t.Fatalf("%q: %+v", body, n)
			}
			if class := statuses[told["trade_status"]]; n.Outcome.Class != class && n.Outcome.Class != refund.Unknown {
				t.Fatalf("%q: %+v", body, n.Outcome)
			}
		}
	})
}

// No answer that is not signed says how a refund ended; of the signed ones only
// those that name it, with its amount.
func FuzzAnswer(f *testing.F) {
	seeds(f)
	g := newGateway(f, "not_found_codes: ['40']\n", nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		if told, unclear := g.verified(transport.Answer{Status: 200, Body: body}); unclear != nil {
			if unclear.Class != refund.Unknown {
				t.Fatalf("%q: %+v", body, unclear)
			}
		} else if told["sign"] != signature(testSecret, g.keys.canonical(told)) {
			t.Fatalf("%q has another signature and was read", body)
		}
		told, _ := resigned(g, body)
		if told == nil {
			return
		}
		ours := told["refund_no"] == sample().RefundNo || told["extra_trade_no"] == sample().RefundNo
		for door, o := range map[string]refund.Outcome{"call": g.judgeCall(told, sample()), "query": g.judgeQuery(told, sample())} {
			switch o.Class {
			case refund.Unknown:
			case refund.Succeeded, refund.Declined, refund.Pending:
				amount, err := g.amount(told["transaction_amount"])
				if !ours || told["return_status"] != accepted || statuses[told["trade_status"]] != o.Class ||
					told["transaction_amount"] != "" && (err != nil || amount != sample().Amount) {
					t.Fatalf("%q to a %s: %+v", body, door, o)
				}
			case refund.NotSent, refund.Misconfigured:
				if door != "call" || told["return_status"] != "12" && told["return_status"] != "-13" {
					t.Fatalf("%q to a %s: %+v", body, door, o)
				}
			case refund.NotFound:
				if door != "query" || told["return_status"] != "40" {
					t.Fatalf("%q to a %s: %+v", body, door, o)
				}
			default:
				t.Fatalf("%q to a %s: %+v", body, door, o)
			}
		}
	})
}
