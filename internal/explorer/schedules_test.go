package explorer

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

var (
	flows  = []refund.Flow{refund.FlowRefund, refund.FlowApply}
	acts   = []string{"kill", "freeze4s", "freeze6s", "freeze45s", "freeze2m", "freeze2m30s", "freeze3m", "delay3s", "late3s", "fail", "stay"}
	losses = []string{"keep", "wipe", "lose0", "lose1", "lose2", "lose3", "lose5", "lose9", "lose14", "split0", "split2", "split5", "jump0", "jump2", "rack0", "rack2", "rack5"}
)

var howMany = flag.Int("schedules", part(12_000, 1_500), "how many schedules TestSchedules plays")

// mostPoints bounds the gates at which something happens: what comes later repeats itself (a refund that its gateway
// keeps open is asked about for ever).
const mostPoints = 60

// TestSchedules plays what happens at every gate of the first worker, with every behaviour of the gateway: killed, with
// Redis kept and wiped, each exactly once; and of all other combinations as many as the flag says, drawn by the seed of the first life.
func TestSchedules(t *testing.T) {
	began := time.Now()
	var all []plan
	for _, c := range calmly(t) {
		for point := range c.points {
			p := c.plan
			p.Point, p.Act, p.Next = point+1, "kill", "other"
			all = append(all, p)
			p.Redis = "wipe"
			all = append(all, p)
		}
	}
	if len(all) > *howMany { // with the race detector
		rng := rand.New(rand.NewPCG(7, 7))
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:*howMany*2/3]
	}
	base := len(all)
	for next := drawing(t, *from); len(all) < *howMany; {
		all = append(all, next())
	}
	steps, failed := playAll(t, all, setup{})
	t.Logf("%d schedules (%d each gate killed, %d drawn; race detector %t), %d gates passed, %d broken, %s", len(all), base, len(all)-base, raced, steps, failed, time.Since(began).Round(time.Millisecond))
}

// calm is a plan in which nothing happens, and how many gates the first worker passes in it.
type calm struct {
	plan
	points int
}

// calmly plays every behaviour and flow without any fault, once for all tests.
func calmly(t *testing.T) []calm {
	t.Helper()
	calmOnce.Do(func() {
		for _, b := range behaviours {
			for _, flow := range flows {
				p := plan{Gateway: b.name, Flow: flow, Act: "stay", Next: "other", Redis: "keep"}
				j, names := play(t, p, setup{})
				report(t, p, j)
				calms = append(calms, calm{p, min(len(names), mostPoints)})
			}
		}
	})
	return calms
}

var (
	calmOnce sync.Once
	calms    []calm
)

// drawing draws plans of all combinations by a seed.
func drawing(t *testing.T, seed uint64) func() plan {
	all := calmly(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	pick := func(words []string) string { return words[rng.IntN(len(words))] }
	return func() plan {
		c := all[rng.IntN(len(all))]
		p := c.plan
		p.Pair = max(0, rng.IntN(4)-1)
		most := c.points
		if p.Pair == 1 {
			most = min(most+20, mostPoints)
		}
		p.Point, p.Act, p.Next, p.Redis, p.Notes = 1+rng.IntN(most), pick(acts), pick(continuations), pick(losses), rng.IntN(2) == 0
		if p.Redis != "keep" && p.Act != "stay" && rng.IntN(2) == 0 {
			p.Later = 1 + rng.IntN(30)
		}
		if p.Act != "stay" && rng.IntN(5) == 0 {
			p.Again = 1 + rng.IntN(40)
		}
		return p
	}
}

// playAll plays plans on all processors, reports those that break something, and stops after a few.
func playAll(t *testing.T, plans []plan, s setup) (steps, failed int64) {
	var at, passed, broken atomic.Int64
	t.Run("play", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for n := at.Add(1); n <= int64(len(plans)) && broken.Load() < 20; n = at.Add(1) {
					j, _ := play(t, plans[n-1], s)
					passed.Add(int64(j.steps))
					if !j.ok() {
						broken.Add(1)
						report(t, plans[n-1], j)
					}
				}
			})
		}
	})
	return passed.Load(), broken.Load()
}

func report(t *testing.T, p plan, j *judgement) { t.Helper(); reportLine(t, p.String(), j) }

// reportLine prints the one line that repeats a run which broke something, and what.
func reportLine(t *testing.T, line string, j *judgement) {
	t.Helper()
	if j.ok() {
		return
	}
	words := ""
	for _, broken := range j.broken {
		words += "\n    " + broken
	}
	t.Errorf("EXPLORE='%s' go test ./internal/explorer -run TestReplay%s", line, words)
}

// TestReplay repeats what EXPLORE names, and prints its log.
func TestReplay(t *testing.T) {
	line := os.Getenv("EXPLORE")
	if line == "" {
		t.Skip("EXPLORE names nothing to repeat")
	}
	s := setup{trace: os.Stdout}
	if rest, found := strings.CutPrefix(line, "defect="); found {
		name, rest, _ := strings.Cut(rest, " ")
		at := slices.IndexFunc(allDefects, func(d *defect) bool { return d.name == name })
		if at < 0 {
			t.Fatalf("no defect %q", name)
		}
		s.defect, line = allDefects[at], rest
	}
	if rest, found := strings.CutPrefix(line, "scripts "); found {
		s.store, line = newScriptServer(t).open, rest
	}
	var seed uint64
	if _, err := fmt.Sscanf(line, "life=%d", &seed); err == nil {
		j, _ := live(t, seed, s)
		reportLine(t, line, j)
		return
	}
	j, _ := play(t, must(parsePlan(line)), s)
	reportLine(t, line, j)
}
