package providers

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

func TestRefusedSettingsHoldTheMerchant(t *testing.T) {
	for name, o := range map[string]refund.Outcome{"misconfigured": refusal, "unknown with hold": unclear} {
		for _, kind := range []refund.CallKind{refund.RefundCall, refund.QueryCall} {
			bubble(t, fmt.Sprint(name, " by kind ", kind), func(t *testing.T) {
				r := newRig(t, nil)
				r.call(kind, o)
				for _, kind := range []refund.CallKind{refund.RefundCall, refund.QueryCall} {
					if wait := r.refused(kind, refund.CodeMisconfigured); wait.After != time.Minute || wait.Message != "invalid service" {
						t.Errorf("%+v", wait)
					}
				}
				if s := r.Status(); !s.Misconfigured || s.Why != "invalid service" {
					t.Errorf("%+v", s)
				}
			})
		}
	}
	bubble(t, "a query a minute finds out, and only one", func(t *testing.T) {
		r := newRig(t, nil)
		r.pong = unclear
		r.call(refund.RefundCall, refusal)
		for range 600 { // ten minutes
			time.Sleep(time.Second)
			r.refused(refund.RefundCall, refund.CodeMisconfigured)
		}
		if r.pings < 9 || r.pings > 10 {
			t.Errorf("%d pings in ten minutes", r.pings)
		}
		r.pong = absent
		time.Sleep(time.Minute)
		r.call(refund.RefundCall, paid) // resumed within the same Acquire
		r.call(refund.RefundCall, paid)
		if s := r.Status(); s.Misconfigured {
			t.Errorf("%+v", s)
		}
	})
	bubble(t, "a follow-up query is as good", func(t *testing.T) {
		r := newRig(t, nil)
		r.call(refund.RefundCall, refusal)
		time.Sleep(time.Minute)
		probe := r.slot(refund.QueryCall)
		r.refused(refund.QueryCall, refund.CodeMisconfigured)
		r.refused(refund.RefundCall, refund.CodeMisconfigured)
		probe.Done(pending)
		r.call(refund.RefundCall, paid)
		if r.pings != 0 {
			t.Errorf("%d pings", r.pings)
		}
	})
	bubble(t, "a probe that made no call, or met an outage, resumes nothing", func(t *testing.T) {
		r := newRig(t, nil)
		r.call(refund.RefundCall, refusal)
		time.Sleep(time.Minute)
		r.call(refund.QueryCall, noCall) // the next one probes at once
		r.call(refund.QueryCall, down)   // the next one in a minute
		r.refused(refund.QueryCall, refund.CodeMisconfigured)
		r.pong = givenUp
		time.Sleep(time.Minute)
		r.refused(refund.RefundCall, refund.CodeMisconfigured)
		r.pong = absent
		r.call(refund.RefundCall, paid)
	})
	bubble(t, "a probe that is never given back is given up", func(t *testing.T) {
		r := newRig(t, nil)
		r.call(refund.RefundCall, refusal)
		time.Sleep(time.Minute)
		r.slot(refund.QueryCall)
		time.Sleep(80 * time.Second)
		r.refused(refund.RefundCall, refund.CodeMisconfigured)
		time.Sleep(time.Second)
		r.call(refund.RefundCall, paid)
	})
	// A query does not use every setting (eftPay's service name): where it says
	// "accepted" and the next refund is refused all the same, tries become rare.
	bubble(t, "refused again and again, the pause doubles", func(t *testing.T) {
		r := newRig(t, nil)
		r.call(refund.RefundCall, unclear)
		tries, pause := 0, time.Minute
		for range 10 {
			time.Sleep(pause - time.Second)
			r.refused(refund.RefundCall, refund.CodeMisconfigured)
			time.Sleep(time.Second)
			r.call(refund.RefundCall, unclear)
			tries++
			pause = min(2*pause, time.Hour)
		}
		time.Sleep(time.Hour)
		r.call(refund.RefundCall, paid) // mended: from here on it starts with a minute again
		r.call(refund.RefundCall, unclear)
		time.Sleep(time.Minute)
		r.call(refund.RefundCall, paid)
	})
	bubble(t, "one request that the gateway dislikes does not hold a merchant whose calls go well", func(t *testing.T) {
		r := newRig(t, nil)
		r.call(refund.RefundCall, disliked) // nothing says that it is the request alone
		r.refused(refund.RefundCall, refund.CodeMisconfigured)
		time.Sleep(time.Minute)
		r.call(refund.RefundCall, paid)
		r.call(refund.RefundCall, disliked)
		r.call(refund.RefundCall, paid)
		time.Sleep(lately - time.Second)
		r.call(refund.RefundCall, disliked)
		time.Sleep(time.Second)
		r.call(refund.RefundCall, disliked) // what was taken is too long ago to speak for the settings
		r.refused(refund.RefundCall, refund.CodeMisconfigured)
	})
	bubble(t, "held and down: nobody probes an open breaker", func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.Breaker.OpenFor = 10 * time.Minute })
		last := r.slot(refund.RefundCall)
		r.open()
		last.Done(refusal)
		time.Sleep(2 * time.Minute)
		r.refused(refund.RefundCall, refund.CodeGatewayDown)
		time.Sleep(10 * time.Minute)
		r.call(refund.RefundCall, paid)
		if r.pings != 1 {
			t.Errorf("%d pings: one answers both questions", r.pings)
		}
	})
}

func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var seen []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprintf(format, args...))
		}
		r := &rig{t: t}
		r.Guard = NewGuard("m1", limits, nil, Hooks{
			Breaker: func(m, from, to string) { note("%s breaker %s %s", m, from, to) },
			Hold:    func(m string, held bool, why string) { note("%s hold %v %s", m, held, why) },
			Granted: func(m string, waited time.Duration) { note("%s granted %v", m, waited) },
			Refused: func(m string, w refund.Wait) { note("%s refused %s", m, w.Code) },
		})
		r.call(refund.QueryCall, refusal)
		r.refused(refund.QueryCall, refund.CodeMisconfigured)
		time.Sleep(time.Minute)
		r.call(refund.QueryCall, pending)
		for range 3 { // of four in the window
			r.call(refund.QueryCall, down)
		}
		time.Sleep(16 * time.Second)
		r.call(refund.QueryCall, pending)
		want := []string{
			"m1 granted 0s", "m1 hold true invalid service", "m1 refused misconfigured", "m1 granted 0s", "m1 hold false ",
			"m1 granted 0s", "m1 granted 0s", "m1 granted 0s", "m1 breaker closed open",
			"m1 breaker open half-open", "m1 granted 0s", "m1 breaker half-open closed",
		}
		if fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("\n%q, want\n%q", seen, want)
		}
	})
}
