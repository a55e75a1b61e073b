package refund_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// A refund whose turn comes within max_wait waits in its place, but without its
// slot: that is another's until then. Whoever has to wait for longer goes away for
// the time until its place in the merchant's queue.
func TestAShortWaitForTheRateHoldsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.account.Limits.Rate, w.account.MaxWait = 1, 5*time.Second
		slots := &heldSlots{}
		w.account.Slots = slots
		w.wantVerdict(w.deliver("r0", 0), refund.Done, "", 0)
		for i := 1; i <= 6; i++ {
			got := w.deliver(fmt.Sprint("r", i), 0)
			wait := time.Duration(i) * time.Second
			if short := got.Kind == refund.Soon; short != (wait < 5*time.Second) || got.After != wait {
				t.Errorf("%d: %+v", i, got)
			}
		}
		if slots.held != 0 {
			t.Errorf("%d slots are held", slots.held)
		}
		time.Sleep(time.Second)
		w.wantVerdict(w.deliver("r1", 0), refund.Done, "", 0)
		if got := w.deliver("r2", 0); got.Kind != refund.Soon || got.After != time.Second {
			t.Errorf("keeps its place: %+v", got)
		}
	})
}

type heldSlots struct{ held int }

func (s *heldSlots) Acquire(context.Context, refund.CallKind) (refund.Slot, *refund.Wait) {
	s.held++
	return s, nil
}

func (s *heldSlots) Done(refund.Outcome) { s.held-- }

// A delivery that is asked to make room is parked for as long as it is told, calls
// nobody and takes no slot; a follow-up keeps its number.
func TestACrowdedDeliveryGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.account.Slots = nil // asking for a slot would panic
		crowded := func(no string, followUp int, after time.Duration) refund.Verdict {
			return w.handler.Handle(t.Context(), refund.Work{Request: request(no), FollowUp: followUp, Place: "t/0/1", FirstSeen: time.Now(),
				Alive: time.Now, Crowded: func() time.Duration { return after }})
		}
		for followUp, cause := range map[int]refund.Cause{0: refund.CauseParked, 3: refund.CauseFollowUp} {
			got := crowded("r1", followUp, 40*time.Second)
			w.wantVerdict(got, refund.Later, cause, followUp)
			if got.After != 40*time.Second {
				t.Errorf("for %s", got.After)
			}
		}
		w.want()
		w.wantVerdict(crowded("r2", 0, 2*time.Minute), refund.Later, refund.CauseParked, 0)
		w.want("WAITING 1") // a wait that people would notice
	})
}
