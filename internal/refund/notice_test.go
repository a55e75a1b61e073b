package refund_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// callback brings a verified notice as the bridge does.
func (w *world) callback(n refund.Notice) refund.Noted {
	w.t.Helper()
	rec, err := w.store.Load(w.t.Context(), n.Request.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	if !rec.Known() {
		rec.Provider = "eftpay"
	}
	noted, err := w.handler.Recorder.Note(w.t.Context(), rec, refund.NewsOf(rec, n), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return noted
}

// told is a notice about a refund that names neither order nor total.
func told(no string, class refund.Class) refund.Notice {
	return refund.Notice{
		Request: refund.Request{Key: request(no).Key, Amount: request(no).Amount}, Outcome: refund.Outcome{Class: class},
	}
}

func TestAnAdoptedRefundCountsAtItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Succeeded} }
		w.callback(told("r1", refund.Succeeded))
		w.deliver("r1", 0)
		w.deliver("r2", 0) // 600 and 600 of 1000
		w.want("SUCCEEDED 1", "SUCCEEDED 2", "query r1", "SUCCEEDED 2", "REJECTED 1")
	})
}

func TestAFollowUpNeedsNoOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		noted := w.callback(told("r1", refund.Pending))
		work := refund.Work{Request: noted.Record.Request, FollowUp: 1, Place: "t/0/9", FirstSeen: time.Now(), Alive: time.Now}
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Succeeded} }
		w.wantVerdict(w.handler.Handle(t.Context(), work), refund.Done, "", 0)
		w.want("PENDING 1", "query r1", "SUCCEEDED 2")
	})
}

// A dispute is not on the status topic: after a wipe the follow-up that it left asks
// about the final refund all the same.
func TestADisputeSurvivesAWipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deliver("r1", 0)
		if !w.callback(refund.Notice{Request: request("r1"), Order: "rrn_1", Outcome: refund.Outcome{Class: refund.Declined}}).Ask {
			t.Fatal("a contradiction owes a query")
		}
		rec, err := w.store.Load(t.Context(), request("r1").Key)
		if err != nil {
			t.Fatal(err)
		}
		w.store.Wipe()
		token, err := w.store.Lock(t.Context(), "S0003469", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = w.store.Restore(t.Context(), "S0003469", token, []refund.Record{rec}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Finish(t.Context(), "S0003469", token, 1); err != nil {
			t.Fatal(err)
		}
		w.steps = nil
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Declined} }
		w.wantVerdict(w.deliver("r1", 1), refund.Done, "", 0)
		w.want("query r1", "FAILED 1001")
	})
}
