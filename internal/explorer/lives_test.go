package explorer

import (
	"flag"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

var (
	from  = flag.Uint64("from", 1, "seed of the first life, and of what TestSchedules draws")
	lives = flag.Int("lives", part(10_000, 600), "how many lives TestLives lives")
)

// TestLives lives as many lives as the flag says, with the seeds from -from on.
func TestLives(t *testing.T) {
	began := time.Now()
	var at, steps, struck, broken, requests atomic.Int64
	t.Run("live", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for n := at.Add(1); n <= int64(*lives) && broken.Load() < 20; n = at.Add(1) {
					seed := *from + uint64(n) - 1
					j, l := live(t, seed, setup{})
					steps.Add(int64(j.steps))
					struck.Add(int64(l.struck))
					requests.Add(int64(len(l.requests)))
					if !j.ok() {
						broken.Add(1)
						reportLine(t, fmt.Sprintf("life=%d", seed), j)
					}
				}
			})
		}
	})
	t.Logf("%d lives (race detector %t), %d refunds, %d faults, %d gates passed, %d broken, %s", *lives, raced, requests.Load(), struck.Load(), steps.Load(), broken.Load(), time.Since(began).Round(time.Millisecond))
}
