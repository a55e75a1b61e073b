package explorer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// hunt looks for the shortest trace by which a defect is found.
type hunt struct {
	defect *defect
	kinds  []string                // of findings that count; empty: any
	only   func(plan) (plan, bool) // narrows the drawn plans, or bends them; nil: all as drawn
	plans  int                     // how many are played at most
	lives  int                     // where no plan finds it
}

// enough traces to choose the shortest of.
const enough = 12

// caught plays plans, then lives, until the defect has been found often enough, and names the shortest trace.
func (h hunt) caught(t *testing.T) {
	t.Helper()
	best, bestSteps, found, played := "", 0, 0, 0
	var bestWords []string
	keep := func(line string, j *judgement) {
		words := h.counting(j)
		if len(words) == 0 {
			return
		}
		found++
		if best == "" || j.steps < bestSteps {
			best, bestSteps, bestWords = line, j.steps, words
		}
	}
	next := drawing(t, 2)
	for tries := 0; tries < 200*h.plans && played < h.plans && found < enough; tries++ {
		p, ok := next(), true
		if h.only != nil {
			p, ok = h.only(p)
		}
		if !ok {
			continue
		}
		played++
		j, _ := play(t, p, setup{defect: h.defect})
		keep(p.String(), j)
	}
	for seed := uint64(1); seed <= uint64(h.lives) && found == 0; seed++ {
		j, _ := live(t, seed, setup{defect: h.defect})
		keep(fmt.Sprintf("life=%d", seed), j)
	}
	if found == 0 {
		t.Fatalf("%s: not found by %d schedules and %d lives", h.defect.name, played, h.lives)
	}
	t.Logf("%s: found %d times in %d schedules; the shortest, %d gates:\nEXPLORE='defect=%s %s' go test ./internal/explorer -run TestReplay\n    %s",
		h.defect.name, found, played, bestSteps, h.defect.name, best, strings.Join(bestWords, "\n    "))
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
	next := drawing(t, 2)
	played := 0
	for tries := 0; tries < 200*h.plans && played < h.plans; tries++ {
		p, ok := next(), true
		if h.only != nil {
			p, ok = h.only(p)
		}
		if !ok {
			continue
		}
		played++
		if j, _ := play(t, p, setup{defect: h.defect}); len(h.counting(j)) > 0 {
			reportLine(t, fmt.Sprintf("defect=%s %s", h.defect.name, p), j)
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
	t.Parallel()
	h.caught(t)
}

var (
	money = []string{"paid_twice", "over_total"}
	lies  = []string{"paid_twice", "over_total", "denied", "unpaid"}
)

func gateways(names ...string) func(plan) (plan, bool) {
	return func(p plan) (plan, bool) { return p, slices.Contains(names, p.Gateway) }
}

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
	hunt{defect: leaseIgnored, kinds: []string{"paid_twice"}, plans: 4000, only: func(p plan) (plan, bool) {
		return p, strings.HasPrefix(p.Act, "freeze")
	}}.run(t)
}

func TestFaultNoIntentBeforeTheCall(t *testing.T) {
	hunt{defect: noIntent, kinds: []string{"paid_twice"}, plans: 2000}.run(t)
}

func TestFaultLateNotSentBelieved(t *testing.T) {
	hunt{defect: lateDenialBelieved, kinds: []string{"paid_twice"}, plans: 3000, only: gateways("refused_then_timeout_after")}.run(t)
}

func TestFaultLateDeclinedBelieved(t *testing.T) {
	hunt{defect: lateDenialBelieved, kinds: lies, plans: 3000, only: gateways("declined_then_timeout_after")}.run(t)
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
	hunt{defect: noQuietTime, kinds: money, plans: 10000, only: func(p plan) (plan, bool) {
		return p, strings.HasPrefix(p.Redis, "lose")
	}, lives: 3000}.run(t)
}

func TestFaultSequencesFromOneAfterAWipe(t *testing.T) {
	hunt{defect: sequencesFromOne, kinds: []string{"rewritten", "after_final", "backwards"}, plans: 4000, only: func(p plan) (plan, bool) {
		return p, p.Redis == "wipe"
	}, lives: 3000}.run(t)
}

func TestFaultAssumeNewAfterAWipe(t *testing.T) {
	hunt{defect: assumeNew, kinds: []string{"paid_twice"}, plans: 4000, only: func(p plan) (plan, bool) {
		return p, p.Redis == "wipe"
	}}.run(t)
}

func TestFaultTokensThatSurviveAFailover(t *testing.T) {
	hunt{defect: tokensSurvive, kinds: lies, plans: 6000, only: func(p plan) (plan, bool) {
		return p, strings.HasPrefix(p.Redis, "lose") && strings.HasPrefix(p.Act, "freeze2m") &&
			(p.Gateway == "refused_then_timeout_after" || p.Gateway == "declined_then_timeout_after")
	}, lives: 3000}.run(t)
}

func TestFaultOpenRefundOnlyAcknowledged(t *testing.T) {
	hunt{defect: onlyAcknowledged, kinds: []string{"unsettled"}, plans: 2000}.run(t)
}

func TestFaultNoLookAfterPublishing(t *testing.T) {
	hunt{defect: noLook, kinds: []string{"stale_last"}, plans: 4000, lives: 2000}.run(t)
}

func TestFaultEventHeldLongThenPublished(t *testing.T) {
	hunt{defect: heldLong, kinds: []string{"rewritten", "after_final", "backwards", "stale_last"}, plans: 8000, lives: 2000}.run(t)
}
