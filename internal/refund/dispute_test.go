package refund_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// FAILED. A callback with another amount disputes it, so it is asked about. The gateway answers that query "failed", and then
// takes that back, pays, and says so in a verified callback (200, "it is asked about"), which is recorded while the query's
// answer is still on its way to us. The query began before the callback, so it does not clear the dispute.
func TestAQueryEndsNoDisputeThatCameAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Declined} }
		w.deliver("r1", 0)
		req := request("r1")
		rec, err := w.store.Load(t.Context(), req.Key)
		if err != nil {
			t.Fatal(err)
		}
		other := req.Amount
		other.Minor = 1
		odd := refund.Notice{Request: refund.Request{Key: req.Key, OrderNo: req.OrderNo, Amount: other}, Order: "rrn_1", Outcome: refund.Outcome{Class: refund.Succeeded}}
		if noted, err := w.handler.Recorder.Note(t.Context(), rec, refund.NewsOf(rec, odd), nil); err != nil || !noted.Ask {
			t.Fatal(noted, err)
		}
		time.Sleep(time.Minute)

		paid := 0
		w.query = func(context.Context) refund.Outcome {
			paid = 600 // just after the gateway has looked
			if noted := w.calledBack("r1", refund.Succeeded); !noted.Ask {
				t.Error("no query is owed")
			}
			return refund.Outcome{Class: refund.Declined}
		}
		v := w.deliver("r1", 1)
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Succeeded} }
		w.call = func(context.Context) refund.Outcome { paid += 600; return refund.Outcome{Class: refund.Succeeded} }
		w.deliver("r2", 0)
		time.Sleep(time.Minute)
		w.deliver("r1", 2) // the callback's follow-up
		if v.Kind == refund.Later {
			time.Sleep(v.After)
			w.deliver("r1", v.FollowUp)
		}
		rec, _ = w.store.Load(t.Context(), req.Key)
		if rec.Last.Status != refund.StatusSucceeded && !rec.Doubt {
			t.Errorf("paid, and %s for ever: nobody asks any more", rec.Last.Status)
		}
		if paid > 1000 {
			t.Errorf("%d of 1000", paid)
		}
	})
}

// FAILED, disputed by a callback, so its amount is held. Redis fails over and loses nothing; the tail of the topic has the
// FAILED event (or all of it is read, for another merchant's sake). The doubt stays, and the hold.
func TestAFailoverLetsGoOfNoDispute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tp := w.keepJournal()
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Declined} }
		w.deliver("r1", 0)
		w.calledBack("r1", refund.Succeeded)
		w.store.Failover(0)
		w.bringBack(tp.recs, 1)
		rec, err := w.store.Load(t.Context(), request("r1").Key)
		if err != nil || !rec.Doubt || rec.Holding != refund.HoldsReserved {
			t.Errorf("%s, doubt %t, holds %q (%v)", rec.Last.Status, rec.Doubt, rec.Holding, err)
		}
		w.paidBeside()
	})
}

// Two callbacks come before the request: "failed", then "succeeded" (disputed, its amount is held). The request adopts the
// record: FAILED still, in doubt still, its amount held still, also where the query cannot connect.
func TestAnAdoptionLetsGoOfNoDispute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.calledBack("r1", refund.Declined)
		w.calledBack("r1", refund.Succeeded)
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Unknown} }
		time.Sleep(time.Minute)
		w.deliver("r1", 0)
		w.paidBeside()
		if rec, _ := w.store.Load(t.Context(), request("r1").Key); rec.Last.Status != refund.StatusSucceeded {
			t.Errorf("%s", rec.Last.Status)
		}
	})
}

// FAILED, then the gateway's callback says that it paid: its amount is held until a query has cleared that up.
func TestADisputeHoldsTheAmount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Declined} }
		w.deliver("r1", 0)
		w.calledBack("r1", refund.Succeeded)
		w.paidBeside()
	})
}
