package providers

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// Outcomes as gateways answer them.
var (
	paid      = refund.Outcome{Class: refund.Succeeded}
	declined  = refund.Outcome{Class: refund.Declined, Code: "TRADE_FAIL"}
	pending   = refund.Outcome{Class: refund.Pending}
	noCall    = refund.Outcome{}
	down      = refund.Outcome{Class: refund.Unknown, Code: refund.CodeGatewayDown, Outage: true}
	unreached = refund.Outcome{Class: refund.NotSent, Code: refund.CodeGatewayDown, Outage: true}
	givenUp   = refund.Outcome{Class: refund.Unknown, Code: refund.CodeGatewayDown}
	disliked  = refund.Outcome{Class: refund.Misconfigured, Code: "21002", Message: "wrong parameters", Alone: true}
	refusal   = refund.Outcome{Class: refund.Misconfigured, Code: "-13", Message: "invalid service"}
	unclear   = refund.Outcome{Class: refund.Unknown, Code: "-13", Message: "invalid service", Hold: true}
	absent    = refund.Outcome{Class: refund.NotFound, Code: "40"}
)

var limits = Limits{
	Concurrency: 4, MaxWait: 5 * time.Second, Timeout: 10 * time.Second,
	Breaker: Breaker{Window: 30 * time.Second, MinCalls: 4, FailureRatio: 0.5, OpenFor: 15 * time.Second},
}

// rig is a guard whose pings answer what the test says.
type rig struct {
	*Guard
	t     *testing.T
	mu    sync.Mutex
	pings int
	pong  refund.Outcome
	ping  func() refund.Outcome // in place of pong
}

func newRig(t *testing.T, change func(*Limits)) *rig {
	l := limits
	if change != nil {
		change(&l)
	}
	r := &rig{t: t, pong: absent}
	r.Guard = NewGuard("m1", l, func(context.Context) refund.Outcome {
		r.mu.Lock()
		r.pings++
		answer, pong := r.ping, r.pong
		r.mu.Unlock()
		if answer != nil {
			return answer()
		}
		return pong
	}, Hooks{})
	return r
}

// slot acquires without waiting, or fails the test.
func (r *rig) slot(kind refund.CallKind) refund.Slot {
	r.t.Helper()
	slot, wait := r.Acquire(r.t.Context(), kind)
	if wait != nil {
		r.t.Fatalf("refused: %+v", *wait)
	}
	return slot
}

// call makes one call that ends so.
func (r *rig) call(kind refund.CallKind, o refund.Outcome) {
	r.t.Helper()
	r.slot(kind).Done(o)
}

// refused acquires and is refused with this code.
func (r *rig) refused(kind refund.CallKind, code string) refund.Wait {
	r.t.Helper()
	slot, wait := r.Acquire(r.t.Context(), kind)
	if wait == nil {
		slot.Done(noCall)
		r.t.Fatalf("let through, want %s", code)
	}
	if slot != nil || wait.Code != code || wait.After <= 0 || wait.Message == "" {
		r.t.Fatalf("%v, %+v, want %s", slot, *wait, code)
	}
	return *wait
}

