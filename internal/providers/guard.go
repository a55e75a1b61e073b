// Package providers puts gateways behind their guards: it makes each merchant's
// account of its settings, and says when a merchant's gateway may be called.
//
// It guarantees, for each merchant alone, so that one's trouble is never
// another's:
//
//   - at most `concurrency` calls at once; whoever comes too many waits in line, at
//     most max_wait, and only where the wait is worth it;
//   - only outages open the breaker, and no refund call is the first to go through
//     after one: a query or a ping is;
//   - settings that the gateway refuses stop the merchant, and one query a minute
//     finds out when they are accepted again.
//
// It knows the domain, the gateways' packages and the transport.
package providers

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// Limits of one merchant in one worker.
type Limits struct {
	Concurrency int           // calls at once; at least 1
	MaxWait     time.Duration // for a slot
	ErrorRate   int           // calls a second that end in errors, and as many at once; 0: no limit
	Timeout     time.Duration // of a ping
	Breaker     Breaker
}

// Breaker says when an outage is one.
type Breaker struct {
	Window       time.Duration // rolling
	MinCalls     int           // fewer calls in the window say nothing
	FailureRatio float64       // of outages to calls, above 0 and at most 1
	OpenFor      time.Duration // before it is probed
}

// Hooks tell the metrics what guards do. Each may be nil; none may block, nor call
// the guard that calls it.
type Hooks struct {
	Breaker func(merchant, from, to string)              // closed, half-open, open
	Hold    func(merchant string, held bool, why string) // by itself: settings refused, accepted
	Granted func(merchant string, waited time.Duration)  // a slot
	Refused func(merchant string, wait refund.Wait)
}

var _ refund.Slots = (*Guard)(nil)

// Guard says when one merchant's gateway may be called. It is safe for use by
// several goroutines and starts none.
type Guard struct {
	merchant string
	timeout  time.Duration
	ping     func(context.Context) refund.Outcome
	hooks    Hooks

	operator operatorHold
	hold     selfHold
	errors   errorRate
	room     room
	breaker  *breaker
}

// NewGuard makes the guard of a merchant. ping is a query that moves no money: its
// outcome has Hold where the settings are refused and Outage where the gateway is
// not there.
func NewGuard(merchant string, limits Limits, ping func(context.Context) refund.Outcome, hooks Hooks) *Guard {
	g := &Guard{merchant: merchant, timeout: limits.Timeout, ping: ping, hooks: hooks}
	g.room.open(limits.Concurrency, limits.MaxWait)
	g.errors.open(limits.ErrorRate)
	g.breaker = newBreaker(limits.Breaker, func(from, to string) {
		if g.hooks.Breaker != nil {
			g.hooks.Breaker(g.merchant, from, to)
		}
	})
	return g
}

// Acquire implements refund.Slots. Operators' holds stop refund calls alone, so
// that what is open can still be asked about; everything else stops queries too.
func (g *Guard) Acquire(ctx context.Context, kind refund.CallKind) (refund.Slot, *refund.Wait) {
	begun := time.Now()
	slot, wait := g.acquire(ctx, kind)
	switch {
	case wait != nil && g.hooks.Refused != nil:
		g.hooks.Refused(g.merchant, *wait)
	case wait == nil && g.hooks.Granted != nil:
		g.hooks.Granted(g.merchant, time.Since(begun))
	}
	if wait != nil {
		return nil, wait // never a typed nil in the interface
	}
	return slot, nil
}

func (g *Guard) acquire(ctx context.Context, kind refund.CallKind) (*slot, *refund.Wait) {
	if wait := g.shut(kind); wait != nil {
		return nil, wait
	}
	if wait := g.room.enter(ctx); wait != nil {
		return nil, wait
	}
	s := &slot{guard: g, kind: kind, begun: time.Now()}
	admitted := false
	defer func() {
		if !admitted { // refused after all, or a ping panicked
			g.room.leave(0)
		}
	}()
	if wait := g.admit(ctx, s); wait != nil {
		return nil, wait
	}
	admitted = true
	return s, nil
}

