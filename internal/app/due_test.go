package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// Of a delay topic only what its timestamps make due is due; the rest waits.
func TestDueIsToldApartFromWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		requests := kafka.TopicPartition{Topic: "requests", Partition: 1}
		waiting := kafka.TopicPartition{Topic: "delay.1m", Partition: 0}
		away := kafka.TopicPartition{Topic: "delay.1h", Partition: 2}
		status := []consumer.PartitionStatus{
			{TopicPartition: requests, Lag: 9, Open: 3, Next: 104, End: 110, DueSince: now.Add(-20 * time.Second)},
			{TopicPartition: waiting, Delay: time.Minute, Lag: 50, Open: 2, Next: 1000, End: 1048, DueSince: now.Add(-3 * time.Second)},
			{TopicPartition: kafka.TopicPartition{Topic: "delay.1m", Partition: 1}, Delay: time.Minute, Next: -1, End: -1}, // just assigned
			{TopicPartition: away, Delay: time.Hour, Lag: 5, Next: 7, End: 12, DueSince: now.Add(time.Minute)},
		}
		asked, failed := map[string]time.Time{}, 0
		d := &due{
			status: func() []consumer.PartitionStatus { return status },
			offsetsAt: func(_ context.Context, topic string, at time.Time) (map[int]int64, error) {
				asked[topic] = at
				if topic == away.Topic {
					return nil, errors.New("no leader")
				}
				return map[int]int64{0: 1010, 1: 77}, nil
			},
			spans: func(_ context.Context, topic string) ([]kafka.Span, error) {
				return []kafka.Span{{Partition: 0, End: 1060}, {Partition: 1, End: 90}}, nil
			},
			trouble: func(step string, _ error) { failed++ },
		}
		d.ask(t.Context())
		want := []telemetry.PartitionState{
			{Topic: "requests", Partition: 1, Lag: 9, Due: 9, DueFor: 20 * time.Second},
			{Topic: "delay.1m", Partition: 0, Lag: 62, Due: 12, DueFor: 3 * time.Second}, // twelve more since the last fetch
			{Topic: "delay.1m", Partition: 1},                                            // what there is is not known before the first fetch
			{Topic: "delay.1h", Partition: 2, Lag: 5, Due: 0},                            // the brokers did not tell: only what is handed out counts
		}
		for i, got := range d.states() {
			if got != want[i] {
				t.Errorf("got  %+v\nwant %+v", got, want[i])
			}
		}
		if failed != 1 || len(asked) != 2 || !asked["delay.1m"].Equal(now.Add(-time.Minute)) {
			t.Errorf("asked %v, %d failures", asked, failed)
		}
		status = status[:2]
		d.ask(t.Context())
		if failed != 1 || len(asked) != 2 {
			t.Errorf("what is gone is asked about: %v, %d failures", asked, failed)
		}
	})
}
