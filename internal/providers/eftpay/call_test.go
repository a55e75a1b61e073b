package eftpay

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// The request of the vendor's page, field by field; time and sign are fresh.
func TestCallSendsThePagesFields(t *testing.T) {
	const notify = "notify_url: https://us.example/v1/callbacks/S0003469\n"
	for name, test := range map[string]struct {
		more   string
		change func(*refund.Request)
		want   map[string]string
	}{
		"refund": {notify, func(*refund.Request) {}, map[string]string{"service": "service.wechat.jsapi.Refund"}},
		"apply": {notify, func(r *refund.Request) { r.Flow = refund.FlowApply }, map[string]string{
			"service": "service.wechat.jsapi.ApplyRefund", "notify_url": "https://us.example/v1/callbacks/S0003469"}},
		"Alipay": {notify, func(r *refund.Request) { r.Method, r.Wallet = "Alipay", "ALIPAYHK" }, map[string]string{
			"service": "service.alipay.jsapi.Refund", "paytype": "Alipay", "payment_type": "ALIPAYHK"}},
		"service by setting": {"services: {Alipay.refund: service.alipayplus.jsapi.Refund}\n", func(r *refund.Request) {
			r.Method, r.Wallet = "Alipay", "ALIPAYCN"
		}, map[string]string{"service": "service.alipayplus.jsapi.Refund", "paytype": "Alipay", "payment_type": "ALIPAYCN"}},
		"nothing optional": {"", func(r *refund.Request) { r.Terminal, r.Reason, r.Flow = "", "", "" }, map[string]string{
			"service": "service.wechat.jsapi.Refund", "tid": "", "refund_desc": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen map[string]string
				g := gatewayAnswering(t, test.more, 200, "{}", &seen)
				r := sample()
				test.change(&r)
				call, err := g.Sign(r)
				if err != nil {
					t.Fatal(err)
				}
				call(t.Context())
				want := with(map[string]string{"": "/VMP/Servlet/JSAPIService.do", "user_confirm_key": "S0003469", "transaction_amount": "0.01",
					"out_trade_no": "rrn_1686280006045", "paytype": "WeChat", "payment_type": "WECHATCN", "refund_no": "201901010011",
					"tid": "tid_3378", "total_fee": "10.01", "refund_desc": "test测试退款", "time": time.Now().In(zone).Format(stamp)})
				for k, v := range test.want {
					want = with(want, k, v)
				}
				want["sign"] = seen["sign"]
				if !maps.Equal(seen, want) {
					t.Errorf("sent\n%v, want\n%v", seen, want)
				}
				delete(seen, "")
				if g.keys.verify(seen) != genuine {
					t.Error("the signature is not over what was sent")
				}
			})
		})
	}
}

func TestEachSignHasAFreshTimeAndEachCallGoesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []string
		var seen map[string]string
		g := gatewayAnswering(t, "", 200, signedBody(callAnswer, testSecret), &seen)
		for range 2 {
			call, err := g.Sign(sample())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour) // a call that leaves late is stale: its time is that of its signing
			if o := call(t.Context()); o.Class != refund.Succeeded {
				t.Fatalf("%+v", o)
			}
			times, seen = append(times, seen["time"]), nil
			if o := call(t.Context()); o.Class != refund.Unknown || seen != nil {
				t.Errorf("a second use of the call: %+v, sent %v", o, seen)
			}
		}
		first, _ := time.ParseInLocation(stamp, times[0], zone)
		second, _ := time.ParseInLocation(stamp, times[1], zone)
		if second.Sub(first) != time.Hour || time.Since(second) != time.Hour {
			t.Errorf("signed at %v", times)
		}
	})
}

