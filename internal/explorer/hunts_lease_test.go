package explorer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestDefectTokenMadeOfThePlace(t *testing.T) {
	hunt{defect: tokenOfPlace, kinds: []string{"paid_twice"}, plans: 1000}.run(t)
}

// A pause between a claim's script and its answer makes the worker's lease longer than the store's by as much. One of a
// session's time or more is noticed: the generation has gone on, and nothing is published. A shorter one is less than the
// call's own time, which a query waits for beyond all that a gateway may take. Without the first of the two it is found.
func TestDefectLeaseBegunAfterTheAnswer(t *testing.T) {
	t.Parallel()
	paused := func(rng *rand.Rand, p plan) (plan, bool) {
		p.Gateway, p.Act, p.Point = oneOf(rng, "land_latest", "reset_land_late", "error_land_late", "land_late"), oneOf(rng, "freeze6s", "freeze9s", "freeze45s", "freeze75s", "freeze2m"), 1+rng.IntN(8)
		p.Redis, p.Later, p.Next = "keep", 0, oneOf(rng, "other", "followup", "duplicate", "nobody2m")
		return p, true
	}
	hunt{defect: leaseFromAnswer, plans: 1000, lives: 50, only: paused}.safe(t, "a long pause ends the generation, a short one is within the time that a query waits")
	hunt{defect: leaseFromAnswerDeaf, kinds: []string{"paid_twice"}, plans: 2000, only: paused}.caught(t)
}

func TestDefectLeaseByAWallClock(t *testing.T) {
	hunt{defect: leaseByWallClock, kinds: []string{"paid_twice"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Next, p.Point = "freeze75s", "other", 6+rng.IntN(6)
		return p, slices.Contains([]string{"land_latest", "reset_land_late", "error_land_late"}, p.Gateway)
	}}.run(t)
}

func TestDefectNoLookAtTheLeaseAfterPublishing(t *testing.T) {
	hunt{defect: noLookAfterPublishing, kinds: []string{"paid_twice"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Next, p.Point = "freeze3m", "other", 1+rng.IntN(15)
		return p, true
	}}.run(t)
}

// A pause right before the socket is what nobody can exclude. What was signed before the look is stale then.
func TestDefectSignedAgainAfterTheLook(t *testing.T) {
	t.Parallel()
	paused := func(rng *rand.Rand, p plan) (plan, bool) {
		p.Gateway, p.Act, p.Next, p.Point = oneOf(rng, "well", "timeout_after", "reset_after", "settle_later"), oneOf(rng, "freeze2m", "freeze3m"), "other", 6+rng.IntN(8)
		return p, true
	}
	hunt{defect: callLeavesLate, kinds: lies, plans: 500, only: paused}.safe(t, "a call that leaves a minute after it was signed is refused by the gateway")
	hunt{defect: signedAgain, kinds: []string{"paid_twice"}, plans: 2000, only: paused}.caught(t)
}

// Killed between recording "not sent" and publishing it: the topic still says PENDING, while another refund takes the room.
// Redis is wiped, both are brought back, and the query of the first proves that it may be sent.
func TestDefectResendWithoutALookAtTheTotal(t *testing.T) {
	hunt{defect: resendWithoutTotal, kinds: []string{"over_total"}, plans: 4000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Gateway, p.Act, p.Next, p.Pair, p.Redis = "refused", "kill", "nobody2m", 2, "wipe"
		p.Point, p.Later = 10+rng.IntN(8), 1+rng.IntN(40)
		return p, true
	}}.run(t)
}

func TestDefectResendWithoutALookAtTheToken(t *testing.T) {
	hunt{defect: resendWithoutToken, kinds: []string{"paid_twice"}, plans: 4000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Gateway, p.Act, p.Point = oneOf(rng, "lost_then_timeout_after", "lost_then_land_latest"), "delay40s", 34+rng.IntN(6)
		p.Redis, p.Next, p.Pair, p.Again = "keep", oneOf(rng, "duplicate", "followup"), 0, 0
		return p, true
	}}.run(t)
}
