package refund_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

func TestHandlerAnnouncesBeforeItCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.wantVerdict(w.deliver("r1", 0), refund.Done, "", 0)
		w.want("PENDING 1", "call r1", "SUCCEEDED 2")
	})
}

func TestHandlerPublishesADuplicateAgainAndCallsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deliver("r1", 0)
		w.wantVerdict(w.deliver("r1", 0), refund.Done, "", 0)
		w.want("PENDING 1", "call r1", "SUCCEEDED 2", "SUCCEEDED 2")
	})
}

func TestHandlerAsksBeforeItResends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome {
			return refund.Outcome{Class: refund.Unknown, Code: refund.CodeGatewayDown}
		}
		w.wantVerdict(w.deliver("r1", 0), refund.Later, refund.CauseFollowUp, 1)
		w.want("PENDING 1", "call r1", "UNKNOWN 2")

		// "Not found" a minute later is not believed: the call may land until its
		// deadline (10 s) and resend_after (1 m) have passed.
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.NotFound} }
		time.Sleep(time.Minute)
		w.wantVerdict(w.deliver("r1", 1), refund.Later, refund.CauseFollowUp, 2)
		w.want("query r1")

		// Two minutes later it is: the stored open event is on the topic again, same
		// id, before the same number is sent again.
		time.Sleep(time.Minute)
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Succeeded} }
		w.wantVerdict(w.deliver("r1", 2), refund.Done, "", 0)
		w.want("query r1", "UNKNOWN 2", "call r1", "SUCCEEDED 3")
	})
}

func TestHandlerSendsNothingWhenTheLeaseIsTooShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.alive = time.Now
		w.publish = func(rec refund.Record) error {
			if rec.Last.Status == refund.StatusPending {
				time.Sleep(25 * time.Second) // paused: 5 s of the lease are left, a call takes up to 10
			}
			return nil
		}
		w.wantVerdict(w.deliver("r1", 0), refund.Later, refund.CauseRetry, 0)
		w.want("PENDING 1", "WAITING 2")
	})
}

func TestHandlerDoesNotCallWithoutItsIntentOnTheTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		back := time.Now().Add(40 * time.Second)
		w.publish = func(rec refund.Record) error {
			if time.Now().Before(back) {
				return errors.New("no broker")
			}
			return nil
		}
		w.wantVerdict(w.deliver("r1", 0), refund.Later, refund.CauseRetry, 0)
		w.want("WAITING 2") // the lease ran out in the outage: surely not sent
	})
}

func TestHandlerLeavesADeliveryThatIsNotItsOwnAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome {
			w.alive = func() time.Time { return time.Time{} } // the generation ends during the call
			return refund.Outcome{Class: refund.Succeeded}
		}
		w.wantVerdict(w.deliver("r1", 0), refund.Abandon, "", 0)
		w.want("PENDING 1", "call r1")

		// The answer is recorded all the same: the next owner publishes it.
		w.alive = time.Now
		w.wantVerdict(w.deliver("r1", 0), refund.Done, "", 0)
		w.want("SUCCEEDED 2")
	})
}

func TestHandlerAsksAboutARefundWhoseOwnerDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		claim := refund.Claim{Request: request("r1"), Provider: "eftpay", Order: "rrn_1", Token: "dead", Lease: 30 * time.Second, FirstSeen: time.Now()}
		if claimed, err := w.store.Claim(t.Context(), claim); err != nil || claimed.Answer != refund.Yours {
			t.Fatal(claimed.Answer, err)
		}
		w.wantVerdict(w.deliver("r1", 0), refund.Later, refund.CauseFollowUp, 1) // its lease still runs
		w.want("PENDING 1")
		time.Sleep(time.Minute)
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Succeeded} }
		w.wantVerdict(w.deliver("r1", 1), refund.Done, "", 0)
		w.want("query r1", "SUCCEEDED 2")
	})
}

func TestHandlerKeepsTheOrdersTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deliver("r1", 0)
		w.wantVerdict(w.deliver("r2", 0), refund.Done, "", 0)
		w.want("PENDING 1", "call r1", "SUCCEEDED 2", "REJECTED 1")
	})
}

func TestHandlerRejectsWhatTheGatewayCannotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.wantVerdict(w.deliver(strings.Repeat("9", 29), 0), refund.Done, "", 0)
		w.want("REJECTED 1")
	})
}

func TestHandlerEndsAllChainsButOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Pending} }
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Pending} }
		w.wantVerdict(w.deliver("r1", 0), refund.Later, refund.CauseFollowUp, 1)
		w.want("PENDING 1", "call r1")
		time.Sleep(time.Minute)
		w.wantVerdict(w.deliver("r1", 1), refund.Later, refund.CauseFollowUp, 2)
		w.wantVerdict(w.deliver("r1", 1), refund.Done, "", 0) // the same number from another place
		w.want("query r1")
	})
}
