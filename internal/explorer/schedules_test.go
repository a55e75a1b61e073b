package explorer

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

var (
	flows  = []refund.Flow{refund.FlowRefund, refund.FlowApply}
	acts   = []string{"kill", "freeze6s", "freeze45s", "freeze3m", "fail", "stay"}
	losses = []string{"keep", "wipe", "lose0", "lose1", "lose2", "lose3", "lose5", "lose9"}
)

var howMany = flag.Int("schedules", 12_000, "how many schedules TestSchedules plays")

// mostPoints bounds the gates at which something happens: what comes later repeats itself (a refund that its gateway
// keeps open is asked about for ever).
const mostPoints = 60

// TestSchedules plays what happens at every gate of the first worker, with every behaviour of the gateway: killed, with
// Redis kept and wiped, each exactly once; and of all other combinations as many as the flag says, drawn by a fixed seed.
func TestSchedules(t *testing.T) {
	began := time.Now()
	var base, drawn []plan
	points := map[plan]int{}
	var calm []plan
	for _, b := range behaviours {
		for _, flow := range flows {
			p := plan{Gateway: b.name, Flow: flow, Act: "kill", Next: "other", Redis: "keep"}
			j, names := play(t, p, setup{})
			report(t, p, j)
			points[p] = min(len(names), mostPoints)
			calm = append(calm, p)
			for point := range points[p] {
				q := p
				q.Point = point + 1
				base = append(base, q)
				q.Redis = "wipe"
				base = append(base, q)
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(words []string) string { return words[rng.IntN(len(words))] }
	for len(base)+len(drawn) < *howMany {
		p := calm[rng.IntN(len(calm))]
		n := points[p]
		p.Point, p.Act, p.Next, p.Redis, p.Pair = 1+rng.IntN(n), pick(acts), pick(continuations), pick(losses), rng.IntN(2) == 0
		if p.Redis != "keep" && p.Act != "stay" && rng.IntN(2) == 0 {
			p.Later = 1 + rng.IntN(30)
		}
		drawn = append(drawn, p)
	}
	steps, failed := playAll(t, append(base, drawn...), setup{})
	t.Logf("%d schedules (%d each gate killed, %d drawn), %d gates passed, %d broken, %s", len(base)+len(drawn), len(base), len(drawn), steps, failed, time.Since(began).Round(time.Millisecond))
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
	var seed uint64
	if _, err := fmt.Sscanf(line, "life=%d", &seed); err == nil {
		j, _ := live(t, seed, s)
		reportLine(t, line, j)
		return
	}
	j, _ := play(t, must(parsePlan(line)), s)
	reportLine(t, line, j)
}
