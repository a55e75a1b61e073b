package consumer

import (
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// PartitionStatus is where one partition of this process stands.
type PartitionStatus struct {
	kafka.TopicPartition
	Delay time.Duration // of its topic; 0 for the requests
	Lag   int64         // offsets that are not committed, as of the last fetch; on a delay topic most wait for their time, and nothing is fetched meanwhile
	Open  int           // deliveries handed out and not done: all of them are due
	Next  int64         // where handing out goes on; -1: not known yet
	End   int64         // the last stable offset as of the last fetch; -1: not known yet
	// DueSince is when the oldest message that is not done could have run: of a request when it was written, of a delayed
	// message when its time had come. In the future where the next one waits for its time; zero where none is known.
	DueSince time.Time
}

// Status answers for each partition that this process owns at this moment; none between two generations.
func (c *Consumer) Status() []PartitionStatus {
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	if s == nil {
		return nil
	}
	all := make([]PartitionStatus, len(s.partitions))
	for i, p := range s.partitions {
		all[i] = p.status()
	}
	return all
}

func (p *partition) status() PartitionStatus {
	open, next := p.tracker.status()
	s := PartitionStatus{TopicPartition: p.TopicPartition, Delay: p.delay, Open: open, Next: next, End: p.end.Load()}
	if mark, known := p.tracker.watermark(); known && s.End >= 0 {
		s.Lag = max(0, s.End-mark)
	}
	if _, _, due, waiting := p.tracker.waiting(); waiting {
		s.DueSince = due
		return s
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.DueSince = p.nextDue
	return s
}
