package explorer

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/refund"
)

// hunt looks for the shortest trace by which a defect is found.
type hunt struct {
	defect *defect
	kinds  []string                            // of findings that count; empty: any
	only   func(*rand.Rand, plan) (plan, bool) // narrows the drawn plans, or bends them; nil: all as drawn
	plans  int                                 // how many are played at most
	lives  int                                 // where no plan finds it
}

// enough traces to choose the shortest of.
const enough = 4

// trace is a run that found a defect.
type trace struct {
	plan
	line  string
	steps int
	words []string
}

// caught plays plans, then lives, until the defect has been found often enough, and names the shortest trace.
func (h hunt) caught(t *testing.T) {
	t.Helper()
	var best *trace
	found, played := 0, 0
	for p := range h.drawn(t) {
		if found == enough {
			break
		}
		played++
		if one := h.try(t, p); one != nil {
			found++
			if one = h.shrink(t, one); best == nil || one.steps < best.steps {
				best = one
			}
		}
	}
	for seed := uint64(1); seed <= uint64(h.lives) && best == nil; seed++ {
		j, _ := live(t, seed, setup{defect: h.defect})
		if words := h.counting(j); len(words) > 0 {
			best = &trace{line: fmt.Sprintf("life=%d", seed), steps: j.steps, words: words}
		}
	}
	if best == nil {
		t.Fatalf("%s: not found by %d schedules and %d lives", h.defect.name, played, h.lives)
	}
	t.Logf("%s: found %d times in %d schedules; the shortest, %d gates:\nEXPLORE='defect=%s %s' go test ./internal/explorer -run TestReplay\n    %s",
		h.defect.name, found, played, best.steps, h.defect.name, best.line, strings.Join(best.words, "\n    "))
}

// drawn are the plans of this hunt.
func (h hunt) drawn(t *testing.T) iter.Seq[plan] {
	next, rng := drawing(t, 2), rand.New(rand.NewPCG(3, 4))
	return func(yield func(plan) bool) {
		for played := 0; played < h.plans; {
			p, ok := next(), true
			if h.only != nil {
				p, ok = h.only(rng, p)
			}
			if ok {
				if played++; !yield(p) {
					return
				}
			}
		}
	}
}

// try plays one plan; nil: it finds nothing.
func (h hunt) try(t *testing.T, p plan) *trace {
	j, _ := play(t, p, setup{defect: h.defect})
	words := h.counting(j)
	if len(words) == 0 {
		return nil
	}
	return &trace{plan: p, line: p.String(), steps: j.steps, words: words}
}

// shrink leaves out of a trace whatever it is found without.
func (h hunt) shrink(t *testing.T, one *trace) *trace {
	for _, simpler := range []func(*plan){
		func(p *plan) { p.Pair = false },
		func(p *plan) { p.Redis, p.Later = "keep", 0 },
		func(p *plan) { p.Later = 0 },
		func(p *plan) { p.Next = "other" },
		func(p *plan) { p.Next = "same" },
		func(p *plan) { p.Act = "stay" },
		func(p *plan) { p.Act = "kill" },
		func(p *plan) { p.Gateway = "well" },
		func(p *plan) { p.Gateway = "timeout_after" },
		func(p *plan) { p.Flow = refund.FlowRefund },
	} {
		p := one.plan
		simpler(&p)
		if p == one.plan {
			continue
		}
		if less := h.try(t, p); less != nil && less.steps <= one.steps {
			one = less
		}
	}
	return one
}

// counting are the findings of a judgement that count for this hunt.
func (h hunt) counting(j *judgement) (words []string) {
	for i, kind := range j.kinds {
		if len(h.kinds) == 0 || slices.Contains(h.kinds, kind) {
			words = append(words, j.broken[i])
		}
	}
	return words
}

// safe plays the same and finds nothing: there is a second line of defence.
func (h hunt) safe(t *testing.T, why string) {
	t.Helper()
	played := 0
	for p := range h.drawn(t) {
		played++
		if one := h.try(t, p); one != nil {
			t.Errorf("EXPLORE='defect=%s %s' go test ./internal/explorer -run TestReplay\n    %s", h.defect.name, one.line, strings.Join(one.words, "\n    "))
			return
		}
	}
	for seed := range uint64(h.lives) {
		if j, _ := live(t, seed+1, setup{defect: h.defect}); len(h.counting(j)) > 0 {
			reportLine(t, fmt.Sprintf("defect=%s life=%d", h.defect.name, seed+1), j)
			return
		}
	}
	t.Logf("%s: nothing is broken in %d schedules and %d lives: %s", h.defect.name, played, h.lives, why)
}

func (h hunt) run(t *testing.T) {
	t.Helper()
	t.Parallel()
	h.caught(t)
}

var (
	money = []string{"paid_twice", "over_total"}
	lies  = []string{"paid_twice", "over_total", "denied", "unpaid"}
)

func gateways(names ...string) func(*rand.Rand, plan) (plan, bool) {
	return func(_ *rand.Rand, p plan) (plan, bool) { return p, slices.Contains(names, p.Gateway) }
}

func oneOf(rng *rand.Rand, words ...string) string { return words[rng.IntN(len(words))] }

func TestFaultMarkBeforeWork(t *testing.T) {
	hunt{defect: markBeforeWork, kinds: []string{"unsettled", "lost"}, plans: 1000}.run(t)
}

