package refund_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

func TestHandlerCallsOnceAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome { panic("defect") }
		func() {
			defer func() { _ = recover() }()
			w.deliver("r1", 0)
		}()
		w.want("PENDING 1", "call r1")
		left := 0
		v := w.handler.Salvage(t.Context(), refund.Work{Request: request("r1"), FirstSeen: time.Now(), Alive: time.Now}, errors.New("defect"),
			func(context.Context, refund.Record) error { left++; return nil })
		if v.Kind != refund.Dead || v.Reason != refund.ReasonInternal || left != 1 {
			t.Errorf("%+v, %d follow-ups", v, left)
		}
		w.want("UNKNOWN 2")
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
