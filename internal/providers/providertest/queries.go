package providertest

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/refund"
)

// spoiltQueries are answers that say nothing of a refund whose money has moved.
func (s Subject) spoiltQueries() map[string]gatewaysim.Step {
	steps := map[string]gatewaysim.Step{"500 with the true answer": {HTTPStatus: 500}, "another refund": s.OtherRefund,
		"404 HTML": {Answer: gatewaysim.HTML, HTTPStatus: 404}}
	for _, a := range []gatewaysim.Answer{gatewaysim.Hang, gatewaysim.Reset, gatewaysim.Hangup, gatewaysim.HTML, gatewaysim.Garbage,
		gatewaysim.Empty, gatewaysim.Truncated, gatewaysim.Drip, gatewaysim.Oversized, gatewaysim.Redirect, gatewaysim.UnknownStatus,
		gatewaysim.UnknownCode, gatewaysim.OtherAmount} {
		steps[string(a)] = gatewaysim.Step{Answer: a}
	}
	if s.SignedAnswers {
		steps["unsigned"] = gatewaysim.Step{Answer: gatewaysim.Unsigned}
		steps["badly signed"] = gatewaysim.Step{Answer: gatewaysim.BadSign}
	}
	return steps
}

func (s Subject) queries(t *testing.T) {
	for name, step := range s.spoiltQueries() {
		s.inBubble(t, name, func(b *bench) {
			r := b.refund("R1", 1200)
			b.script("R1", gatewaysim.Step{Result: gatewaysim.Succeed, Answer: gatewaysim.Hang})
			b.is("call", b.call(r), refund.Unknown)
			if err := b.sim.ScriptQueries("R1", step); err != nil {
				b.t.Fatal(err)
			}
			b.is("spoilt query", b.query(r), refund.Unknown)
			b.is("good query", b.query(r), refund.Succeeded)
			b.moved(r, 1200)
			b.lawful()
		})
	}
	s.inBubble(t, "never called", func(b *bench) {
		b.is("query", b.query(b.refund("R1", 1200)), never)
		b.called("R1", 0)
		b.lawful()
	})
	s.inBubble(t, "another refund of the order", func(b *bench) {
		other, r := b.refund("R2", 700), b.refund("R1", 1200)
		b.script("R2", gatewaysim.Step{Result: gatewaysim.Succeed})
		b.is("call", b.call(other), refund.Succeeded)
		b.is("query", b.query(r), never)
		b.script("R1", gatewaysim.Step{Result: gatewaysim.Process})
		b.is("call", b.call(r), refund.Pending)
		b.is("query", b.query(r), refund.Pending)
		b.is("query of the other", b.query(other), refund.Succeeded)
	})
	s.inBubble(t, "found with another amount than ours", func(b *bench) {
		r := b.refund("R1", 1200)
		b.script("R1", gatewaysim.Step{Result: gatewaysim.Succeed})
		b.is("call", b.call(r), refund.Succeeded)
		r.Amount.Minor = 1300
		b.is("query", b.query(r), refund.Unknown)
	})
	s.inBubble(t, "taken back by the vendor", func(b *bench) {
		r := b.refund("R1", 1200)
		b.script("R1", gatewaysim.Step{Result: gatewaysim.Succeed})
		b.is("call", b.call(r), refund.Succeeded)
		b.settle("R1", gatewaysim.Reverse)
		b.is("query", b.query(r), refund.Declined)
		b.moved(r, 1200, -1200)
	})
}

func (s Subject) pings(t *testing.T) {
	s.inBubble(t, "all well", func(b *bench) {
		if o := b.clean(b.gateway.Ping(b.t.Context())); o.Hold || o.Outage {
			b.t.Errorf("%+v: want neither hold nor outage", o)
		}
		if len(b.sim.Ledger()) != 0 {
			b.t.Error("a ping moved money")
		}
		b.lawful()
	})
	s.inBubble(t, "the vendor refuses connections", func(b *bench) {
		b.sim.Refuse()
		o := b.clean(b.gateway.Ping(b.t.Context()))
		b.is("ping", o, refund.Unknown)
		if !o.Outage || o.Hold {
			b.t.Errorf("%+v: want an outage, and no hold", o)
		}
	})
}

// requests: what Check refuses is refused with the field's name, before any call.
func (s Subject) requests(t *testing.T) {
	for field, spoil := range map[string]func(*refund.Request){
		"refund_no": func(r *refund.Request) { r.RefundNo = strings.Repeat("R", 64) },
		"currency":  func(r *refund.Request) { r.Amount.Currency = refund.Currency{Code: "XTS", Exponent: 2} },
		"method":    func(r *refund.Request) { r.Method = "Barter" },
		"reason":    func(r *refund.Request) { r.Reason = strings.Repeat("x", 257) },
	} {
		s.inBubble(t, field, func(b *bench) {
			r := b.refund("R1", 1200)
			spoil(&r)
			rejection := b.gateway.Check(r)
			if rejection == nil {
				b.t.Fatalf("%+v was not refused", r)
			}
			if !strings.Contains(rejection.Message, field) || rejection.Code != refund.CodeFieldLimit && rejection.Code != refund.CodeUnsupported {
				b.t.Errorf("%+v: want field_limit or unsupported, naming %s", *rejection, field)
			}
			b.secretless(rejection.Message)
		})
	}
	s.inBubble(t, "orders", func(b *bench) {
		one, two := b.refund("R1", 1200), b.refund("R2", 700)
		other := b.refund("R3", 700)
		other.OrderNo, other.TransactionID = "order2", "T2"
		if o := b.gateway.Order(one); o == "" || o != b.gateway.Order(two) || o == b.gateway.Order(other) {
			b.t.Errorf("orders %q, %q and %q: want the first two the same, the third another", o, b.gateway.Order(two), b.gateway.Order(other))
		}
	})
	s.inBubble(t, "signing sends nothing", func(b *bench) {
		if _, err := b.gateway.Sign(b.refund("R1", 1200)); err != nil {
			b.t.Fatal(err)
		}
		b.called("R1", 0)
	})
	s.inBubble(t, "a call ends with its context", func(b *bench) {
		b.script("R1", gatewaysim.TimeOutAfter())
		send, err := b.gateway.Sign(b.refund("R1", 1200))
		if err != nil {
			b.t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan refund.Outcome)
		go func() { done <- send(ctx) }()
		synctest.Wait()
		cancel()
		o := b.clean(<-done)
		b.is("call", o, refund.Unknown)
		if o.Outage {
			b.t.Errorf("%+v: that we gave up is no outage", o)
		}
	})
}
