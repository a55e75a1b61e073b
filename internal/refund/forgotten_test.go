package refund_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// forget empties the store and opens it under a new epoch, as a rebuild does that finds nothing on the topic.
func (w *world) forget() {
	w.store.Wipe()
	token, err := w.store.Lock(w.t.Context(), "S0003469", time.Minute)
	if err == nil {
		_, err = w.store.Finish(w.t.Context(), "S0003469", token, 1)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// forgets is a store that is wiped, and rebuilt from an empty topic, before the first record reaches it.
type forgets struct {
	refund.Records
	wipe func()
}

func (f *forgets) Record(ctx context.Context, next refund.Record, endLease string) (refund.Record, bool, error) {
	if f.wipe != nil {
		f.wipe()
		f.wipe = nil
	}
	return f.Records.Record(ctx, next, endLease)
}

// Found by the crash explorer: over the total; Redis is wiped and rebuilt before REJECTED is recorded; the record that
// then answers the lost comparison has no amount, and the news about it could never be recorded.
func TestNewsOfARefundThatTheStoreHasLostAreRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.handler.Recorder.Records = &forgets{w.store, w.forget}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		long := request("a-refund-number-that-is-too-long")
		v := w.handler.Handle(ctx, refund.Work{Request: long, Place: "t/0/1", FirstSeen: time.Now(), Alive: time.Now})
		w.wantVerdict(v, refund.Done, "", 0)
		w.want("REJECTED 1001")
		rec, err := w.store.Load(t.Context(), long.Key)
		if err != nil || rec.Request.Amount != long.Amount || rec.Order != "rrn_1" || rec.Provider != "eftpay" {
			t.Errorf("stored %+v, %v", rec, err)
		}
	})
}

// Found by the crash explorer: WAITING recorded; the process has no sign of life, so that it is not published; Redis is
// wiped and rebuilt meanwhile; then an event with sequence 0 and no amount was published, which no rebuild can read.
func TestWhatTheStoreHasLostIsNotPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		begun := time.Now()
		w.alive = func() time.Time { // none between the first instant and the fortieth second
			if time.Since(begun) < 40*time.Second {
				return begun
			}
			return time.Now()
		}
		time.Sleep(6 * time.Second)
		time.AfterFunc(30*time.Second, w.forget)
		long := request("a-refund-number-that-is-too-long")
		v := w.handler.Handle(t.Context(), refund.Work{Request: long, Place: "t/0/1", FirstSeen: time.Now(), Alive: w.alive})
		if v.Kind != refund.Abandon || !errors.Is(v.Err, refund.ErrForgotten) {
			t.Errorf("verdict %+v", v)
		}
		w.want()
		// The work again, in its place.
		w.wantVerdict(w.handler.Handle(t.Context(), refund.Work{Request: long, Place: "t/0/1", FirstSeen: time.Now(), Alive: time.Now}), refund.Done, "", 0)
		w.want("REJECTED 1001")
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

// Found by the crash explorer: two requests of one number with different content, both over the total, on two partitions:
// the one that lost the comparison took the other's REJECTED for its own, and was dropped.
func TestOfTwoRejectedContentsOneIsAConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		long := request("a-refund-number-that-is-too-long")
		other := long
		other.Amount.Minor++
		w.handler.Recorder.Records = &forgets{w.store, func() {
			inner := *w.handler
			inner.Recorder = &refund.Recorder{Records: w.store, Publisher: w, Fresh: 5 * time.Second}
			inner.Handle(t.Context(), refund.Work{Request: other, Place: "t/1/1", FirstSeen: time.Now(), Alive: time.Now})
		}}
		v := w.handler.Handle(t.Context(), refund.Work{Request: long, Place: "t/0/1", FirstSeen: time.Now(), Alive: time.Now})
		if v.Kind != refund.Dead || v.Reason != refund.ReasonConflict {
			t.Errorf("verdict %+v", v)
		}
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
