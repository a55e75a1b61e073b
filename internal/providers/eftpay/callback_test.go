package eftpay

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/refund"
)

func TestBothShapesOfANotification(t *testing.T) {
	g := newGateway(t, "", nil)
	want := refund.Notice{
		Request: refund.Request{
			Key: refund.Key{Merchant: "S0003469", RefundNo: "R_rrn_1686280005985"}, OrderNo: "rrn_1686280005985",
			TransactionID: "4200000994202001206533192063", Amount: money(29), OrderAmount: money(29), Method: "WeChat", Wallet: "WECHATCN",
		},
		Order: "rrn_1686280005985",
		Outcome: refund.Outcome{
			Class: refund.Succeeded, ProviderStatus: "TRADE_CLOSED", TransactionID: "4200000994202001206533192063",
			OccurredAt: time.Date(2020, 1, 20, 10, 35, 34, 0, zone),
		},
	}
	for name, shape := range map[string]map[string]string{"page": notification, "jsapi": jsapi} {
		want.Outcome.ProviderRefundID = shape["refund_trade_no"]
		got, err := g.ParseCallback([]byte(signedBody(shape, testSecret)))
		if err != nil || got != want {
			t.Errorf("%s: %v\n%+v, want\n%+v", name, err, got, want)
		}
	}
}

func TestFieldsOfANotification(t *testing.T) {
	g := newGateway(t, "", nil)
	parse := func(pairs ...string) refund.Notice {
		t.Helper()
		n, err := g.ParseCallback([]byte(signedBody(with(notification, pairs...), testSecret)))
		if err != nil {
			t.Fatalf("%v: %v", pairs, err)
		}
		return n
	}
	if n := parse("total_fee", ""); n.Request.OrderAmount != (refund.Money{}) {
		t.Errorf("an order's amount out of nothing: %+v", n.Request)
	}
	if n := parse("gmt_payment", ""); !n.Outcome.OccurredAt.Equal(time.Date(2023, 6, 9, 3, 6, 45, 0, time.UTC)) {
		t.Errorf("without gmt_payment: %v", n.Outcome.OccurredAt)
	}
	if n := parse("gmt_payment", "", "time", "soon"); !n.Outcome.OccurredAt.IsZero() {
		t.Errorf("without any time: %v", n.Outcome.OccurredAt)
	}
	if n := parse("currency", "CNY"); n.Request.Amount == money(29) || n.Request.Amount.Currency.Code != "CNY" || n.Request.OrderAmount == money(29) {
		t.Errorf("another currency must differ from the record's: %+v", n.Request)
	}
	if n := parse("currency", ""); n.Request.Amount != money(29) {
		t.Errorf("without a currency: %+v", n.Request)
	}
	if n := parse("wallet", "ALIPAYHK"); n.Request.Method != "Alipay" {
		t.Errorf("method of a wallet: %+v", n.Request)
	}
	if n := parse("trade_status", "TRADE_FAIL"); n.Outcome.Class != refund.Declined || n.Outcome.Code != "TRADE_FAIL" {
		t.Errorf("a failure needs its code: %+v", n.Outcome)
	}
}

