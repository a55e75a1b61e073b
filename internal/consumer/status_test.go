package consumer

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// What is due is told apart from what merely waits, and nothing is told of partitions that are gone.
func TestStatusTellsWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		release := make(chan struct{})
		w := newWorld(t, func(d Delivery) (string, Work) {
			return "one lane", func(context.Context) Verdict {
				<-release
				return Done()
			}
		})
		at := func(after time.Duration) kafka.Record {
			r := value("v")
			r.Time = start.Add(after)
			return r
		}
		w.put("requests", 0, at(-time.Minute), at(-time.Second), at(-time.Second))
		w.put("delay.10s", 0, at(-25*time.Second), at(-5*time.Second), at(-4*time.Second))
		w.put("delay.1m", 0, at(0))
		stop := w.start()
		pass(time.Second)
		want := map[string]PartitionStatus{
			"requests":  {Lag: 3, Open: 3, Next: 3, End: 3, DueSince: start.Add(-time.Minute)},
			"delay.10s": {Lag: 3, Open: 1, Next: 1, End: 3, DueSince: start.Add(-15 * time.Second), Delay: 10 * time.Second},
			"delay.1m":  {Lag: 1, Open: 0, Next: 0, End: 1, DueSince: start.Add(time.Minute), Delay: time.Minute},
		}
		all := w.c.Status()
		for _, got := range all {
			expected := want[got.Topic]
			expected.TopicPartition = got.TopicPartition
			if got != expected {
				t.Errorf("got  %+v\nwant %+v", got, expected)
			}
		}
		if len(all) != len(want) {
			t.Errorf("%d partitions", len(all))
		}
		close(release)
		pass(time.Second)
		for _, got := range w.c.Status() {
			if got.Topic == "requests" && (got.Lag != 0 || got.Open != 0 || !got.DueSince.IsZero()) {
				t.Errorf("all done: %+v", got)
			}
		}
		stop()
		if all := w.c.Status(); len(all) != 0 {
			t.Errorf("after the end: %+v", all)
		}
	})
}

// Each failure at the brokers is counted, however rarely the log tells of it.
func TestTroubleIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		steps := map[string]int{}
		w := newWorld(t, byValue(func(context.Context, Delivery) Verdict { return Later(time.Second, CauseRetry, 0) }), func(c *Config) {
			c.Metrics.Trouble = func(step string, _ error) {
				mu.Lock()
				defer mu.Unlock()
				steps[step]++
			}
		})
		w.put("requests", 0, value("v"))
		w.source("delay.10s", 0).setErr(errors.New("no leader"))
		w.setFail(func(kafka.Record) error { return errors.New("disk full") })
		stop := w.start()
		pass(3500 * time.Millisecond)
		mu.Lock()
		if steps["fetch"] < 3 || steps["write"] < 2 {
			t.Errorf("counted %v", steps)
		}
		mu.Unlock()
		w.setFail(nil)
		w.source("delay.10s", 0).setErr(nil)
		stop()
	})
}
