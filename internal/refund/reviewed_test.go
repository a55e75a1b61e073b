package refund_test

import (
	"context"
	"errors"
	"sync/atomic"
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

func TestARejectedRequestIsAnsweredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deliver("a-refund-number-that-is-too-long", 0)
		w.deliver("a-refund-number-that-is-too-long", 0)
		w.want("REJECTED 1", "REJECTED 1")
	})
}

// A delivery that panics for good beside another's call ends neither its lease nor
// its attempt: the call may still land, so nothing is resent before it cannot.
func TestSalvageLeavesTheLeaseToItsHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome {
			time.Sleep(9 * time.Second)
			return refund.Outcome{Class: refund.Unknown}
		}
		began := time.Now()
		w.publish = func(rec refund.Record) error {
			if rec.Last.Status == refund.StatusPending {
				time.Sleep(19 * time.Second) // the call leaves at 19 s and may land until 19 s + 10 s + 1 m
			}
			return nil
		}
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.NotFound} }
		handled := make(chan struct{})
		go func() { w.deliver("r1", 0); close(handled) }()
		time.Sleep(time.Second)
		w.handler.Salvage(t.Context(), refund.Work{Request: request("r1"), FirstSeen: time.Now(), Alive: time.Now}, errors.New("defect"),
			func(context.Context, refund.Record) error { return nil })
		<-handled
		for calls := 1; calls == 1; calls = count(w.steps, "call r1") {
			time.Sleep(8 * time.Second)
			rec, err := w.store.Load(t.Context(), request("r1").Key)
			if err != nil {
				t.Fatal(err)
			}
			w.deliver("r1", rec.FollowUp+1)
		}
		if resent := time.Since(began); resent < 89*time.Second {
			t.Errorf("resent after %s; the first call may land until 1m29s", resent)
		}
	})
}

func count(steps []string, step string) (n int) {
	for _, s := range steps {
		if s == step {
			n++
		}
	}
	return n
}

// An intent that lands behind the event that overtook it is followed by the newest.
func TestAnIntentIsNotTheLastRecordAfterWhatOvertookIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var published atomic.Int64
		w.publish = func(rec refund.Record) error {
			if published.Add(1) == 1 {
				time.Sleep(2 * time.Second)
			}
			return nil
		}
		handled := make(chan struct{})
		go func() { w.deliver("r1", 0); close(handled) }()
		time.Sleep(time.Second)
		w.callback(refund.Notice{Request: request("r1"), Order: "rrn_1", Outcome: refund.Outcome{Class: refund.Succeeded}})
		<-handled
		w.want("SUCCEEDED 2", "PENDING 1", "call r1", "SUCCEEDED 2")
	})
}

// The answer of a call is recorded although the drain ends while the store is slow.
func TestTheLastWordOutlivesTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.handler.Called = func(refund.CallReport) {
			w.store.Down(errors.New("slow"))
			time.AfterFunc(100*time.Millisecond, cancel)
			time.AfterFunc(300*time.Millisecond, func() { w.store.Down(nil) })
		}
		w.handler.Handle(ctx, refund.Work{Request: request("r1"), Place: "t/0/1", FirstSeen: time.Now(), Alive: time.Now})
		rec, err := w.store.Load(t.Context(), request("r1").Key)
		if err != nil || rec.Last.Status != refund.StatusSucceeded {
			t.Errorf("stored %s, %v", rec.Last.Status, err)
		}
	})
}

// A dispute is not on the status topic: after a wipe the follow-up that it left asks
// about the final refund all the same.
func TestADisputeSurvivesAWipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deliver("r1", 0)
		if !w.callback(refund.Notice{Request: request("r1"), Order: "rrn_1", Outcome: refund.Outcome{Class: refund.Declined}}).Owed {
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
