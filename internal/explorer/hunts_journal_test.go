package explorer

import (
	"math/rand/v2"
	"testing"
)

func TestDefectIntentInRedisAlone(t *testing.T) {
	hunt{defect: noIntent, kinds: []string{"paid_twice"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Redis, p.Act = oneOf(rng, "lose2", "lose3", "lose5", "lose9"), "kill"
		return p, true
	}}.run(t)
}

func TestDefectIntentOnTheLeaderAlone(t *testing.T) {
	hunt{defect: leaderAlone, kinds: []string{"paid_twice"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Redis, p.Act, p.Later = oneOf(rng, "rack2", "rack5"), "kill", 0
		return p, true
	}}.run(t)
}

// The intent of the first attempt never came to the topic, so the resend's is the first that counts.
func TestDefectResendPublishesNothing(t *testing.T) {
	hunt{defect: silentResend, kinds: []string{"paid_twice"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Next, p.Redis, p.Point, p.Later = "kill", "nobody2m", "wipe", 5, 8+rng.IntN(12)
		return p, true
	}}.run(t)
}

// A worker was killed while its WAITING was on its way, which lands behind the PENDING of the next one. That one is killed
// before its call; his successor asks, sends again, and Redis is wiped.
func TestDefectResendBehindAStaleWaiting(t *testing.T) {
	t.Parallel()
	stale := func(rng *rand.Rand, p plan) (plan, bool) {
		p.Gateway, p.Act, p.Next, p.Redis, p.Point = "refused_then_timeout_after", "late3s", "soon", "wipe", 14
		p.Again = 7 + rng.IntN(4)
		p.Later = p.Again + 8 + rng.IntN(10)
		p.Pair, p.Notes = 0, false
		return p, true
	}
	hunt{defect: silentResend, kinds: money, plans: 1000, only: stale}.safe(t, "whatever was announced once is in doubt after a rebuild, WAITING too")
	hunt{defect: waitingBelieved, kinds: money, plans: 1000, only: stale}.safe(t, "a resend's PENDING is behind the stale WAITING again")
	hunt{defect: silentResendBelieved, kinds: []string{"paid_twice"}, plans: 4000, only: stale}.caught(t)
}

func TestDefectCommittedBetweenIntentAndCall(t *testing.T) {
	hunt{defect: committedBeforeTheCall, kinds: []string{"unsettled"}, plans: 1000}.run(t)
}

func TestDefectFollowUpChainsForgotten(t *testing.T) {
	hunt{defect: chainsForgotten, kinds: []string{"unsettled"}, plans: 1000, only: func(_ *rand.Rand, p plan) (plan, bool) {
		return p, p.Redis == "wipe"
	}}.run(t)
}

func TestDefectServerPolled(t *testing.T) {
	hunt{defect: polled, kinds: money, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Redis, p.Next, p.Later = oneOf(rng, "lose2", "lose3", "lose5"), "duplicate", 0
		return p, true
	}}.run(t)
}

// The first refund is refused and waits, the second has taken its room and is paid when Redis is wiped.
func TestDefectReservationRefusedAtARebuild(t *testing.T) {
	hunt{defect: roomRefused, kinds: []string{"denied"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Gateway, p.Act, p.Redis, p.Later, p.Pair, p.Point = "refused", "kill", "wipe", 0, 1, 15+rng.IntN(30)
		return p, true
	}}.run(t)
}

func TestDefectDoubtByTheClock(t *testing.T) {
	hunt{defect: doubtByClock, kinds: []string{"paid_twice"}, plans: 2000, only: func(_ *rand.Rand, p plan) (plan, bool) {
		p.Redis, p.Next = "wipe", "duplicate1h"
		return p, true
	}}.run(t)
}
