package providertest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/providertest"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// broken gateways, each with one mistake that was made somewhere before, and the
// part of the suite that must notice it.
var broken = map[string]struct {
	noticed string
	wrap    func(good) providertest.Gateway
}{
	"a time-out is taken for not sent":          {"Calls/time-out_after_the_money_moved", func(g good) providertest.Gateway { return wrongCall{g, unknownIsNotSent} }},
	"a failed call is sent again":               {"Calls/500_HTML_after", func(g good) providertest.Gateway { return resends{g} }},
	"an error is taken for declined":            {"Calls/500_HTML_before", func(g good) providertest.Gateway { return wrongCall{g, unknownIsDeclined} }},
	"a query that cannot connect: not sent":     {"Calls/the_vendor_refuses_connections", func(g good) providertest.Gateway { return wrongQuery{g, outageIsNotSent} }},
	"no clear answer is taken for not found":    {"Queries/garbage", func(g good) providertest.Gateway { return wrongQuery{g, unknownIsNotFound} }},
	"signed when it leaves":                     {"Calls/leaves_long_after_it_was_signed", func(g good) providertest.Gateway { return signsLate{g} }},
	"an outcome shows the secret":               {"Calls/success", func(g good) providertest.Gateway { return wrongCall{g, tellsSecret} }},
	"nothing counts against the breaker":        {"Calls/500_HTML_after", func(g good) providertest.Gateway { return wrongCall{g, noOutage} }},
	"a forged callback counts":                  {"Forgeries/foreign_signature", func(g good) providertest.Gateway { return believesAll{g} }},
	"the acknowledgement is another vendor's":   {"Callbacks/verified_and_acknowledged", func(g good) providertest.Gateway { return wrongReply{g} }},
	"all refunds belong to one order":           {"Requests/orders", func(g good) providertest.Gateway { return oneOrder{g} }},
	"limits of the fields are not looked at":    {"Requests/refund_no", func(g good) providertest.Gateway { return checksNothing{g} }},
	"a ping that fails says nothing of outages": {"Pings/the_vendor_refuses", func(g good) providertest.Gateway { return deafPing{g} }},
}

const brokenName = "PROVIDERTEST_BROKEN"

// TestTheSuiteNotices runs the suite on each broken gateway, in a process of its
// own as it must fail, and looks that it fails where it should.
func TestTheSuiteNotices(t *testing.T) {
	if name := os.Getenv(brokenName); name != "" {
		s := eftPaySubject("", eftPayAccount(), apply)
		whole := s.New
		s.New = func(m account.Merchant, pool *transport.Pool) (providertest.Gateway, error) {
			g, err := whole(m, pool)
			if err != nil {
				return nil, err
			}
			return broken[name].wrap(good{g}), nil
		}
		providertest.Run(t, s)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, mistake := range broken {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			part, _, _ := strings.Cut(mistake.noticed, "/")
			cmd := exec.CommandContext(ctx, self, "-test.run=^TestTheSuiteNotices$/^"+part+"$", "-test.v")
			cmd.Env = append(os.Environ(), brokenName+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("the suite passes a broken gateway")
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "--- FAIL") && strings.Contains(line, mistake.noticed) {
					return
				}
			}
			t.Errorf("%s did not fail: %v\n%s", mistake.noticed, err, out)
		})
	}
}

// good is a whole gateway, to be broken in one method.
type good struct{ providertest.Gateway }

type wrongCall struct {
	good
	change func(*refund.Outcome)
}

func (w wrongCall) Sign(r refund.Request) (refund.Call, error) {
	send, err := w.good.Sign(r)
	return func(ctx context.Context) refund.Outcome {
		o := send(ctx)
		w.change(&o)
		return o
	}, err
}

func unknownIsNotSent(o *refund.Outcome)  { change(o, refund.Unknown, refund.NotSent) }
func unknownIsDeclined(o *refund.Outcome) { change(o, refund.Unknown, refund.Declined) }
func unknownIsNotFound(o *refund.Outcome) { change(o, refund.Unknown, refund.NotFound) }
func noOutage(o *refund.Outcome)          { o.Outage = false }
func tellsSecret(o *refund.Outcome)       { o.Message += " signed with " + secret }

func outageIsNotSent(o *refund.Outcome) {
	if o.Outage {
		change(o, refund.Unknown, refund.NotSent)
	}
}

func change(o *refund.Outcome, from, to refund.Class) {
	if o.Class == from {
		o.Class = to
	}
}

type resends struct{ good }

func (w resends) Sign(r refund.Request) (refund.Call, error) {
	send, err := w.good.Sign(r)
	return func(ctx context.Context) refund.Outcome {
		o := send(ctx)
		if again, err := w.good.Sign(r); o.Class == refund.Unknown && err == nil {
			o = again(ctx)
		}
		return o
	}, err
}

type signsLate struct{ good }

func (w signsLate) Sign(r refund.Request) (refund.Call, error) {
	return func(ctx context.Context) refund.Outcome {
		send, err := w.good.Sign(r)
		if err != nil {
			return refund.Outcome{Class: refund.Misconfigured}
		}
		return send(ctx)
	}, nil
}

type wrongQuery struct {
	good
	change func(*refund.Outcome)
}

func (w wrongQuery) Query(ctx context.Context, rec refund.Record) refund.Outcome {
	o := w.good.Query(ctx, rec)
	w.change(&o)
	return o
}

type believesAll struct{ good }

func (w believesAll) ParseCallback(body []byte) (refund.Notice, error) {
	n, err := w.good.ParseCallback(body)
	if err != nil {
		n = refund.Notice{Request: refund.Request{Key: refund.Key{Merchant: "S0003469", RefundNo: "R1"}}, Outcome: refund.Outcome{Class: refund.Succeeded}}
	}
	return n, nil
}

type wrongReply struct{ good }

func (wrongReply) Acknowledge() (string, []byte) { return "application/json", []byte(`{"code":10000}`) }

type oneOrder struct{ good }

func (oneOrder) Order(refund.Request) string { return "order1" }

type checksNothing struct{ good }

func (checksNothing) Check(refund.Request) *refund.Rejection { return nil }

type deafPing struct{ good }

func (deafPing) Ping(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Unknown} }
