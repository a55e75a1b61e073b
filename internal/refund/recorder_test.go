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

// mute is a store whose first answer to a record is lost with the context of whoever asked.
type mute struct {
	refund.Records
	asked func()
}

func (m *mute) Record(ctx context.Context, next refund.Record, endLease string) (refund.Record, bool, error) {
	rec, won, err := m.Records.Record(ctx, next, endLease)
	if m.asked != nil {
		m.asked()
		m.asked = nil
		<-ctx.Done()
		return refund.Record{}, false, ctx.Err()
	}
	return rec, won, err
}

// What was stored while the drain ended is not decided anew: its event is told.
func TestAnEventWhoseAnswerTheDrainCutOffIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.handler.Recorder.Records = &mute{w.store, func() { time.AfterFunc(time.Millisecond, cancel) }}
		var told []refund.Status
		w.handler.Recorder.Observe = func(rec refund.Record) { told = append(told, rec.Last.Status) }
		w.handler.Handle(ctx, refund.Work{Request: request("r1"), Place: "t/0/1", FirstSeen: time.Now(), Alive: time.Now})
		if len(told) != 1 || told[0] != refund.StatusSucceeded {
			t.Errorf("told: %v", told)
		}
	})
}

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
