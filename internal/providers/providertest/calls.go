package providertest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/refund"
)

// callCase is one way that a refund call goes, what it must answer, whether money
// moved, and what a query must find afterwards.
type callCase struct {
	name   string
	step   gatewaysim.Step
	want   refund.Class
	outage bool // counts against the breaker
	moved  bool
	then   refund.Class
	signed bool // only where answers are signed
}

// never is what is proved of a refund that did not land.
const never = refund.NotFound

// callCases: only a clear answer about this very refund and amount says anything;
// everything else is Unknown, and the query clears it up.
var callCases = []callCase{
	{name: "success", step: gatewaysim.Step{Result: gatewaysim.Succeed}, want: refund.Succeeded, moved: true, then: refund.Succeeded},
	{name: "pending", step: gatewaysim.Step{Result: gatewaysim.Process}, want: refund.Pending, then: refund.Pending},
	{name: "failed at once", step: gatewaysim.Step{Result: gatewaysim.Fail}, want: refund.Declined, then: refund.Declined},

	{name: "time-out before the money moved", step: gatewaysim.TimeOutBefore(), want: refund.Unknown, outage: true, then: never},
	{name: "time-out after the money moved", step: gatewaysim.TimeOutAfter(), want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded},
	{name: "reset before", step: gatewaysim.ResetBefore(), want: refund.Unknown, outage: true, then: never},
	{name: "reset after", step: gatewaysim.ResetAfter(), want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded},
	{name: "hung up after", step: spoilt(gatewaysim.Hangup), want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded},
	{name: "500 HTML before", step: gatewaysim.ErrorBefore(), want: refund.Unknown, outage: true, then: never},
	{name: "500 HTML after", step: gatewaysim.ErrorAfter(), want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded},
	{name: "200 HTML", step: gatewaysim.Step{Result: gatewaysim.Succeed, Answer: gatewaysim.HTML, HTTPStatus: 200}, want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded},
	{name: "500 with the true answer", step: gatewaysim.Step{Result: gatewaysim.Succeed, HTTPStatus: 500}, want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded},
	{name: "429 HTML", step: gatewaysim.Step{Result: gatewaysim.Succeed, Answer: gatewaysim.HTML, HTTPStatus: 429}, want: refund.Unknown, moved: true, then: refund.Succeeded},
	{name: "garbage", step: spoilt(gatewaysim.Garbage), want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded},
	{name: "empty", step: spoilt(gatewaysim.Empty), want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded},
	{name: "truncated", step: spoilt(gatewaysim.Truncated), want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded},
	{name: "drip to the deadline", step: spoilt(gatewaysim.Drip), want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded},
	{name: "oversized", step: spoilt(gatewaysim.Oversized), want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded},
	{name: "redirect", step: gatewaysim.Step{Result: gatewaysim.Nothing, Answer: gatewaysim.Redirect, Times: -1}, want: refund.Unknown, outage: true, then: never},

	{name: "unsigned success", step: spoilt(gatewaysim.Unsigned), want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded, signed: true},
	{name: "unsigned refusal", step: gatewaysim.Step{Result: gatewaysim.Decline, Answer: gatewaysim.Unsigned}, want: refund.Unknown, outage: true, then: refund.Declined, signed: true},
	{name: "badly signed success", step: spoilt(gatewaysim.BadSign), want: refund.Unknown, outage: true, moved: true, then: refund.Succeeded, signed: true},
	{name: "unknown status", step: spoilt(gatewaysim.UnknownStatus), want: refund.Unknown, moved: true, then: refund.Succeeded},
	{name: "unknown code", step: spoilt(gatewaysim.UnknownCode), want: refund.Unknown, moved: true, then: refund.Succeeded},
	{name: "answer about another refund", step: spoilt(gatewaysim.OtherRefund), want: refund.Unknown, moved: true, then: refund.Succeeded},
	{name: "answer with another amount", step: spoilt(gatewaysim.OtherAmount), want: refund.Unknown, moved: true, then: refund.Succeeded},
}

func spoilt(a gatewaysim.Answer) gatewaysim.Step {
	return gatewaysim.Step{Result: gatewaysim.Succeed, Answer: a}
}

func (s Subject) calls(t *testing.T) {
	for _, c := range callCases {
		if c.signed && !s.SignedAnswers {
			continue // nothing to leave out: this vendor signs no answer
		}
		s.inBubble(t, c.name, func(b *bench) { b.goes(c) })
	}
	s.inBubble(t, "full refund", (*bench).fullRefund)
	s.inBubble(t, "declined", (*bench).declined)
	s.inBubble(t, "pending, then success by query", func(b *bench) { b.ends(gatewaysim.Succeed, refund.Succeeded) })
	s.inBubble(t, "pending, then failure by query", func(b *bench) { b.ends(gatewaysim.Fail, refund.Declined) })
	s.inBubble(t, "lands long after the deadline", (*bench).landsLate)
	s.inBubble(t, "leaves long after it was signed", (*bench).leavesLate)
	s.inBubble(t, "made without a deadline of its own", (*bench).unbounded)
	s.inBubble(t, "made twice", (*bench).madeTwice)
	s.inBubble(t, "given up before it is made", (*bench).givenUp)
	s.inBubble(t, "the vendor refuses connections", (*bench).refused)
}