// The one table, through every door by which a status comes in.
func TestEachStatusMeansTheSameEverywhere(t *testing.T) {
	promised := map[string]refund.Class{ // DESIGN.md, section 4, below the table of statuses
		"TRADE_PROCESSING": refund.Pending, "APPLY_SUCCESS": refund.Pending, "TRADE_REFUND": refund.Succeeded,
		"TRADE_CLOSED": refund.Succeeded, "TRADE_FAIL": refund.Declined, "TRADE_FAILED": refund.Declined,
	}
	if !maps.Equal(promised, statuses) {
		t.Errorf("the table is %v, promised is %v", statuses, promised)
	}
	for _, word := range append(slices.Collect(maps.Keys(statuses)), "TRADE_MYSTERY", "trade_refund", "TRADE_SUCCESS", "") {
		class, known := statuses[word]
		if !known {
			class = refund.Unknown
		}
		got := map[string]refund.Outcome{
			"call":    callWith(t, 200, signedBody(with(callAnswer, "trade_status", word), testSecret)),
			"query A": queryWith(t, "", 200, signedBody(with(queryAnswer, "trade_status", word), testSecret)),
		}
		if word != "" {
			n, err := newGateway(t, "", nil).ParseCallback([]byte(signedBody(with(notification, "trade_status", word), testSecret)))
			if err != nil {
				t.Errorf("%q in a callback: %v", word, err)
			}
			got["callback"] = n.Outcome
		}
		for door, o := range got {
			if o.Class != class || o.ProviderStatus != word || o.Outage || o.Hold {
				t.Errorf("%q by %s: %+v, want %s", word, door, o, class)
			}
			if (o.Code != "") != (class == refund.Declined) {
				t.Errorf("%q by %s: code %q", word, door, o.Code)
			}
		}
	}
}

// What a return_status means, for a call and for a query, signed and not.
func TestEachReturnCode(t *testing.T) {
	type want struct {
		call, query refund.Class
		unsafe      bool // unsafe: unsigned, it holds the merchant
	}
	wants := map[string]want{
		"12":  {call: refund.NotSent, query: refund.Unknown},
		"51":  {call: refund.Unknown, query: refund.Unknown},
		"-13": {call: refund.Misconfigured, query: refund.Unknown, unsafe: true},
		"77":  {call: refund.Unknown, query: refund.Unknown},
		"-4":  {call: refund.Unknown, query: refund.Unknown},
		"":    {call: refund.Unknown, query: refund.Unknown},
	}
	for code := range codes {
		if _, told := wants[code]; !told && code != accepted {
			t.Errorf("code %q is in the table and not in this test", code)
		}
	}
	for code, want := range wants {
		answer := map[string]string{"return_status": code, "return_char": "why", "time": "20230609110646"}
		bare := fmt.Sprintf(`{"return_status":%q,"return_char":"why"}`, code)
		signed := signedBody(answer, testSecret)
		if o := callWith(t, 200, signed); o.Class != want.call || o.Hold || o.Outage || o.Code != code || o.Message != "why" {
			t.Errorf("%q signed to a call: %+v, want %s", code, o, want.call)
		}
		if o := queryWith(t, "", 200, signed); o.Class != want.query || o.Hold != want.unsafe || o.Outage || o.Code != code {
			t.Errorf("%q signed to a query: %+v, want %s", code, o, want.query)
		}
		for _, body := range []string{bare, signedBody(answer, "another secret")} {
			for door, o := range map[string]refund.Outcome{"call": callWith(t, 200, body), "query": queryWith(t, "not_found_codes: ['77']\n", 200, body)} {
				if o.Class != refund.Unknown || o.Hold != want.unsafe || o.Code != code || o.Outage == strings.HasPrefix(code, "-") {
					t.Errorf("%q without a right signature to a %s: %+v", code, door, o)
				}
			}
		}
	}
}

func callWith(t *testing.T, status int, body string) refund.Outcome {
	t.Helper()
	call, err := gatewayAnswering(t, "", status, body, nil).Sign(sample())
	if err != nil {
		t.Fatal(err)
	}
	return call(t.Context())
}

