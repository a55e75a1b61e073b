package eftpay

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

func TestQueriesAskForTheRefundByBothNumbers(t *testing.T) {
	for name, test := range map[string]struct {
		more string
		want map[string]string
	}{
		"A": {"", map[string]string{"": "/VMP/Servlet/QRcodeTradeQuery.do", "paytype": "WeChat", "payment_type": "WECHATCN"}},
		"B": {"query: unified\n", map[string]string{"": "/VMP/Servlet/JSAPIService.do", "service": "service.unified.RefundStatusQuery"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var seen map[string]string
			g := gatewayAnswering(t, test.more, 200, "{}", &seen)
			g.Query(t.Context(), refund.Record{Request: sample()})
			want := with(test.want, "querytype", "OUT_TRADE", "out_trade_no", "rrn_1686280006045", "refund_no", "201901010011",
				"user_confirm_key", "S0003469", "time", time.Now().In(zone).Format(stamp), "sign", seen["sign"])
			if !maps.Equal(seen, want) {
				t.Errorf("%s sent\n%v, want\n%v", name, seen, want)
			}
			delete(seen, "")
			if g.keys.verify(seen) != genuine {
				t.Errorf("%s: the signature is not over what was sent", name)
			}
		})
	}
}

// Without the order's number eftPay cannot be asked, and nothing is sent.
func TestQueryWithoutAnOrder(t *testing.T) {
	var seen map[string]string
	g := gatewayAnswering(t, "", 200, signedBody(queryAnswer, testSecret), &seen)
	if o := g.Query(t.Context(), refund.Record{Request: refund.Request{Key: sample().Key}}); o.Class != refund.Unknown || seen != nil {
		t.Errorf("%+v, sent %v", o, seen)
	}
}

func TestNotFoundNeedsASignedConfiguredCode(t *testing.T) {
	answer := map[string]string{"return_status": "40", "return_char": "no such refund", "time": "20230609110646"}
	const configured = "not_found_codes: ['40', '-7']\n"
	for name, test := range map[string]struct {
		more, body string
		class      refund.Class
	}{
		"signed and configured":  {configured, signedBody(answer, testSecret), refund.NotFound},
		"signed, not configured": {"", signedBody(answer, testSecret), refund.Unknown},
		"configured, unsigned":   {configured, `{"return_status":"40"}`, refund.Unknown},
		"negative, unsigned":     {configured, `{"return_status":"-7"}`, refund.Unknown},
		"badly signed":           {configured, signedBody(answer, "another"), refund.Unknown},
		"about another refund":   {configured, signedBody(with(answer, "refund_no", "other"), testSecret), refund.Unknown},
		"about ours":             {configured, signedBody(with(answer, "refund_no", sample().RefundNo), testSecret), refund.NotFound},
	} {
		if o := queryWith(t, test.more, 200, test.body); o.Class != test.class {
			t.Errorf("%s: %+v, want %s", name, o, test.class)
		}
	}
	// To a refund call the same code says nothing of the kind.
	call, err := gatewayAnswering(t, configured, 200, signedBody(answer, testSecret), nil).Sign(sample())
	if err != nil {
		t.Fatal(err)
	}
	if o := call(t.Context()); o.Class != refund.Unknown {
		t.Errorf("to a call: %+v", o)
	}
}

