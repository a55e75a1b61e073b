package app

import (
	"context"
	"sync"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// dueEvery is how often the brokers are asked which delayed messages there are, and
// which of them are due.
const dueEvery = 15 * time.Second

// due knows how much of the delay topics could run now: of what is not yet handed
// out only the brokers can tell, by its timestamps.
type due struct {
	status    func() []consumer.PartitionStatus
	offsetsAt func(ctx context.Context, topic string, t time.Time) (map[int]int64, error)
	spans     func(ctx context.Context, topic string) ([]kafka.Span, error)
	trouble   func(step string, err error)

	mu    sync.Mutex
	marks map[kafka.TopicPartition]mark
}

// mark is what the brokers know of a partition of which nothing is fetched, because
// its next message waits for its time.
type mark struct {
	due int64 // the first offset that is not due
	end int64
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
	marks := map[kafka.TopicPartition]mark{}
	for topic, delay := range waiting {
		offsets, err := d.offsetsAt(ctx, topic, time.Now().Add(-delay))
		if err != nil {
			d.trouble("measure", err)
			continue
		}
		for partition, offset := range offsets {
			marks[kafka.TopicPartition{Topic: topic, Partition: partition}] = mark{due: offset}
		}
		spans, err := d.spans(ctx, topic)
		if err != nil { // what is due is known all the same
			d.trouble("measure", err)
		}
		for _, s := range spans {
			at := kafka.TopicPartition{Topic: topic, Partition: s.Partition}
			marks[at] = mark{due: marks[at].due, end: s.End}
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
		m, known := marks[p.TopicPartition]
		if p.Delay == 0 {
			m, known = mark{due: p.End, end: p.End}, true
		}
		if known && p.Next >= 0 {
			s.Due += max(0, m.due-p.Next)
		}
		if known && p.End >= 0 {
			s.Lag += max(0, m.end-p.End)
		}
		if !p.DueSince.IsZero() {
			s.DueFor = max(0, time.Since(p.DueSince))
		}
		all = append(all, s)
	}
	return all
}
