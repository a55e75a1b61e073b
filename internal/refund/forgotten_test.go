package refund_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// journal is what was published, for rebuilds.
type journal struct{ recs []refund.Record }

func (w *world) keepJournal() *journal {
	tp, was := &journal{}, w.publish
	w.publish = func(r refund.Record) error {
		if err := was(r); err != nil {
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		tp.recs = append(tp.recs, r)
		return nil
	}
	return tp
}

// rebuild is what a keeper does after a wipe: quiet, all events, epoch.
func (w *world) rebuild(tp *journal, epoch int64) {
	w.t.Helper()
	w.store.Wipe()
	w.bringBack(tp.recs, epoch)
}

func (w *world) bringBack(recs []refund.Record, epoch int64) {
	w.t.Helper()
	time.Sleep(45 * time.Second)
	token, err := w.store.Lock(w.t.Context(), "S0003469", time.Minute)
	if err == nil {
		_, err = w.store.Restore(w.t.Context(), "S0003469", token, recs)
	}
	if err == nil {
		_, err = w.store.Finish(w.t.Context(), "S0003469", token, epoch)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// paidBeside: the gateway has paid r1, and another refund of its order comes before r1 is asked about. Together they stay
// within the order.
func (w *world) paidBeside() {
	w.t.Helper()
	paid := 600
	w.call = func(context.Context) refund.Outcome { paid += 600; return refund.Outcome{Class: refund.Succeeded} }
	w.deliver("r2", 0)
	time.Sleep(time.Minute)
	w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Succeeded} }
	w.deliver("r1", 1)
	if paid > 1000 {
		w.t.Errorf("%d of 1000", paid)
	}
}

// calledBack is a verified callback about the refund.
func (w *world) calledBack(no string, class refund.Class) refund.Noted {
	w.t.Helper()
	req := request(no)
	rec, err := w.store.Load(w.t.Context(), req.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	notice := refund.Notice{Request: refund.Request{Key: req.Key, OrderNo: req.OrderNo, Amount: req.Amount}, Order: "rrn_1", Outcome: refund.Outcome{Class: class}}
	noted, err := w.handler.Recorder.Note(w.t.Context(), rec, refund.NewsOf(rec, notice), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return noted
}

// Two attempts; the topic knows of one (a resend publishes the stored event). Redis is wiped and rebuilt, a query brings
// nothing clear, which is an event of the new epoch: a late callback that denies the first attempt still counts for nothing.
func TestADenialAfterARebuildCountsForNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tp := w.keepJournal()
		// The gateway refuses the first; its answer is lost with the worker (killed), its callback comes late. It keeps no
		// refused ones: "no such refund".
		ctx, kill := context.WithCancel(t.Context())
		w.call = func(context.Context) refund.Outcome { kill(); panic("killed") }
		func() {
			defer func() { _ = recover() }()
			w.handler.Handle(ctx, refund.Work{Request: request("r1"), Place: "t/0/1", FirstSeen: time.Now(), Alive: time.Now})
		}()
		time.Sleep(5 * time.Minute)
		// The resend is paid; its worker is killed as well.
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.NotFound} }
		paid := 0
		w.call = func(context.Context) refund.Outcome { paid += 600; panic("killed") }
		func() {
			defer func() { _ = recover() }()
			w.deliver("r1", 1)
		}()
		time.Sleep(5 * time.Minute)
		w.rebuild(tp, 1)
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Unknown} } // cannot connect
		w.deliver("r1", 2)
		noted := w.calledBack("r1", refund.Declined) // of the first attempt
		if noted.Record.Last.Status == refund.StatusFailed {
			t.Errorf("paid, and %s by the callback of an attempt before", noted.Record.Last.Status)
		}
		w.call = func(context.Context) refund.Outcome { paid += 600; return refund.Outcome{Class: refund.Succeeded} }
		w.deliver("r2", 0)
		if paid > 1000 {
			t.Errorf("%d of 1000 were paid", paid)
		}
	})
}

