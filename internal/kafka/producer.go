package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// writeLimit bounds a Write whose ctx has no deadline.
const writeLimit = 30 * time.Second

// Producer writes records, keyed ones to the partition that the Java client would choose. Safe for concurrent use; many
// callers together make large batches.
//
// It batches and retries itself on kafka-go's protocol, because kafka-go's Writer goes on writing for its 30 attempts
// after the caller has given up, drops a batch on io.EOF or while a partition has no leader, makes an idle caller wait for
// its batch timeout, and sends a request for each partition. Here one request to a leader is under way, for all of its
// partitions, and whatever comes meanwhile makes the next one (beside a slow one, a further one): an idle caller waits for
// nothing, order within a partition is the order of the Writes, and no attempt begins for a record whose caller has gone.
//
// Ghost writes: when Write ends with an error, a request under way at that instant may still be appended (a broker may
// even have appended it before). And a retried record may be on the topic twice. So an error means "perhaps", and a
// reader must take the same record twice.
type Producer struct {
	client *Client

	mu      sync.Mutex
	queues  map[TopicPartition]*partitionQueue
	senders map[int32]*sender // by the leader's id
	topics  map[string]placing
	closed  bool
	work    sync.WaitGroup // Writes, senders, and partitions that rest
}

// Producer makes a new one. Close it.
func (c *Client) Producer() *Producer {
	return &Producer{client: c, queues: map[TopicPartition]*partitionQueue{}, senders: map[int32]*sender{}, topics: map[string]placing{}}
}

// Close lets what is being written end (each Write has its deadline) and refuses what comes later.
func (p *Producer) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.work.Wait()
	return nil
}

// Write returns nil once all in-sync replicas of their partitions have each of the records. It retries until the deadline
// of ctx (30 seconds where it has none), over a broker's restart too. On an error each record may be written or not: see
// Ghost writes. TooLargeError: this record can never be written. All errors name the topic.
func (p *Producer) Write(ctx context.Context, records ...Record) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, writeLimit)
		defer cancel()
	}
	if err := p.enter(); err != nil {
		return err
	}
	defer p.work.Done()

	all := make([]*pending, len(records))
	leaders := make([]int32, len(records))
	for i, r := range records {
		tp, leader, err := p.place(ctx, r)
		if err != nil {
			return fmt.Errorf("kafka: writing to %s: %w", r.Topic, explain(err))
		}
		if r.Time.IsZero() {
			r.Time = time.Now()
		}
		all[i], leaders[i] = &pending{ctx: ctx, record: r, tp: tp, size: sizeOf(r), done: make(chan struct{})}, leader
	}
	p.enqueue(all, leaders)
	var errs []error
	for _, one := range all {
		if err := one.wait(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (p *Producer) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.work.Add(1)
	return nil
}

// placing is where the records of a topic go, as of some time.
type placing struct {
	leaders    []int32 // by partition
	partitions []int   // 0, 1, ...
	until      time.Time
}

// place chooses the partition, by murmur2 of the key as the Java client does, at random where the key is null, and tells
// its leader.
func (p *Producer) place(ctx context.Context, r Record) (TopicPartition, int32, error) {
	to, err := p.placing(ctx, r.Topic)
	if err != nil {
		return TopicPartition{}, 0, err
	}
	n := 0
	if r.Key == nil {
		n = rand.IntN(len(to.partitions))
	} else {
		n = kafkago.Murmur2Balancer{Consistent: true}.Balance(kafkago.Message{Key: r.Key}, to.partitions...)
	}
	return TopicPartition{r.Topic, n}, to.leaders[n], nil
}

// placing is remembered for as long as the metadata is.
func (p *Producer) placing(ctx context.Context, topic string) (placing, error) {
	p.mu.Lock()
	to, there := p.topics[topic]
	p.mu.Unlock()
	if there && time.Now().Before(to.until) {
		return to, nil
	}
	leaders, err := p.client.leadersWithin(ctx, topic)
	if err != nil {
		return placing{}, err
	}
	to = placing{leaders: leaders, partitions: make([]int, len(leaders)), until: time.Now().Add(metadataTTL)}
	for i := range to.partitions {
		to.partitions[i] = i
	}
	p.mu.Lock()
	p.topics[topic] = to
	p.mu.Unlock()
	return to, nil
}

// leader is the one of a partition by the newest metadata.
func (p *Producer) leader(tp TopicPartition) (int32, error) {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTimeout)
	defer cancel()
	leaders, err := p.client.leaders(ctx, tp.Topic)
	switch {
	case err != nil:
		return 0, err
	case tp.Partition >= len(leaders):
		return 0, kafkago.UnknownTopicOrPartition
	case leaders[tp.Partition] < 0:
		return 0, kafkago.LeaderNotAvailable
	}
	return leaders[tp.Partition], nil
}

func (p *Producer) enqueue(all []*pending, leaders []int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, one := range all {
		q := p.queues[one.tp]
		if q == nil {
			q = &partitionQueue{tp: one.tp}
			p.queues[one.tp] = q
		}
		q.waiting = append(q.waiting, one)
		if !q.busy {
			p.hand(q, leaders[i])
		}
	}
}

// sizeOf is about what a record takes in a batch before compression.
func sizeOf(r Record) int {
	n := 32 + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += 8 + len(h.Key) + len(h.Value)
	}
	return n
}