func TestCallbacksThatDoNotCount(t *testing.T) {
	g := newGateway(t, "verify_secrets: [the-old-one]\n", nil)
	good := signedBody(notification, testSecret)
	signed := func(pairs ...string) string { return signedBody(with(notification, pairs...), testSecret) }
	for name, test := range map[string]struct {
		body     string
		reason   refund.CallbackReason
		verified bool
	}{
		"not JSON":              {"success", refund.CallbackMalformed, false},
		"empty":                 {"", refund.CallbackMalformed, false},
		"a list":                {"[" + good + "]", refund.CallbackMalformed, false},
		"nested":                {strings.Replace(good, `"0.29"`, `["0.29"]`, 1), refund.CallbackMalformed, false},
		"a key twice":           {strings.Replace(good, "{", `{"refund_no":"other",`, 1), refund.CallbackMalformed, false},
		"something after it":    {good + " 1", refund.CallbackMalformed, false},
		"not UTF-8":             {strings.Replace(good, "WECHATCN", "WECHAT\xff", 1), refund.CallbackMalformed, false},
		"fields in a field":     {signed("tid", "x&z=1"), refund.CallbackMalformed, false},
		"no sign":               {strings.Replace(good, `"sign"`, `"sgin"`, 1), refund.CallbackUnsigned, false},
		"null sign":             {`{"refund_no":"1","sign":null}`, refund.CallbackUnsigned, false},
		"another secret":        {signedBody(notification, "not-the-secret"), refund.CallbackForged, false},
		"upper case":            {strings.Replace(good, sign(good), strings.ToUpper(sign(good)), 1), refund.CallbackForged, false},
		"amount raised":         {strings.Replace(good, `"0.29"`, `"9.29"`, 1), refund.CallbackForged, false},
		"another account":       {signed("user_confirm_key", "S0000001"), refund.CallbackForeign, true},
		"no account":            {signed("user_confirm_key", ""), refund.CallbackForeign, true},
		"a sale's":              {signed("trade_type", ""), refund.CallbackNoRefund, true},
		"another type":          {signed("trade_type", "refund"), refund.CallbackNoRefund, true},
		"no number":             {signed("refund_no", ""), refund.CallbackNoRefund, true},
		"a number like a path":  {signed("refund_no", "a/b"), refund.CallbackNoRefund, true},
		"an order like a path":  {signed("out_trade_no", "a/b"), refund.CallbackNoRefund, true},
		"no amount":             {signed("return_amount", ""), refund.CallbackNoRefund, true},
		"a negative amount":     {signed("return_amount", "-0.29"), refund.CallbackNoRefund, true},
		"a total that is none":  {signed("total_fee", "much"), refund.CallbackNoRefund, true},
		"no status":             {signed("trade_status", ""), refund.CallbackNoRefund, true},
		"a currency that's not": {signed("currency", "hkd"), refund.CallbackNoRefund, true},
	} {
		n, err := g.ParseCallback([]byte(test.body))
		var refused *refund.CallbackError
		if !errors.As(err, &refused) || refused.Reason != test.reason || refused.Verified != test.verified {
			t.Errorf("%s: %v (%+v), want %s, verified %v", name, err, refused, test.reason, test.verified)
		}
		if n != (refund.Notice{}) {
			t.Errorf("%s: tells %+v all the same", name, n)
		}
	}
	if _, err := g.ParseCallback([]byte(signedBody(notification, "the-old-one"))); err != nil {
		t.Errorf("a secret in rotation: %v", err)
	}
}

func sign(body string) string {
	var f map[string]string
	if err := json.Unmarshal([]byte(body), &f); err != nil {
		panic(err)
	}
	return f["sign"]
}

// The order of the fields, and numbers in place of strings, change nothing; one
// byte of any value does.
func TestNotificationReorderedOrChanged(t *testing.T) {
	g := newGateway(t, "", nil)
	var signed map[string]string
	if err := json.Unmarshal([]byte(signedBody(notification, testSecret)), &signed); err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(signed))
	want, err := g.ParseCallback([]byte(signedBody(notification, testSecret)))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation(names).Draw(t, "order")
		bare := rapid.Bool().Draw(t, "amounts as numbers")
		write := func(values map[string]string) []byte {
			var b strings.Builder
			for i, name := range order {
				value, _ := json.Marshal(values[name])
				if bare && (name == "return_amount" || name == "total_fee") {
					value = []byte(values[name])
				}
				b.WriteString(map[bool]string{true: "{", false: ", "}[i == 0] + `"` + name + `": `)
				b.Write(value)
			}
			return []byte(b.String() + "}")
		}
		if got, err := g.ParseCallback(write(signed)); err != nil || got != want {
			t.Fatalf("reordered: %v\n%+v, want\n%+v", err, got, want)
		}
		name := rapid.SampledFrom(names).Draw(t, "name")
		at := rapid.IntRange(0, len(signed[name])-1).Draw(t, "at")
		digit := string(rapid.SampledFrom([]rune("0123456789abcdefXYZ")).Draw(t, "digit"))
		if signed[name][at:at+1] == digit {
			return
		}
		changed := maps.Clone(signed)
		changed[name] = signed[name][:at] + digit + signed[name][at+1:]
		bare = false
		if got, err := g.ParseCallback(write(changed)); err == nil {
			t.Fatalf("%s changed to %q: read as %+v", name, changed[name], got)
		}
	})
}

func TestAcknowledge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, "", nil)
		kind, body := g.Acknowledge()
		f, err := parseFlat(body)
		if err != nil || kind != "application/json" || g.keys.verify(f) != genuine || len(f) != 3 || f["return_code"] != "success" ||
			f["time"] != time.Now().In(zone).Format(stamp) {
			t.Errorf("%s %s: %v", kind, body, err)
		}
		kind, body = newGateway(t, "callback_reply: word\n", nil).Acknowledge()
		if !strings.HasPrefix(kind, "text/plain") || string(body) != "success" {
			t.Errorf("%s %s", kind, body)
		}
	})
}
