package scenario

import (
	"fmt"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/refund"
)

// BenchmarkOthersBehindABacklog is 20,000 refunds of one merchant at 50 a second
// ahead of 20 of another, with the delays of production: how long the 20 take alone
// and behind them (medians of rounds), and how often a refund of the backlog was
// written to a delay topic. On real parts:
//
//	go run ./internal/realparts/with -brokers 1 -redis -- go test -run '^$' -bench Backlog -benchtime 1x ./internal/scenario
func BenchmarkOthersBehindABacklog(b *testing.B) {
	for _, latency := range []time.Duration{20 * time.Millisecond, 300 * time.Millisecond} {
		b.Run(fmt.Sprint("gateway=", latency), func(b *testing.B) {
			for range b.N {
				behindABacklog(b, latency)
			}
		})
	}
}

const backlogSize, rounds = 20_000, 15

func behindABacklog(b *testing.B, latency time.Duration) {
	const big, small = "big", "small"
	w := newWorld(b, settings{merchants: []string{big, small},
		change: func(c *config.Config) {
			c.Kafka.CreateTopics.Partitions = 12
			c.Worker.Delays = []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour}
		},
		merchant: func(m *config.Merchant) { m.Rate = 50; m.Timeout, m.ResendAfter = 10*time.Second, time.Minute }})
	w.gateways[big].slow(latency)
	w.gateways[small].slow(latency)
	one := func(name string) time.Duration {
		time.Sleep(2 * time.Second) // one round's 20 refunds are a burst within its rate
		return w.others(small, name, 1)
	}
	one("warm")
	var alone, behind []time.Duration
	for i := range rounds {
		alone = append(alone, one(fmt.Sprint("alone", i)))
	}
	backlog := w.publish(big, "r", backlogSize)
	first := w.others(small, "first", 1)
	for i := range rounds {
		behind = append(behind, one(fmt.Sprint("behind", i)))
	}
	times, topics := w.delayed(big)
	sum := 0
	for _, n := range times {
		sum += n
	}
	b.Logf("%d of %d ended meanwhile; written to delay topics: %v", w.count(backlog), len(backlog), topics)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(median(alone)), "alone-ms")
	b.ReportMetric(ms(median(behind)), "behind-ms")
	b.ReportMetric(float64(median(behind))/float64(median(alone)), "ratio")
	b.ReportMetric(ms(first), "first-ms")
	b.ReportMetric(float64(sum)/float64(len(times)), "writes/delayed")
}

// count is how many of these have ended.
func (w *world) count(keys []refund.Key) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range keys {
		if _, is := w.ended[k]; is {
			n++
		}
	}
	return n
}
