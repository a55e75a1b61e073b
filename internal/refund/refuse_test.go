package refund_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

func TestARejectedRequestIsAnsweredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deliver("a-refund-number-that-is-too-long", 0)
		w.deliver("a-refund-number-that-is-too-long", 0)
		w.want("REJECTED 1", "REJECTED 1")
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
