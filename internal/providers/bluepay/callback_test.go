package bluepay

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/refund"
)

func parse(t testing.TB, body []byte) (refund.Notice, *refund.CallbackError) {
	t.Helper()
	g, _ := answering(t, "")
	return parseWith(t, g, body)
}

func parseWith(t testing.TB, g *Gateway, body []byte) (refund.Notice, *refund.CallbackError) {
	t.Helper()
	n, err := g.ParseCallback(body)
	var refused *refund.CallbackError
	if err != nil && !errors.As(err, &refused) {
		t.Fatalf("%v is no CallbackError", err)
	}
	return n, refused
}

func TestTheNotificationThatOpenSSLSigned(t *testing.T) {
	rotated := on(t, &wire{}, merchant(block("verify_key_files: [next_public.pem]\n")))
	for _, sign := range []string{"notification_param.sign", "notification_param.next.sign"} {
		body, err := json.Marshal(map[string]string{"sign": file(t, sign), "param": file(t, "notification_param.json")})
		if err != nil {
			t.Fatal(err)
		}
		n, refused := parseWith(t, rotated, body)
		if refused != nil {
			t.Fatal(refused)
		}
		want := refund.Notice{
			Request: refund.Request{Key: sample().Key, TransactionID: "CU518563189147832780", Amount: sample().Amount, Flow: refund.FlowRefund},
			Order:   "CU518563189147832780",
			Outcome: refund.Outcome{Class: refund.Succeeded, ProviderStatus: "COMPLETE", ProviderRefundID: "1818566685947728",
				TransactionID: "CU518563189147832780", OccurredAt: n.Outcome.OccurredAt},
		}
		if n != want {
			t.Errorf("%s: %+v\nwant %+v", sign, n, want)
		}
		if at := time.Date(2024, 7, 31, 8, 38, 2, 0, time.UTC); !n.Outcome.OccurredAt.Equal(at) {
			t.Errorf("occurred at %s, want %s", n.Outcome.OccurredAt, at)
		}
	}
}

