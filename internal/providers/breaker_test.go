package providers

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// open makes an outage.
func (r *rig) open() {
	r.t.Helper()
	for range 4 {
		r.call(refund.RefundCall, down)
	}
	if s := r.Status(); s.Breaker != "open" {
		r.t.Fatalf("%+v", s)
	}
}

func TestBreakerOpens(t *testing.T) {
	for name, o := range map[string]refund.Outcome{"broken": down, "unreached": unreached} {
		bubble(t, "on outages: "+name, func(t *testing.T) {
			r := newRig(t, nil)
			for range 3 {
				r.call(refund.RefundCall, o)
			}
			r.call(refund.RefundCall, paid) // 4 calls, of which 3 are outages
			r.call(refund.QueryCall, o)
			wait := r.refused(refund.RefundCall, refund.CodeGatewayDown)
			if wait.After != 15*time.Second {
				t.Errorf("%+v", wait)
			}
			r.refused(refund.QueryCall, refund.CodeGatewayDown)
		})
	}
	for name, o := range map[string]refund.Outcome{
		"declined": declined, "pending": pending, "not found": absent, "no call": noCall, "given up by ourselves": givenUp,
		"not signed by our fault": {Class: refund.Misconfigured, Code: refund.CodeMisconfigured},
	} {
		bubble(t, "not on "+name, func(t *testing.T) {
			r := newRig(t, nil)
			for range 100 {
				slot, wait := r.Acquire(t.Context(), refund.RefundCall)
				if wait != nil {
					break // held, which is no outage
				}
				slot.Done(o)
			}
			if s := r.Status(); s.Breaker != "closed" {
				t.Errorf("%+v", s)
			}
		})
	}
	bubble(t, "below the ratio it stays closed", func(t *testing.T) {
		r := newRig(t, nil)
		for range 50 {
			r.call(refund.RefundCall, paid)
			r.call(refund.RefundCall, paid)
			r.call(refund.RefundCall, down)
		}
	})
	bubble(t, "what says nothing dilutes nothing", func(t *testing.T) {
		r := newRig(t, nil)
		for range 100 {
			r.call(refund.RefundCall, noCall)
			r.call(refund.RefundCall, givenUp)
		}
		r.open()
	})
	bubble(t, "calls under way do not count", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.Concurrency = 100 })
		var slots []refund.Slot
		for range 90 {
			slots = append(slots, r.slot(refund.RefundCall))
		}
		r.open() // 4 of 4 finished calls, not 4 of 94
		for _, s := range slots {
			s.Done(paid)
		}
	})
	bubble(t, "the window rolls", func(t *testing.T) {
		r := newRig(t, nil)
		for range 20 {
			r.call(refund.RefundCall, down)
			r.call(refund.RefundCall, down)
			r.call(refund.RefundCall, down)
			time.Sleep(31 * time.Second) // three in a window say nothing
		}
		r.call(refund.RefundCall, down)
		time.Sleep(20 * time.Second)
		r.call(refund.RefundCall, down)
		r.call(refund.RefundCall, down)
		time.Sleep(15 * time.Second) // the first has rolled out
		r.call(refund.RefundCall, down)
		r.call(refund.RefundCall, down)
		r.refused(refund.RefundCall, refund.CodeGatewayDown)
	})
}