func TestFaultResendOnTimeOut(t *testing.T) {
	hunt{defect: resendOnTimeOut, kinds: []string{"paid_twice"}, plans: 1000}.run(t)
}

func TestFaultReserveAfterTheCall(t *testing.T) {
	hunt{defect: reserveAfterTheCall, kinds: []string{"over_total"}, plans: 1000}.run(t)
}

func TestFaultCommitBeforePublish(t *testing.T) {
	hunt{defect: commitBeforePublish, kinds: []string{"lost"}, plans: 2000}.run(t)
}

func TestFaultLeaseIgnored(t *testing.T) {
	hunt{defect: leaseIgnored, kinds: []string{"paid_twice"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Next, p.Point = "freeze3m", "other", 1+rng.IntN(15)
		return p, true
	}}.run(t)
}

func TestFaultNoIntentBeforeTheCall(t *testing.T) {
	hunt{defect: noIntent, kinds: []string{"paid_twice"}, plans: 2000}.run(t)
}

func TestFaultLateNotSentBelieved(t *testing.T) {
	hunt{defect: lateDenialBelieved, kinds: []string{"paid_twice"}, plans: 2000, only: gateways("refused_then_timeout_after")}.run(t)
}

func TestFaultLateDeclinedBelieved(t *testing.T) {
	hunt{defect: lateDenialBelieved, kinds: lies, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Gateway, p.Act, p.Point = "declined_then_timeout_after", oneOf(rng, "freeze2m", "freeze2m30s", "freeze3m"), 1+rng.IntN(15)
		return p, true
	}}.run(t)
}

func TestFaultQueryThatCannotConnectProvesNotFound(t *testing.T) {
	hunt{defect: deadQueryIsNotFound, kinds: []string{"paid_twice"}, plans: 2000}.run(t)
}

func TestFaultQueryThatCannotConnectIsNotSent(t *testing.T) {
	t.Parallel()
	hunt{defect: deadQueryIsNotSent, plans: 2000, lives: 200}.safe(t, "the lifecycle takes not-sent from a worker's call alone; of a query it only says: ask")
}

func TestFaultNotFoundBelievedBeforeResendAfter(t *testing.T) {
	hunt{defect: notFoundAtOnce, kinds: []string{"paid_twice"}, plans: 2000}.run(t)
}

func TestFaultNoQuietTimeAfterAFailover(t *testing.T) {
	hunt{defect: noQuietTime, kinds: money, plans: 4000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Redis, p.Point = oneOf(rng, "freeze4s", "delay3s"), oneOf(rng, "lose1", "lose2", "lose3", "lose5"), 1+rng.IntN(15)
		return p, true
	}}.run(t)
}

// Without a new epoch the news of somebody who holds a record of before the loss meet another one of the same version and
// sequence: they can never be recorded. The same id gets other content only where, besides, events are held for long: what
// was made before a loss is on the topic within the quiet time or never.
func TestFaultSequencesFromOneAfterAWipe(t *testing.T) {
	t.Parallel()
	hunt{defect: sequencesFromOne, plans: 2000, only: func(_ *rand.Rand, p plan) (plan, bool) {
		p.Redis = "wipe"
		return p, true
	}}.caught(t)
	hunt{defect: sequencesFromOneHeld, kinds: []string{"rewritten"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Next, p.Redis, p.Later = "freeze3m", "other", "wipe", 0
		return p, true
	}}.caught(t)
}

func TestFaultAssumeNewAfterAWipe(t *testing.T) {
	hunt{defect: assumeNew, kinds: []string{"paid_twice"}, plans: 2000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Redis = "wipe"
		return p, true
	}}.run(t)
}

// The longest of them: refused and frozen before the answer is read; the next owner asks twice, sends again and hears
// nothing; a failover loses all that he wrote; the first wakes after the rebuild, and his token is the latest again.
func TestFaultTokensThatSurviveAFailover(t *testing.T) {
	hunt{defect: tokensSurvive, kinds: lies, plans: 4000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Gateway, p.Act, p.Next, p.Pair = oneOf(rng, "refused_then_timeout_after", "declined_then_timeout_after"), "freeze3m", "other", false
		p.Point, p.Redis, p.Later = 10+rng.IntN(3), fmt.Sprintf("lose%d", 4+rng.IntN(4)), 40+rng.IntN(12)
		return p, true
	}}.run(t)
}

func TestFaultOpenRefundOnlyAcknowledged(t *testing.T) {
	hunt{defect: onlyAcknowledged, kinds: []string{"unsettled"}, plans: 2000}.run(t)
}

func TestFaultNoLookAfterPublishing(t *testing.T) {
	hunt{defect: noLook, kinds: []string{"stale_last"}, plans: 3000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Next = "delay3s", "callback"
		return p, true
	}}.run(t)
}

func TestFaultEventHeldLongThenPublished(t *testing.T) {
	hunt{defect: heldLong, kinds: []string{"rewritten", "after_final", "backwards"}, plans: 4000, only: func(rng *rand.Rand, p plan) (plan, bool) {
		p.Act, p.Next, p.Pair, p.Later, p.Redis = "freeze3m", "other", true, 0, oneOf(rng, "wipe", "lose1", "lose2", "lose3")
		return p, true
	}}.run(t)
}