// shut looks at all that may stop a call of this kind, without taking anything.
func (g *Guard) shut(kind refund.CallKind) *refund.Wait {
	now := time.Now()
	if kind == refund.RefundCall {
		if wait := g.operator.wait(now); wait != nil {
			return wait
		}
	}
	if wait := g.hold.wait(now); wait != nil {
		return wait
	}
	if wait := g.errors.wait(now); wait != nil {
		return wait
	}
	return g.breaker.wait(now)
}

// admit lets a slot through, or makes it the probe of a hold or of a half-open
// breaker. A refund call is never a probe: a ping goes before it.
func (g *Guard) admit(ctx context.Context, s *slot) *refund.Wait {
	if wait := g.shut(s.kind); wait != nil { // it may have changed while we stood in line
		return wait
	}
	probe, wait := g.hold.probe(time.Now(), g.timeout)
	if wait != nil {
		return wait
	}
	if s.kind == refund.RefundCall && (probe || g.breaker.halfOpen()) {
		if wait := g.pinged(ctx, probe); wait != nil {
			return wait
		}
		probe = false
	}
	return g.through(s, probe)
}

// through takes a slot past the breaker.
func (g *Guard) through(s *slot, probe bool) (wait *refund.Wait) {
	s.probe = probe
	if s.count, wait = g.breaker.allow(s.kind, g.timeout); wait != nil && probe {
		g.hold.probed(time.Now(), unprobed)
	}
	return wait
}

// pinged asks the gateway whether it is there and takes our settings, in the place
// of a refund call; nil: it does.
func (g *Guard) pinged(ctx context.Context, probe bool) *refund.Wait {
	ping := &slot{guard: g, kind: refund.QueryCall}
	if wait := g.through(ping, probe); wait != nil {
		return wait
	}
	bounded, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	ping.settle(g.ping(bounded))
	if wait := g.hold.still(time.Now()); wait != nil {
		return wait
	}
	return g.shut(refund.RefundCall)
}

// SetHold holds the merchant's refund calls for an operator, or lets them go.
func (g *Guard) SetHold(held bool, reason string) { g.operator.set(held, reason, time.Now()) }

// Status is what a guard does at this moment.
type Status struct {
	Breaker       string // closed, half-open, open
	OnHold        bool   // by an operator
	Misconfigured bool   // by itself
	Why           string // of the hold
	InFlight      int
	Waiting       int // for a slot
}

// Status answers at once.
func (g *Guard) Status() Status {
	s := Status{Breaker: g.breaker.state()}
	s.InFlight, s.Waiting = g.room.count()
	if why, held := g.hold.why(); held {
		s.Misconfigured, s.Why = true, why
	}
	if wait := g.operator.wait(time.Now()); wait != nil {
		s.OnHold, s.Why = true, wait.Message
	}
	return s
}

// slot is one call's place.
type slot struct {
	guard *Guard
	kind  refund.CallKind
	begun time.Time
	probe bool         // of a hold
	count func(counts) // tells the breaker, once
	done  atomic.Bool
}

// Done implements refund.Slot. Only the first counts.
func (s *slot) Done(o refund.Outcome) {
	if s.done.Swap(true) {
		return
	}
	s.settle(o)
	s.guard.room.leave(time.Since(s.begun))
}

// settle tells everybody what came of the call.
func (s *slot) settle(o refund.Outcome) {
	g, now := s.guard, time.Now()
	c := countsAs(o)
	s.count(c)
	if errorAnswer(s.kind, o) {
		g.errors.spend(now)
	}
	refused := o.Hold || o.Class == refund.Misconfigured && !(o.Alone && g.hold.takesOthers(now))
	var changed, held bool
	switch {
	case refused:
		changed, held = g.hold.refused(now, o.Message), true
	case s.probe && c == nothing:
		g.hold.probed(now, unprobed)
	case s.probe && c == outage:
		g.hold.probed(now, stillHeld)
	case s.probe:
		changed = g.hold.probed(now, accepted)
	case c == good && s.kind == refund.RefundCall && o.Class != refund.Misconfigured:
		g.hold.proved(now, o.Class == refund.Pending || o.Class == refund.Succeeded)
	}
	if changed && g.hooks.Hold != nil {
		g.hooks.Hold(g.merchant, held, o.Message)
	}
}
