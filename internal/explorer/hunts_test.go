package explorer

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestDefectMarkBeforeWork(t *testing.T) {
	hunt{defect: markBeforeWork, kinds: []string{"unsettled", "lost"}, plans: 1000}.run(t)
}

func TestDefectResendOnTimeOut(t *testing.T) {
	hunt{defect: resendOnTimeOut, kinds: []string{"paid_twice"}, plans: 1000}.run(t)
}

func TestDefectReserveAfterTheCall(t *testing.T) {
	hunt{defect: reserveAfterTheCall, kinds: []string{"over_total"}, plans: 1000}.run(t)
}

func TestDefectCommitBeforePublish(t *testing.T) {
	hunt{defect: commitBeforePublish, kinds: []string{"lost"}, plans: 2000}.run(t)
}

func TestDefectLeaseIgnored(t *testing.T) {
	hunt{defect: leaseIgnored, kinds: []string{"paid_twice"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Next, p.Point = "freeze3m", "other", 1+rng.IntN(15)
		return p, true
	}}.run(t)
}

func TestDefectNoIntentBeforeTheCall(t *testing.T) {
	hunt{defect: noIntent, kinds: []string{"paid_twice"}, plans: 2000}.run(t)
}

func TestDefectLateNotSentBelieved(t *testing.T) {
	hunt{defect: lateDenialBelieved, kinds: []string{"paid_twice"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Gateway, p.Act, p.Point = "refused_then_timeout_after", oneOf(rng, "freeze2m", "freeze2m30s", "freeze3m"), 1+rng.IntN(15)
		return p, true
	}}.run(t)
}

func TestDefectLateDeclinedBelieved(t *testing.T) {
	hunt{defect: lateDenialBelieved, kinds: lies, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Gateway, p.Act, p.Point = "declined_then_timeout_after", oneOf(rng, "freeze2m", "freeze2m30s", "freeze3m"), 1+rng.IntN(15)
		return p, true
	}}.run(t)
}

func TestDefectQueryThatCannotConnectProvesNotFound(t *testing.T) {
	hunt{defect: deadQueryIsNotFound, kinds: []string{"paid_twice"}, plans: 2000}.run(t)
}

func TestDefectQueryThatCannotConnectIsNotSent(t *testing.T) {
	t.Parallel()
	hunt{defect: deadQueryIsNotSent, plans: 1000, lives: 50}.safe(t, "the lifecycle takes not-sent from a worker's call alone; of a query it only says: ask")
}

func TestDefectNotFoundBelievedBeforeResendAfter(t *testing.T) {
	hunt{defect: notFoundAtOnce, kinds: []string{"paid_twice"}, plans: 2000}.run(t)
}

func TestDefectNoQuietTimeAfterAFailover(t *testing.T) {
	hunt{defect: noQuietTime, kinds: money, plans: 4000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Redis, p.Point = oneOf(rng, "freeze4s", "delay3s"), oneOf(rng, "lose1", "lose2", "lose3", "lose5"), 1+rng.IntN(15)
		return p, true
	}}.run(t)
}

// Without a new epoch the news of somebody who holds a record of before the loss meet another one of the same version and
// sequence: they can never be recorded. The same id gets other content only where, besides, events are held for long: what
// was made before a loss is on the topic within the quiet time or never.
func TestDefectSequencesFromOneAfterAWipe(t *testing.T) {
	t.Parallel()
	hunt{defect: sequencesFromOne, plans: 2000, enough: 1, only: func(_ *rand.Rand, p plan) (plan, bool) {
		p.Redis = "wipe"
		return p, true
	}}.caught(t)
	hunt{defect: sequencesFromOneHeld, kinds: []string{"rewritten"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Next, p.Redis, p.Later = "freeze3m", "other", "wipe", 0
		return p, true
	}}.caught(t)
}

func TestDefectAssumeNewAfterAWipe(t *testing.T) {
	hunt{defect: assumeNew, kinds: []string{"paid_twice"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Redis = "wipe"
		return p, true
	}}.run(t)
}

// The longest of them: refused and frozen before the answer is read; the next owner asks twice, sends again and hears
// nothing; a failover loses all that he wrote; the first wakes after the rebuild, and his token is the latest again.
func TestDefectTokensThatSurviveAFailover(t *testing.T) {
	hunt{defect: tokensSurvive, kinds: lies, plans: 4000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Gateway, p.Act, p.Next, p.Pair = oneOf(rng, "refused_then_timeout_after", "declined_then_timeout_after"), "freeze3m", "other", 0
		p.Point, p.Redis, p.Later = 10+rng.IntN(3), fmt.Sprintf("lose%d", 4+rng.IntN(4)), 40+rng.IntN(12)
		return p, true
	}}.run(t)
}

func TestDefectOpenRefundOnlyAcknowledged(t *testing.T) {
	hunt{defect: onlyAcknowledged, kinds: []string{"unsettled"}, plans: 2000}.run(t)
}

func TestDefectNoLookAfterPublishing(t *testing.T) {
	hunt{defect: noLook, kinds: []string{"stale_last"}, plans: 3000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Next = "delay3s", "callback"
		return p, true
	}}.run(t)
}

func TestDefectEventHeldLongThenPublished(t *testing.T) {
	hunt{defect: heldLong, kinds: []string{"rewritten", "after_final", "backwards"}, plans: 4000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Next, p.Pair, p.Later, p.Redis = "freeze3m", "other", 1, 0, oneOf(rng, "wipe", "lose1", "lose2", "lose3")
		return p, true
	}}.run(t)
}