// param is a notification's param with these fields changed; "" removes one.
func param(t testing.TB, changes map[string]string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(file(t, "notification_param.json")), &fields); err != nil {
		t.Fatal(err)
	}
	for name, raw := range changes {
		if fields[name] = json.RawMessage(raw); raw == "" {
			delete(fields, name)
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEventAndStatusMustAgree(t *testing.T) {
	key := privateKey(t, "gateway.pem")
	agree := map[string]refund.Class{"success COMPLETE": refund.Succeeded, "success COMPLETED": refund.Succeeded, "failed FAILED": refund.Declined,
		"cancel CANCEL": refund.Declined, "cancel CANCELED": refund.Declined, "cancel CANCELLED": refund.Declined}
	for _, event := range []string{"success", "failed", "cancel"} {
		for _, status := range append(keys(statuses), "", "REFUNDED", "complete") {
			n, refused := parse(t, notification(t, key, param(t, map[string]string{
				"eventName": `"payment.refund.` + event + `"`, "refundStatus": fmt.Sprintf("%q", status)})))
			want, ok := agree[event+" "+status]
			if !ok {
				want = refund.Mismatch
			}
			if refused != nil || n.Outcome.Class != want || n.Outcome.ProviderStatus != status || n.Request.RefundNo != sample().RefundNo {
				t.Errorf("%s with %q: %+v %v, want %s", event, status, n.Outcome, refused, want)
			}
		}
	}
}

func TestAFailedNotificationSaysWhy(t *testing.T) {
	for code, want := range map[string]string{`"CH_17"`: "CH_17", `null`: "FAILED"} {
		n, refused := parse(t, notification(t, privateKey(t, "gateway.pem"), param(t, map[string]string{"eventName": `"payment.refund.failed"`,
			"refundStatus": `"FAILED"`, "failedCode": code, "failedMessage": `"the wallet\nis closed"`})))
		if refused != nil || n.Outcome.Class != refund.Declined || n.Outcome.Code != want || n.Outcome.Message != "the wallet is closed" {
			t.Errorf("%+v %v, want declined with %s and one line of message", n.Outcome, refused, want)
		}
	}
}

func TestNotificationsThatAreNotVerified(t *testing.T) {
	gateway, good := privateKey(t, "gateway.pem"), file(t, "notification_param.json")
	signed := string(notification(t, gateway, good))
	sign, err := signature(gateway, []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, body string
		reason     refund.CallbackReason
	}{
		{"nothing", "", refund.CallbackMalformed},
		{"no JSON", "sign=x&param=y", refund.CallbackMalformed},
		{"a list", "[" + signed + "]", refund.CallbackMalformed},
		{"truncated", signed[:len(signed)-2], refund.CallbackMalformed},
		{"something behind", signed + " {}", refund.CallbackMalformed},
		{"not UTF-8", strings.Replace(signed, "refund", "\xff", 1), refund.CallbackMalformed},
		{"param twice", strings.TrimSuffix(signed, "}") + `,"param":"{}"}`, refund.CallbackMalformed},
		{"sign twice", strings.TrimSuffix(signed, "}") + `,"sign":"AAAA"}`, refund.CallbackMalformed},
		{"param twice, once escaped", strings.TrimSuffix(signed, "}") + `,"\u0070aram":"{}"}`, refund.CallbackMalformed},
		{"no param", `{"sign":"` + sign + `"}`, refund.CallbackMalformed},
		{"param an object", `{"sign":"` + sign + `","param":` + good + `}`, refund.CallbackMalformed},
		{"Param in capitals", strings.Replace(signed, `"param"`, `"Param"`, 1), refund.CallbackMalformed},
		{"no sign", `{"param":"{}"}`, refund.CallbackUnsigned},
		{"sign null", `{"sign":null,"param":"{}"}`, refund.CallbackUnsigned},
		{"sign empty", `{"sign":"","param":"{}"}`, refund.CallbackUnsigned},
		{"sign a number", `{"sign":7,"param":"{}"}`, refund.CallbackForged},
		{"sign no Base64", `{"sign":"%%","param":"{}"}`, refund.CallbackForged},
		{"sign of another param", `{"sign":"` + sign + `","param":"{}"}`, refund.CallbackForged},
		{"our own key", string(notification(t, privateKey(t, "merchant.pem"), good)), refund.CallbackForged},
		{"a key that is not configured", string(notification(t, privateKey(t, "next.pem"), good)), refund.CallbackForged},
		{"altered", strings.Replace(signed, "COMPLETE", "COMPLETF", 1), refund.CallbackForged},
		{"one blank more", strings.Replace(signed, `"{\"`, `"{ \"`, 1), refund.CallbackForged},
	} {
		n, refused := parse(t, []byte(c.body))
		if refused == nil || refused.Reason != c.reason || refused.Verified || n != (refund.Notice{}) {
			t.Errorf("%s: %+v %v, want %s, not verified", c.name, n, refused, c.reason)
		}
	}
}

func TestNotificationsThatAreNotAboutARefund(t *testing.T) {
	key, good := privateKey(t, "gateway.pem"), file(t, "notification_param.json")
	for name, text := range map[string]string{
		"a payment's event":      param(t, map[string]string{"eventName": `"payment.success"`}),
		"an event of the future": param(t, map[string]string{"eventName": `"payment.refund.reversed"`}),
		"no event":               param(t, map[string]string{"eventName": ""}),
		"no number":              param(t, map[string]string{"mchRefundOrderId": ""}),
		"a number with a slash":  param(t, map[string]string{"mchRefundOrderId": `"a/b"`}),
		"a number of 65":         param(t, map[string]string{"mchRefundOrderId": `"` + strings.Repeat("a", 65) + `"`}),
		"a payment with a blank": param(t, map[string]string{"originalTransactionId": `"a b"`}),
		"no amount":              param(t, map[string]string{"refundAmount": ""}),
		"no amount at all: 0":    param(t, map[string]string{"refundAmount": "0"}),
		"a fraction":             param(t, map[string]string{"refundAmount": "10000.5"}),
		"an exponent":            param(t, map[string]string{"refundAmount": "1e4"}),
		"too large":              param(t, map[string]string{"refundAmount": "9007199254740992"}),
		"repeated keys":          strings.Replace(good, `"refundAmount":10000`, `"refundAmount":1,"refundAmount":10000`, 1),
		"a repeated key within":  strings.Replace(good, `"feeRefunded":0`, `"feeRefunded":{"a":1,"a":2}`, 1),
		"no object":              `"refund"`,
		"cut":                    good[:40],
	} {
		n, refused := parse(t, notification(t, key, text))
		if refused == nil || refused.Reason != refund.CallbackNoRefund || !refused.Verified || n != (refund.Notice{}) {
			t.Errorf("%s: %+v %v, want not_a_refund, verified", name, n, refused)
		}
	}
	n, refused := parse(t, notification(t, key, param(t, map[string]string{"appId": `"another"`})))
	if refused == nil || refused.Reason != refund.CallbackForeign || !refused.Verified {
		t.Errorf("another appId: %+v %v, want other_account, verified", n, refused)
	}
	if _, refused = parse(t, notification(t, key, param(t, map[string]string{"appId": `"733b887a4a784708bb369524db5b6ded"`, "new": "[1]"}))); refused != nil {
		t.Errorf("our own appId and a new field: %v, want a notice", refused)
	}
}

func TestAmountsOfACurrencyThatTheGatewayCountsOtherwise(t *testing.T) {
	m := merchant(block(""))
	m.Currency, m.Exponent = refund.Currency{Code: "JPY"}, 2 // hundredths of a yen
	g := on(t, &wire{}, m)
	key := privateKey(t, "gateway.pem")
	n, refused := parseWith(t, g, notification(t, key, param(t, nil)))
	if refused != nil || n.Request.Amount != (refund.Money{Minor: 100, Currency: m.Currency}) {
		t.Errorf("10000 hundredths: %+v %v, want 100 yen", n.Request.Amount, refused)
	}
	if n, refused = parseWith(t, g, notification(t, key, param(t, map[string]string{"refundAmount": "10001"}))); refused == nil || !refused.Verified {
		t.Errorf("10001 hundredths: %+v %v, want not_a_refund", n.Request.Amount, refused)
	}
}

// One changed bit anywhere in a verified body is not verified, or it is the same
// body to every reader.
func TestAnyChangedBitIsNoticed(t *testing.T) {
	body := notification(t, privateKey(t, "gateway.pem"), file(t, "notification_param.json"))
	g, _ := answering(t, "")
	want, refused := parseWith(t, g, body)
	if refused != nil {
		t.Fatal(refused)
	}
	rapid.Check(t, func(rt *rapid.T) {
		changed := append([]byte(nil), body...)
		changed[rapid.IntRange(0, len(body)-1).Draw(rt, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		if n, refused := parseWith(t, g, changed); refused == nil && n != want || refused != nil && refused.Verified {
			rt.Errorf("%q\nis read as %+v %v", changed, n, refused)
		}
	})
}

func TestAcknowledge(t *testing.T) {
	g, _ := answering(t, "")
	kind, body := g.Acknowledge()
	if kind != "application/json" || string(body) != `{"code":10000,"message":"Success"}` {
		t.Errorf("%s %s is not what page 5.3 expects", kind, body)
	}
}

func FuzzParseCallback(f *testing.F) {
	signed := notification(f, privateKey(f, "gateway.pem"), file(f, "notification_param.json"))
	f.Add(signed)
	f.Add(signed[:len(signed)-1])
	f.Add([]byte(`{"sign":"","param":"{}"}`))
	f.Add([]byte(`{"sign":"AAAA","param":"{}","param":"{}"}`))
	f.Add([]byte(`{"param":{"eventName":"payment.refund.success"}}`))
	g, _ := answering(f, "")
	want, err := g.ParseCallback(signed)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, refused := parseWith(t, g, body)
		if refused == nil && n != want {
			t.Fatalf("%q counts as %+v, but the gateway signed only one notification", body, n)
		}
		if refused != nil && refused.Verified {
			t.Fatalf("%q counts as verified", body)
		}
	})
}

// Behind the signature anything may stand; only our own forms may become a key.
func FuzzVerifiedParam(f *testing.F) {
	f.Add(file(f, "notification_param.json"))
	f.Add(`{"eventName":"payment.refund.success","mchRefundOrderId":1,"refundAmount":"1","refundStatus":"COMPLETE"}`)
	f.Add(`{"eventName":"payment.refund.failed","mchRefundOrderId":"a/b","refundAmount":1}`)
	key := privateKey(f, "gateway.pem")
	g, _ := answering(f, "")
	f.Fuzz(func(t *testing.T, text string) {
		n, refused := parseWith(t, g, notification(t, key, text))
		switch {
		case refused != nil:
		case !identifier(n.Request.RefundNo) || n.Request.Merchant != "shop-th" || n.Order != n.Request.TransactionID:
			t.Fatalf("%q names %+v", text, n.Request)
		case n.Request.Amount.Minor <= 0 || n.Request.Amount.Minor > refund.MaxMinor || n.Request.Amount.Currency != thb:
			t.Fatalf("%q is about %+v", text, n.Request.Amount)
		}
	})
}