// Query B tells two statuses; the refund's counts, and only without contradiction.
func TestUnifiedQueryReadsTheRefundsStatus(t *testing.T) {
	for _, test := range []struct {
		refund, trade string
		class         refund.Class
		word          string
	}{
		{"SUCCESS", "TRADE_REFUND", refund.Succeeded, "TRADE_REFUND"},
		{"SUCCESS", "TRADE_CLOSED", refund.Succeeded, "TRADE_CLOSED"},
		{"PROCESSING", "TRADE_PROCESSING", refund.Pending, "TRADE_PROCESSING"},
		{"FAIL", "TRADE_FAIL", refund.Declined, "TRADE_FAIL"},
		{"FAIL", "TRADE_SUCCESS", refund.Declined, "FAIL"}, // the sale's own
		{"SUCCESS", "", refund.Succeeded, "SUCCESS"},
		{"FAIL", "TRADE_CLOSED", refund.Unknown, "FAIL with TRADE_CLOSED"},
		{"SUCCESS", "TRADE_FAIL", refund.Unknown, "SUCCESS with TRADE_FAIL"},
		{"PROCESSING", "TRADE_CLOSED", refund.Unknown, "PROCESSING with TRADE_CLOSED"},
		{"", "TRADE_CLOSED", refund.Unknown, ""}, // may be the sale's
		{"MAYBE", "TRADE_REFUND", refund.Unknown, "MAYBE"},
	} {
		body := signedBody(with(unifiedAnswer, "refund_status", test.refund, "trade_status", test.trade), testSecret)
		if o := queryWith(t, "query: unified\n", 200, body); o.Class != test.class || o.ProviderStatus != test.word {
			t.Errorf("%s, %s: %+v, want %s %q", test.refund, test.trade, o, test.class, test.word)
		}
	}
	nameless := signedBody(with(unifiedAnswer, "refund_no", ""), testSecret)
	if o := queryWith(t, "query: unified\n", 200, nameless); o.Class != refund.Unknown {
		t.Errorf("an answer that names no refund: %+v", o)
	}
}

// A call that surely did not leave is not sent; a query that did not leave says
// nothing.
func TestUnreachableGateway(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	g := newGateway(t, "", roundTrip(func(*http.Request) (*http.Response, error) { return nil, refused }))
	call, err := g.Sign(sample())
	if err != nil {
		t.Fatal(err)
	}
	if o := call(t.Context()); o.Class != refund.NotSent || !o.Outage || o.Code != refund.CodeGatewayDown {
		t.Errorf("call: %+v", o)
	}
	for name, o := range map[string]refund.Outcome{"query": g.Query(t.Context(), refund.Record{Request: sample()}), "ping": g.Ping(t.Context())} {
		if o.Class != refund.Unknown || !o.Outage {
			t.Errorf("%s: %+v", name, o)
		}
	}
	broken := newGateway(t, "", roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("reset") }))
	call, _ = broken.Sign(sample())
	if o := call(t.Context()); o.Class != refund.Unknown || !o.Outage {
		t.Errorf("a call that broke: %+v", o)
	}
}

// The merchant's timeout bounds a call whatever its caller allows; giving up
// ourselves is no outage.
func TestCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := newGateway(t, "", roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		call, err := hang.Sign(sample())
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if o := call(context.WithoutCancel(t.Context())); o.Class != refund.Unknown || !o.Outage || time.Since(begun) != 10*time.Second {
			t.Errorf("%+v after %v", o, time.Since(begun))
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, nil)
		time.AfterFunc(time.Second, cancel)
		if o := hang.Query(ctx, refund.Record{Request: sample()}); o.Class != refund.Unknown || o.Outage {
			t.Errorf("given up by ourselves: %+v", o)
		}
	})
}

// A ping shows whether our settings are accepted: any answer but an outage or a
// code of configuration says yes.
func TestPing(t *testing.T) {
	var seen map[string]string
	for name, test := range map[string]struct {
		status       int
		body         string
		hold, outage bool
	}{
		"not found":              {200, signedBody(map[string]string{"return_status": "40"}, testSecret), false, false},
		"error, unsigned":        {200, `{"return_status":"-6"}`, false, false},
		"configuration":          {200, `{"return_status":"-13"}`, true, false},
		"configuration, signed":  {200, signedBody(map[string]string{"return_status": "-13"}, testSecret), true, false},
		"down":                   {502, "", false, true},
		"unsigned, and no error": {200, `{"return_status":"00"}`, false, true},
	} {
		o := gatewayAnswering(t, "", test.status, test.body, &seen).Ping(t.Context())
		if o.Hold != test.hold || o.Outage != test.outage || o.Class != refund.Unknown {
			t.Errorf("%s: %+v", name, o)
		}
		if n := len(seen["refund_no"]); n == 0 || n > 28 || seen["refund_no"] != seen["out_trade_no"] {
			t.Errorf("%s asked about %q of %q", name, seen["refund_no"], seen["out_trade_no"])
		}
	}
}