func (b *bench) goes(c callCase) {
	r := b.refund("R1", 1200)
	b.script("R1", c.step)
	begun := time.Now()
	o := b.call(r)
	b.is("call", o, c.want)
	if o.Outage != c.outage {
		b.t.Errorf("outage=%v, want %v: %+v", o.Outage, c.outage, o)
	}
	if took := time.Since(begun); took > timeout {
		b.t.Errorf("took %s, beyond its deadline of %s", took, timeout)
	}
	if c.step.Answer == gatewaysim.UnknownStatus && !strings.Contains(o.ProviderStatus, "MYSTERY") {
		b.t.Errorf("the vendor's word is not kept: %+v", o)
	}
	b.called("R1", 1)
	if c.moved {
		b.moved(r, 1200)
	} else {
		b.moved(r)
	}
	b.is("query", b.query(r), c.then)
	b.called("R1", 1)
	b.lawful()
}

func (b *bench) fullRefund() {
	r := b.refund("R1", 1200)
	r.OrderAmount = r.Amount
	if err := b.sim.RegisterSale(b.s.Merchant, gatewaysim.Sale{Order: b.gateway.Order(r), Total: 1200}); err != nil {
		b.t.Fatal(err)
	}
	b.script("R1", gatewaysim.Step{Result: gatewaysim.Succeed})
	b.is("call", b.call(r), refund.Succeeded)
	b.is("query", b.query(r), refund.Succeeded)
	b.moved(r, 1200)
	b.lawful()
}

// declined: whether a vendor keeps a trace of what it refused is its own affair.
func (b *bench) declined() {
	r := b.refund("R1", 1200)
	b.script("R1", gatewaysim.Step{Result: gatewaysim.Decline})
	o := b.call(r)
	b.is("call", o, refund.Declined)
	if o.Code == "" || o.Outage {
		b.t.Errorf("%+v: want the vendor's code, and no outage", o)
	}
	b.is("query", b.query(r), refund.Declined, never)
	b.moved(r)
	b.lawful()
}

func (b *bench) ends(result gatewaysim.Result, want refund.Class) {
	r := b.refund("R1", 1200)
	b.script("R1", gatewaysim.Step{Result: gatewaysim.Process})
	b.is("call", b.call(r), refund.Pending)
	b.is("first query", b.query(r), refund.Pending)
	b.moved(r)
	b.settle("R1", result)
	b.is("second query", b.query(r), want)
	if want == refund.Succeeded {
		b.moved(r, 1200)
	} else {
		b.moved(r)
	}
	b.lawful()
}

// landsLate: until it lands "not found" is true, and is why a resend waits.
func (b *bench) landsLate() {
	r := b.refund("R1", 1200)
	b.script("R1", gatewaysim.LandLate(3*timeout))
	b.is("call", b.call(r), refund.Unknown)
	b.is("query before it lands", b.query(r), never)
	time.Sleep(3 * timeout) // virtual
	b.is("query after it landed", b.query(r), refund.Succeeded)
	b.moved(r, 1200)
}

// leavesLate: a worker was paused between signing and sending. The vendor refuses
// the old time, so no money moves beside the worker's successor.
func (b *bench) leavesLate() {
	r := b.refund("R1", 1200)
	send, err := b.gateway.Sign(r)
	if err != nil {
		b.t.Fatal(err)
	}
	time.Sleep(time.Hour) // virtual
	b.is("call", b.send(send), refund.NotSent, refund.Misconfigured, refund.Unknown)
	b.called("R1", 0)
	b.moved(r)
}

// unbounded: the merchant's timeout bounds a call whose caller set no deadline.
func (b *bench) unbounded() {
	r := b.refund("R1", 1200)
	b.script("R1", gatewaysim.TimeOutAfter())
	send, err := b.gateway.Sign(r)
	if err != nil {
		b.t.Fatal(err)
	}
	begun := time.Now()
	b.is("call", b.clean(send(context.Background())), refund.Unknown)
	if took := time.Since(begun); took > timeout {
		b.t.Errorf("took %s, beyond the merchant's timeout of %s", took, timeout)
	}
}

// madeTwice: what was signed once is sent once, whoever calls again.
func (b *bench) madeTwice() {
	r := b.refund("R1", 1200)
	b.script("R1", gatewaysim.Step{Result: gatewaysim.Succeed, Times: -1})
	send, err := b.gateway.Sign(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.is("first", b.send(send), refund.Succeeded)
	b.is("second", b.send(send), refund.Unknown)
	b.called("R1", 1)
	b.moved(r, 1200)
}

func (b *bench) givenUp() {
	r := b.refund("R1", 1200)
	send, err := b.gateway.Sign(r)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	o := b.clean(send(ctx))
	b.is("call", o, refund.NotSent)
	if o.Outage {
		b.t.Errorf("%+v: that we gave up is no outage", o)
	}
	b.called("R1", 0)
}

func (b *bench) refused() {
	r := b.refund("R1", 1200)
	b.sim.Refuse()
	b.unreached(r, "refused")
	if err := b.sim.Accept(); err != nil {
		b.t.Fatal(err)
	}
	b.script("R1", gatewaysim.Step{Result: gatewaysim.Succeed})
	b.is("call", b.call(r), refund.Succeeded)
	b.moved(r, 1200)
}

// unreached: a call was surely not sent; the same of a query says nothing.
func (b *bench) unreached(r refund.Request, what string) {
	b.t.Helper()
	for kind, o := range map[refund.Class]refund.Outcome{refund.NotSent: b.call(r), refund.Unknown: b.query(r)} {
		b.is(what, o, kind)
		if !o.Outage || o.Code != refund.CodeGatewayDown {
			b.t.Errorf("%s: %+v, want an outage with %s", what, o, refund.CodeGatewayDown)
		}
	}
	b.called(r.RefundNo, 0)
	b.moved(r)
}