func queryWith(t *testing.T, more string, status int, body string) refund.Outcome {
	t.Helper()
	return gatewayAnswering(t, more, status, body, nil).Query(t.Context(), refund.Record{Request: sample()})
}

// Whatever an answer is that proves nothing, a call's outcome is unknown and so is
// a query's.
func TestAnswersThatProveNothing(t *testing.T) {
	good := signedBody(callAnswer, testSecret)
	for name, test := range map[string]struct {
		status int
		body   string
		outage bool
	}{
		"5xx":                 {503, good, true},
		"4xx":                 {403, good, true},
		"204":                 {http.StatusNoContent, good, true},
		"429 was accepted":    {429, "", false},
		"redirect":            {307, "", true},
		"empty":               {200, "", true},
		"page of a proxy":     {200, "<html>", true},
		"list":                {200, "[" + good + "]", true},
		"nested":              {200, strings.Replace(good, `"rate":"0.88"`, `"rate":{"x":1}`, 1), true},
		"twice the status":    {200, strings.Replace(good, `{`, `{"trade_status":"TRADE_REFUND",`, 1), true},
		"something after it":  {200, good + "{}", true},
		"unsigned":            {200, strings.Replace(good, `"sign"`, `"sgin"`, 1), true},
		"signature of others": {200, signedBody(callAnswer, "another"), true},
		"tampered":            {200, strings.Replace(good, "TRADE_REFUND", "TRADE_FAIL", 1), true},
		"amount tampered":     {200, strings.Replace(good, `"0.01"`, `"0.02"`, 1), true},
	} {
		for door, o := range map[string]refund.Outcome{"call": callWith(t, test.status, test.body), "query": queryWith(t, "", test.status, test.body)} {
			if o.Class != refund.Unknown || o.Outage != test.outage || o.Hold || o.Message == "" {
				t.Errorf("%s to a %s: %+v", name, door, o)
			}
		}
	}
}

// A signed answer counts only for the refund that was asked about.
func TestAnswersAboutSomethingElse(t *testing.T) {
	for _, change := range [][]string{
		{"refund_no", "X01901010011"}, {"refund_no", ""}, {"out_trade_no", "other"}, {"user_confirm_key", "S0009999"},
		{"transaction_amount", "0.02"}, {"transaction_amount", "1"}, {"transaction_amount", "x"}, {"currency", "CNY"},
	} {
		if o := callWith(t, 200, signedBody(with(callAnswer, change...), testSecret)); o.Class != refund.Unknown || o.Outage {
			t.Errorf("call, %v: %+v", change, o)
		}
	}
	for _, change := range [][]string{
		{"extra_trade_no", "X01901010011"}, {"extra_trade_no", ""}, {"refund_no", "X01901010011"}, {"out_trade_no", "other"},
		{"refund_no", "201901010011", "extra_trade_no", "X01901010011"}, {"user_confirm_key", "S0009999"}, {"transaction_amount", "10.01"}, {"currency", "CNY"},
	} {
		if o := queryWith(t, "", 200, signedBody(with(queryAnswer, change...), testSecret)); o.Class != refund.Unknown || o.Outage {
			t.Errorf("query, %v: %+v", change, o)
		}
	}
	for _, change := range [][]string{
		{"transaction_amount", "0.010"}, {"transaction_amount", "00.01"}, {"transaction_amount", ""}, {"rate", ""}, {"new_field", "of a later version"},
	} {
		if o := callWith(t, 200, signedBody(with(callAnswer, change...), testSecret)); o.Class != refund.Succeeded || o.ProviderRefundID != "R9" {
			t.Errorf("call, %v: %+v", change, o)
		}
	}
	// Numbers keep their literal, which the signature is over.
	literal := strings.Replace(signedBody(with(callAnswer, "transaction_amount", "0.0100"), testSecret), `"0.0100"`, `0.0100`, 1)
	if o := callWith(t, 200, literal); o.Class != refund.Succeeded {
		t.Errorf("an amount as a number: %+v", o)
	}
}
