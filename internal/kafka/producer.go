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
// It batches and retries itself on kafka-go's Produce, because kafka-go's Writer goes on writing for its 30 attempts
// after the caller has given up, drops a batch on io.EOF or while a partition has no leader, and makes an idle caller
// wait for its batch timeout. Here one request a partition is under way at a time, and whatever comes meanwhile makes
// the next one: an idle caller waits for nothing, order within a partition is the order of the Writes, and no attempt
// begins for a record whose caller has gone.
//
// Ghost writes: when Write ends with an error, a request under way at that instant may still be appended (a broker may
// even have appended it before). And a retried record may be on the topic twice. So an error means "perhaps", and a
// reader must take the same record twice.
type Producer struct {
	client *Client

	mu     sync.Mutex
	queues map[TopicPartition]*partitionQueue
	closed bool
	work   sync.WaitGroup
}

// Producer makes a new one. Close it.
func (c *Client) Producer() *Producer {
	return &Producer{client: c, queues: map[TopicPartition]*partitionQueue{}}
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

	batch := make([]*pending, len(records))
	for i, r := range records {
		tp, err := p.place(ctx, r)
		if err != nil {
			return fmt.Errorf("kafka: writing to %s: %w", r.Topic, explain(err))
		}
		if r.Time.IsZero() {
			r.Time = time.Now()
		}
		batch[i] = &pending{ctx: ctx, record: r, tp: tp, size: sizeOf(r), done: make(chan struct{})}
	}
	for _, one := range batch {
		p.enqueue(one)
	}
	var errs []error
	for _, one := range batch {
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

// place chooses the partition: by murmur2 of the key as the Java client does, at random where the key is null.
func (p *Producer) place(ctx context.Context, r Record) (TopicPartition, error) {
	n, err := p.client.partitionsWithin(ctx, r.Topic)
	if err != nil {
		return TopicPartition{}, err
	}
	if r.Key == nil {
		return TopicPartition{r.Topic, rand.IntN(n)}, nil
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return TopicPartition{r.Topic, kafkago.Murmur2Balancer{Consistent: true}.Balance(kafkago.Message{Key: r.Key}, all...)}, nil
}

func (p *Producer) enqueue(one *pending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queues[one.tp]
	if q == nil {
		q = &partitionQueue{client: p.client, tp: one.tp}
		p.queues[one.tp] = q
	}
	q.waiting = append(q.waiting, one)
	if !q.running {
		q.running = true
		p.work.Add(1)
		go func() {
			defer p.work.Done()
			for batch := q.next(&p.mu); batch != nil; batch = q.next(&p.mu) {
				q.send(batch)
			}
		}()
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