func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func TestSlots(t *testing.T) {
	bubble(t, "in the order of asking", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.Concurrency = 1 })
		held := r.slot(refund.RefundCall)
		var order []int
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				s := r.slot(refund.RefundCall)
				order = append(order, i) // the slot is the lock
				s.Done(paid)
			})
			synctest.Wait() // it stands in line
		}
		if s := r.Status(); s.InFlight != 1 || s.Waiting != 5 {
			t.Errorf("%+v", s)
		}
		held.Done(paid)
		wg.Wait()
		for i, got := range order {
			if i != got {
				t.Fatalf("served %v", order)
			}
		}
		if s := r.Status(); s.InFlight != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
	bubble(t, "the wait is bounded", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.Concurrency = 1 })
		held := r.slot(refund.RefundCall)
		begun := time.Now()
		r.refused(refund.RefundCall, refund.CodeRateLimited)
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("waited %v", took)
		}
		held.Done(paid)
		r.call(refund.RefundCall, paid)
	})
	bubble(t, "the wait ends with its context", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.Concurrency = 1 })
		defer r.slot(refund.RefundCall).Done(paid)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begun := time.Now()
		if _, wait := r.Acquire(ctx, refund.QueryCall); wait == nil || time.Since(begun) != time.Second {
			t.Errorf("%+v after %v", wait, time.Since(begun))
		}
	})
	bubble(t, "nobody waits for what will not come in time", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.Concurrency = 2 })
		for range 50 { // calls take 12 s
			one, two := r.slot(refund.RefundCall), r.slot(refund.RefundCall)
			time.Sleep(12 * time.Second)
			one.Done(paid)
			two.Done(paid)
		}
		one, two := r.slot(refund.RefundCall), r.slot(refund.RefundCall)
		begun := time.Now()
		wait := r.refused(refund.RefundCall, refund.CodeRateLimited)
		if time.Since(begun) != 0 || wait.After != 6*time.Second { // two slots, one ahead in 12 s each
			t.Errorf("%+v after %v", wait, time.Since(begun))
		}
		one.Done(paid)
		two.Done(paid)
	})
	bubble(t, "the line is short", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.Concurrency = 1 })
		held := r.slot(refund.RefundCall)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() { r.call(refund.RefundCall, paid) })
		}
		synctest.Wait()
		begun := time.Now()
		if r.refused(refund.RefundCall, refund.CodeRateLimited); time.Since(begun) != 0 {
			t.Errorf("the seventeenth waited %v", time.Since(begun))
		}
		held.Done(paid)
		wg.Wait()
	})
	bubble(t, "Done counts once", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.Concurrency = 1; l.MaxWait = 0 })
		first := r.slot(refund.RefundCall)
		first.Done(paid)
		first.Done(paid)
		second := r.slot(refund.RefundCall)
		r.refused(refund.RefundCall, refund.CodeRateLimited)
		second.Done(paid)
	})
	bubble(t, "whoever waits is looked at again", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.Concurrency = 1 })
		held := r.slot(refund.RefundCall)
		var wg sync.WaitGroup
		wg.Go(func() { r.refused(refund.RefundCall, refund.CodeOnHold) })
		synctest.Wait()
		r.SetHold(true, "the shop is under review")
		held.Done(paid)
		wg.Wait()
	})
	bubble(t, "never more at once than allowed", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.ErrorRate = 6 })
		outcomes := []refund.Outcome{paid, declined, down, noCall, refusal, unclear, pending, givenUp, absent, unreached}
		var mu sync.Mutex
		var wg sync.WaitGroup
		inFlight, most, through := 0, 0, 0
		for i := range 20 {
			wg.Go(func() {
				for n := range 200 {
					kind := refund.RefundCall
					if (i+n)%3 == 0 {
						kind = refund.QueryCall
					}
					s, wait := r.Acquire(t.Context(), kind)
					if wait != nil {
						time.Sleep(wait.After)
						continue
					}
					mu.Lock()
					inFlight++
					through++
					most = max(most, inFlight)
					mu.Unlock()
					time.Sleep(time.Duration(1+(i*7+n)%900) * time.Millisecond)
					mu.Lock()
					inFlight--
					mu.Unlock()
					s.Done(outcomes[(i*13+n)%len(outcomes)])
				}
			})
		}
		wg.Wait()
		if most > 4 || through < 100 {
			t.Errorf("%d at once, %d in all", most, through)
		}
		// However it ended, it comes back by itself.
		for range 3 {
			time.Sleep(2 * time.Hour)
			if s, wait := r.Acquire(t.Context(), refund.QueryCall); wait == nil {
				s.Done(absent)
			}
		}
		r.call(refund.RefundCall, paid)
		if s := r.Status(); s.Breaker != "closed" || s.Misconfigured || s.InFlight != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestOperatorsHold(t *testing.T) {
	bubble(t, "stops refund calls alone", func(t *testing.T) {
		r := newRig(t, nil)
		r.SetHold(true, "the shop is under review")
		if wait := r.refused(refund.RefundCall, refund.CodeOnHold); wait.After != time.Minute || wait.Message != "the shop is under review" {
			t.Errorf("%+v", wait)
		}
		r.call(refund.QueryCall, pending) // what is open can still be asked about
		time.Sleep(3 * time.Minute)
		r.SetHold(true, "still")
		if wait := r.refused(refund.RefundCall, refund.CodeOnHold); wait.After != 3*time.Minute || wait.Message != "still" {
			t.Errorf("%+v", wait)
		}
		if s := r.Status(); !s.OnHold || s.Why != "still" {
			t.Errorf("%+v", s)
		}
		r.SetHold(false, "")
		r.call(refund.RefundCall, paid)
		if r.pings != 0 {
			t.Errorf("%d pings", r.pings)
		}
	})
}

func TestErrorRate(t *testing.T) {
	bubble(t, "errors of calls at once are paid back", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.ErrorRate = 2; l.Concurrency = 8 })
		for range 100 { // what is no error costs nothing
			r.call(refund.RefundCall, paid)
			r.call(refund.QueryCall, pending)
			r.call(refund.QueryCall, declined) // the query itself went well
			r.call(refund.RefundCall, noCall)
		}
		var slots []refund.Slot
		for range 8 {
			slots = append(slots, r.slot(refund.RefundCall))
		}
		for _, s := range slots {
			s.Done(declined)
		}
		wait := r.refused(refund.QueryCall, refund.CodeRateLimited) // 2 at hand, 8 spent, and one is needed
		if wait.After != 3500*time.Millisecond {
			t.Errorf("%+v", wait)
		}
		time.Sleep(wait.After)
		r.call(refund.RefundCall, paid)
	})
	bubble(t, "no limit", func(t *testing.T) {
		r := newRig(t, nil)
		for range 1000 {
			r.call(refund.RefundCall, declined)
		}
	})
}
