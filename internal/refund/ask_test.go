package refund_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// A request that comes again while its refund is in doubt gets the newest event
// again, although the query that it leads to changes nothing.
func TestARequestInDoubtIsAnsweredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Unknown} }
		w.deliver("r1", 0)
		w.steps = nil
		time.Sleep(time.Minute)
		w.wantVerdict(w.deliver("r1", 0), refund.Later, refund.CauseFollowUp, 1)
		w.want("query r1", "UNKNOWN 2")
	})
}

// Found by the crash explorer: claimed, its worker frozen before the intent was published; the next owner asks; Redis
// fails over, loses the claims and is rebuilt. "No such refund" changes nothing about a refund that nobody knows, and the
// follow-up that was left for it became a dead letter. "Unknown" made an event of it, UNKNOWN of no attempt, which was
// then all that announced the call.
func TestARefundThatWasLostWhileItWasAskedAboutIsClaimedAnew(t *testing.T) {
	for _, class := range []refund.Class{refund.NotFound, refund.Unknown} {
		t.Run(string(class), func(t *testing.T) { lostWhileAsked(t, class) })
	}
}

func lostWhileAsked(t *testing.T, class refund.Class) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		claim := refund.Claim{Request: request("r1"), Provider: "eftpay", Order: "rrn_1", Token: "dead", Lease: 30 * time.Second, FirstSeen: time.Now()}
		if _, err := w.store.Claim(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.handler.Recorder.Records = &forgets{w.store, w.forget}
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: class} }
		if v := w.deliver("r1", 0); v.Kind != refund.Abandon || !errors.Is(v.Err, refund.ErrForgotten) {
			t.Errorf("verdict %+v", v)
		}
		w.want("query r1")
		w.wantVerdict(w.deliver("r1", 0), refund.Done, "", 0)
		w.want("PENDING 1001", "call r1", "SUCCEEDED 1002")
	})
}

// Found by the crash explorer: claimed, its worker killed before the intent was published; the next owner is told that there
// is no such refund, and before the resend Redis is wiped and rebuilt. The follow-up that was left for a refund which the
// topic did not know became a dead letter.
func TestNoFollowUpIsLeftOfWhatWasNeverAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		claim := refund.Claim{Request: request("r1"), Provider: "eftpay", Order: "rrn_1", Token: "dead", Lease: 30 * time.Second, FirstSeen: time.Now()}
		if _, err := w.store.Claim(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		w.handler.Claims = wipedBeforeResend{w.store, w}
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.NotFound} }
		if v := w.deliver("r1", 0); v.Kind != refund.Abandon || !errors.Is(v.Err, refund.ErrForgotten) {
			t.Errorf("verdict %+v", v)
		}
		w.want("query r1")
		w.wantVerdict(w.deliver("r1", 0), refund.Done, "", 0)
		w.want("PENDING 1001", "call r1", "SUCCEEDED 1002")
	})
}

// wipedBeforeResend loses everything before a resend, and is rebuilt while that is tried.
type wipedBeforeResend struct {
	refund.Claims
	world *world
}

func (r wipedBeforeResend) Resend(ctx context.Context, rec refund.Record, token string, lease time.Duration) (refund.Claimed, error) {
	r.world.forget()
	time.Sleep(time.Minute)
	return r.Claims.Resend(ctx, rec, token, lease)
}

// A call whose connection broke at once may land until its deadline and resend_after have passed. Found by the crash
// explorer: call, reset, "no such refund" after a minute, resend, and the first call landed after 69 s: paid twice.
func TestABrokenCallIsNotResentBeforeItCanNoLongerLand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Unknown} } // breaks at once, lands when it likes
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.NotFound} }
		for followUp, step := range []struct {
			wait  time.Duration
			calls int
		}{{0, 1}, {time.Minute, 1}, {10 * time.Second, 2}} {
			time.Sleep(step.wait)
			w.deliver("r1", followUp)
			if calls := count(w.steps, "call r1"); calls != step.calls {
				t.Errorf("after another %s: %d calls, want %d", step.wait, calls, step.calls)
			}
		}
	})
}
