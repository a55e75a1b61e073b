package app

import (
	"context"
	"sync"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// dueEvery is how often the brokers are asked which delayed messages are due.
const dueEvery = 15 * time.Second

// due knows how much of the delay topics could run now: of what is not yet handed
// out only the brokers can tell, by its timestamps.
type due struct {
	status    func() []consumer.PartitionStatus
	offsetsAt func(ctx context.Context, topic string, t time.Time) (map[int]int64, error)
	trouble   func(step string, err error)

	mu    sync.Mutex
	marks map[kafka.TopicPartition]int64 // the first offset that is not due
}

// run asks until ctx ends.
func (d *due) run(ctx context.Context) {
	for ctx.Err() == nil {
		d.ask(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(dueEvery):
		}
	}
}

// ask looks at the topics in which something has not been handed out.
func (d *due) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	waiting := map[string]time.Duration{}
	for _, p := range d.status() {
		if p.Delay > 0 && p.End > p.Next {
			waiting[p.Topic] = p.Delay
		}
	}
	marks := map[kafka.TopicPartition]int64{}
	for topic, delay := range waiting {
		offsets, err := d.offsetsAt(ctx, topic, time.Now().Add(-delay))
		if err != nil {
			d.trouble("measure", err)
			continue
		}
		for partition, offset := range offsets {
			marks[kafka.TopicPartition{Topic: topic, Partition: partition}] = offset
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.marks = marks
}

// states are the partitions at this moment. What is handed out and not done is due.
func (d *due) states() []telemetry.PartitionState {
	d.mu.Lock()
	marks := d.marks
	d.mu.Unlock()
	var all []telemetry.PartitionState
	for _, p := range d.status() {
		s := telemetry.PartitionState{Topic: p.Topic, Partition: p.Partition, Lag: p.Lag, Due: int64(p.Open)}
		end, known := marks[p.TopicPartition]
		if p.Delay == 0 {
			end, known = p.End, p.Next >= 0
		}
		if known {
			s.Due += max(0, end-p.Next)
		}
		if !p.DueSince.IsZero() {
			s.DueFor = max(0, time.Since(p.DueSince))
		}
		all = append(all, s)
	}
	return all
}