func TestHalfOpen(t *testing.T) {
	bubble(t, "a query probes, refund calls wait for it", func(t *testing.T) {
		r := newRig(t, nil)
		r.open()
		time.Sleep(16 * time.Second)
		probe := r.slot(refund.QueryCall)
		r.refused(refund.RefundCall, refund.CodeGatewayDown)
		r.refused(refund.QueryCall, refund.CodeGatewayDown)
		probe.Done(pending)
		r.call(refund.RefundCall, paid)
		if r.pings != 0 {
			t.Errorf("%d pings beside the query", r.pings)
		}
	})
	bubble(t, "where there is no query, a ping probes before the refund call", func(t *testing.T) {
		r := newRig(t, nil)
		r.open()
		time.Sleep(16 * time.Second)
		r.call(refund.RefundCall, paid)
		if s := r.Status(); r.pings != 1 || s.Breaker != "closed" {
			t.Errorf("%d pings, %+v", r.pings, s)
		}
	})
	bubble(t, "a probe that fails opens it again, and the estimate grows", func(t *testing.T) {
		r := newRig(t, nil)
		r.open()
		r.pong = down
		var last time.Duration
		for n := 1; n <= 40; n++ {
			time.Sleep(16 * time.Second)
			wait := r.refused(refund.RefundCall, refund.CodeGatewayDown)
			if wait.After < last || wait.After > 5*time.Minute || r.pings != n {
				t.Fatalf("%+v after %v, %d pings of %d", wait, last, r.pings, n)
			}
			last = wait.After
		}
		if last != 5*time.Minute {
			t.Errorf("after ten minutes the estimate is %v", last)
		}
		r.pong = absent
		time.Sleep(16 * time.Second)
		r.call(refund.RefundCall, paid)
		time.Sleep(time.Minute)
		r.open()
		if wait := r.refused(refund.RefundCall, refund.CodeGatewayDown); wait.After != 15*time.Second {
			t.Errorf("a new outage starts with %+v", wait)
		}
	})
	bubble(t, "only one ping at a time", func(t *testing.T) {
		r := newRig(t, nil)
		r.open()
		time.Sleep(16 * time.Second)
		r.ping = func() refund.Outcome { time.Sleep(5 * time.Second); return absent }
		var wg sync.WaitGroup
		wg.Go(func() { r.call(refund.RefundCall, paid) })
		synctest.Wait()
		for range 3 {
			r.refused(refund.RefundCall, refund.CodeGatewayDown)
		}
		r.refused(refund.QueryCall, refund.CodeGatewayDown)
		wg.Wait()
		if r.pings != 1 {
			t.Errorf("%d pings", r.pings)
		}
	})
	bubble(t, "a probe without a call leaves the place to the next", func(t *testing.T) {
		r := newRig(t, nil)
		r.open()
		time.Sleep(16 * time.Second)
		r.call(refund.QueryCall, noCall)
		r.call(refund.QueryCall, givenUp)
		if s := r.Status(); s.Breaker != "half-open" {
			t.Errorf("%+v", s)
		}
		r.pong = givenUp
		r.refused(refund.RefundCall, refund.CodeGatewayDown) // a ping that says nothing lets nothing through
		r.call(refund.QueryCall, pending)
		r.call(refund.RefundCall, paid)
	})
	bubble(t, "a probe that is never given back is given up", func(t *testing.T) {
		r := newRig(t, nil)
		r.open()
		time.Sleep(16 * time.Second)
		lost := r.slot(refund.QueryCall)
		time.Sleep(80 * time.Second)
		r.refused(refund.QueryCall, refund.CodeGatewayDown)
		time.Sleep(time.Second)
		r.call(refund.QueryCall, pending)
		lost.Done(down) // late, and of no account
		r.call(refund.RefundCall, paid)
	})
	bubble(t, "late answers from before do not count", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.Concurrency = 10 })
		old := r.slot(refund.RefundCall)
		r.open()
		time.Sleep(16 * time.Second)
		if s := r.Status(); s.Breaker != "half-open" {
			t.Fatalf("%+v", s)
		}
		old.Done(paid)
		if s := r.Status(); s.Breaker != "half-open" {
			t.Errorf("a call from before the outage ended it: %+v", s)
		}
	})
	bubble(t, "a ping that panics costs no slot", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.Concurrency = 1; l.MaxWait = 0 })
		r.open()
		time.Sleep(16 * time.Second)
		r.ping = func() refund.Outcome { panic("ping") }
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			r.slot(refund.RefundCall)
		}()
		r.ping = nil
		time.Sleep(2 * time.Minute)
		r.call(refund.RefundCall, paid)
	})
}
