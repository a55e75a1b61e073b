package scenario

import (
	"fmt"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/config"
)

// others measures how long the refunds of a merchant take that has no trouble: the
// median of some rounds, each the median of twenty refunds published at once.
func (w *world) others(merchant, name string, rounds int) time.Duration {
	w.t.Helper()
	return median(w.rounds(merchant, name, rounds))
}

func (w *world) rounds(merchant, name string, rounds int) (medians []time.Duration) {
	w.t.Helper()
	for round := range rounds {
		began := time.Now()
		var took []time.Duration
		for _, at := range w.await(w.publish(merchant, fmt.Sprint(name, round), 20), time.Minute) {
			took = append(took, at.Sub(began))
		}
		medians = append(medians, median(took))
	}
	return medians
}

// undisturbed fails where others took much longer than alone. The exact ratio is
// the benchmark's; the race detector's own cost says nothing.
func (w *world) undisturbed(alone, beside time.Duration) {
	w.t.Helper()
	w.t.Logf("alone %s, beside the trouble %s", alone.Round(time.Millisecond), beside.Round(time.Millisecond))
	if beside > 2*alone+500*time.Millisecond && !raced {
		w.t.Errorf("others took %s, alone %s", beside, alone)
	}
}

// A merchant's backlog of eight seconds at its rate lies before another's
// refunds: those end as if alone. Each of the backlog goes through the delay topics
// by its place in the queue, a few times, and the rate is used all the while.
func TestABacklogWaitsByItsPlaceAndDelaysNobodyElse(t *testing.T) {
	const seconds = 8
	rate := 40 // far below what a busy machine can do
	if raced {
		rate = 10
	}
	w := newWorld(t, settings{merchants: []string{"big", "small"},
		change: func(c *config.Config) {
			c.Worker.Delays = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second}
		},
		merchant: func(m *config.Merchant) { m.Rate, m.Concurrency, m.MaxWait = rate, 16, 500*time.Millisecond }})
	w.gateways["small"].slow(200 * time.Millisecond)
	w.others("small", "warm", 1)
	alone := w.others("small", "alone", 3)

	began := time.Now()
	backlog := w.publish("big", "backlog", seconds*rate)
	w.undisturbed(alone, w.others("small", "behind", 5))
	w.await(backlog, 4*seconds*time.Second)
	took := time.Since(began)
	t.Logf("the backlog of %d s took %s", seconds, took.Round(time.Millisecond))
	if took < (seconds-2)*time.Second || took > 2*seconds*time.Second && !raced {
		t.Errorf("a backlog of %d s took %s", seconds, took)
	}
	w.succeeded(backlog)

	// A place 7.5 s away: 5 and 2; one more where it comes a little early.
	const most = 4
	times, topics := w.delayed("big")
	sum := 0
	for no, n := range times {
		if sum += n; n > most {
			t.Errorf("%s went through the delay topics %d times", no, n)
		}
	}
	t.Logf("%d refunds were delayed, %.1f times each: %v", len(times), float64(sum)/float64(len(times)), topics)
	if len(times) == 0 {
		t.Error("none was delayed")
	}
	w.audit()
}

// A gateway that answers slowly is used for all that it takes, and what waits for it
// is not written to and fro.
func TestASlowGatewayIsUsedForAllThatItTakes(t *testing.T) {
	const seconds, concurrency, latency = 4, 8, 250 * time.Millisecond
	w := newWorld(t, settings{merchants: []string{"big", "small"},
		merchant: func(m *config.Merchant) { m.Rate, m.Concurrency, m.MaxWait = 1000, concurrency, 500*time.Millisecond }})
	w.gateways["big"].slow(latency)
	w.others("small", "warm", 1)
	alone := w.others("small", "alone", 3)

	began := time.Now()
	backlog := w.publish("big", "backlog", seconds*concurrency*int(time.Second/latency))
	w.undisturbed(alone, w.others("small", "behind", 5))
	w.await(backlog, time.Minute)
	took := time.Since(began)
	t.Logf("calls for %d s took %s", seconds, took.Round(time.Millisecond))
	if took > 2*seconds*time.Second && !raced {
		t.Errorf("calls for %d s took %s", seconds, took)
	}
	if _, topics := w.delayed("big"); len(topics) > 0 {
		t.Errorf("written to delay topics: %v", topics)
	}
	w.succeeded(backlog)
	w.audit()
}
