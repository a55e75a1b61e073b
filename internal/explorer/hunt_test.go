package explorer

import (
	"cmp"
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
	enough int                                 // traces to choose the shortest of; 0: 4
}

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
		if found == cmp.Or(h.enough, 4) {
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
		func(p *plan) { p.Pair, p.Again = 0, 0 },
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
	h.plans, h.lives = part(h.plans, h.plans/10), part(h.lives, h.lives/10)
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

func oneOf(rng *rand.Rand, words ...string) string { return words[rng.IntN(len(words))] }