// Never called, WAITING (parked). A verified callback with a word that nobody knows says that the gateway has this number: it
// is asked first, also after a rebuild, or a failover that lost that write.
func TestWhatACallbackSaysOfAWaitingRefundOutlivesALoss(t *testing.T) {
	for _, loss := range []string{"none", "wiped", "failed over"} {
		t.Run(loss, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				tp := w.keepJournal()
				w.handler.Handle(t.Context(), refund.Work{Request: request("r1"), Place: "t/0/1", FirstSeen: time.Now(), Alive: time.Now,
					Crowded: func() time.Duration { return 2 * time.Minute }})
				writes := w.store.Writes()
				paid := 600 // by the gateway: somebody refunded it elsewhere under this number
				if noted := w.calledBack("r1", refund.Unknown); !noted.Ask {
					t.Fatal("no query is owed")
				}
				switch loss {
				case "wiped":
					w.rebuild(tp, 1)
				case "failed over": // only what it noted on the topic
					w.store.Failover(w.store.Writes() - writes)
					w.bringBack(tp.recs, 1)
				}
				time.Sleep(time.Minute)
				w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Succeeded} }
				w.call = func(context.Context) refund.Outcome { paid += 600; return refund.Outcome{Class: refund.Succeeded} }
				w.deliver("r1", 1) // the follow-up that the callback left
				if paid > 600 {
					t.Errorf("%s: paid twice", loss)
				}
			})
		})
	}
}

// Never called, WAITING; a callback that cannot be read clearly says that money may have moved: its amount is held.
func TestAnUnclearCallbackHoldsTheAmount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.NotSent} }
		w.deliver("r1", 0)
		w.calledBack("r1", refund.Unknown)
		w.paidBeside() // as the callback says in words that we do not know
	})
}

// Refunds of an order that disagree about it; a waiting one comes back in doubt and holds its amount; a query proves that it was
// not sent: it lets go. Its claim is an order conflict, so a dead letter: nobody else would give that back.
func TestAWaitingRefundThatWasNotSentLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tp := w.keepJournal()
		of := func(no string, minor, total int64, followUp int) refund.Verdict {
			w.places++
			req := request(no)
			req.Amount.Minor, req.OrderAmount.Minor = minor, total
			return w.handler.Handle(t.Context(), refund.Work{Request: req, FollowUp: followUp, Place: fmt.Sprintf("t/0/%d", w.places), FirstSeen: time.Now(), Alive: time.Now})
		}
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.NotSent} }
		of("first", 300, 5000, 0) // WAITING
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Succeeded} }
		of("paid", 600, 1000, 0)
		w.rebuild(tp, 1)
		time.Sleep(5 * time.Minute)
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.NotFound} }
		of("first", 300, 5000, 1)
		time.Sleep(time.Minute)
		v := of("first", 300, 5000, 0)
		if v.Kind != refund.Dead {
			t.Fatalf("%+v", v)
		}
		time.Sleep(time.Minute)
		of("rest", 400, 1000, 0)
		rec, err := w.store.Load(t.Context(), refund.Key{Merchant: "S0003469", RefundNo: "rest"})
		if err != nil || rec.Last.Status != refund.StatusSucceeded {
			t.Errorf("400 of 1000 are left, and nothing is under way: %s %s", rec.Last.Status, rec.Last.Code)
		}
	})
}

// A gateway that refuses connections for an hour and a half, one refund tried each ten seconds (too few calls for the breaker):
// more than a thousand events. The last one's publisher is frozen; Redis is wiped and rebuilt: the next event has another id.
func TestMoreEventsThanABlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		said := map[string]string{}
		tell := func(r refund.Record) {
			w.mu.Lock()
			defer w.mu.Unlock()
			id := fmt.Sprintf("%s/%d", r.Key(), r.Last.Sequence)
			content := fmt.Sprintf("%s attempt %d from %s", r.Last.Status, r.Last.Attempt, r.Last.Source)
			if before, there := said[id]; there && before != content {
				t.Errorf("id %s was %q and is %q", id, before, content)
			}
			said[id] = content
		}
		var frozen *refund.Record
		w.publish = func(r refund.Record) error {
			if r.Last.Sequence == 1002 && frozen == nil {
				frozen = &r
				time.Sleep(10 * time.Minute) // SIGSTOP between the look at the clock and the socket
			}
			tell(r)
			return nil
		}
		tp := w.keepJournal()
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.NotSent} }
		for range 500 {
			w.deliver("r1", 0)
			time.Sleep(10 * time.Second)
		}
		go w.deliver("r1", 0)
		time.Sleep(time.Minute)
		w.mu.Lock()
		before := journal{slices.Clone(tp.recs)} // without what is about to be written
		w.mu.Unlock()
		w.rebuild(&before, 1)
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Unknown} }
		w.deliver("r1", 0)
		time.Sleep(time.Hour)
		synctest.Wait()
	})
}
