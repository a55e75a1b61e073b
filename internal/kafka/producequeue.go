package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

const (
	batchBytes     = 512 << 10       // before compression; a larger record goes alone
	attemptTimeout = 5 * time.Second // a broker silent for so long is frozen: ask for the leader again
)

// pending is one record on its way. Its result is set once, then done is closed.
type pending struct {
	ctx    context.Context
	record Record
	tp     TopicPartition
	size   int
	done   chan struct{}
	result error
	last   atomic.Pointer[error] // of the attempts so far, for the message of a Write that gives up
}

func (o *pending) finish(err error) {
	o.result = err
	close(o.done)
}

// wait ends with the result, or with ctx.
func (o *pending) wait() error {
	select {
	case <-o.done:
		return o.result
	case <-o.ctx.Done():
	}
	select {
	case <-o.done: // both at once: the acknowledgement counts
		return o.result
	default:
		return o.expired()
	}
}

// expired is the answer to a caller whose ctx ended first.
func (o *pending) expired() error {
	err := fmt.Errorf("kafka: writing to %s: not acknowledged in time, it may be written or not: %w", o.tp, o.ctx.Err())
	if last := o.last.Load(); last != nil {
		err = fmt.Errorf("%w (last attempt: %w)", err, explain(*last))
	}
	return err
}

// partitionQueue is one partition's records in the order of their Writes. One goroutine sends while there are any.
type partitionQueue struct {
	client *Client
	tp     TopicPartition

	waiting []*pending // these two under the Producer's mutex
	running bool
}

// next takes the next batch, or ends the sender: nil.
func (q *partitionQueue) next(mu *sync.Mutex) []*pending {
	mu.Lock()
	defer mu.Unlock()
	size, n := 0, 0
	for n < len(q.waiting) && (n == 0 || size+q.waiting[n].size <= batchBytes) {
		size += q.waiting[n].size
		n++
	}
	if n == 0 {
		q.waiting, q.running = nil, false
		return nil
	}
	batch := slices.Clone(q.waiting[:n])
	q.waiting = q.waiting[n:]
	return batch
}

// send ends when each record is acknowledged, refused for good, or abandoned by its caller.
func (q *partitionQueue) send(batch []*pending) {
	packing := kafkago.Lz4
	for pause := firstBackoff; ; pause = min(2*pause, longestBackoff/2) {
		batch = slices.DeleteFunc(batch, func(o *pending) bool {
			gone := o.ctx.Err() != nil
			if gone {
				o.finish(o.expired())
			}
			return gone
		})
		if len(batch) == 0 {
			return
		}
		err := q.attempt(batch, packing)
		switch {
		case err == nil:
			finish(batch, nil)
			return
		case tooLarge(err) && len(batch) > 1: // the limit is on batches: perhaps none of them is too large alone
			q.send(batch[:len(batch)/2])
			q.send(batch[len(batch)/2:])
			return
		case tooLarge(err) && packing != kafkago.Zstd:
			packing = kafkago.Zstd // the limit is on packed batches: what came well packed is to fit into a topic that takes as much
			continue
		case tooLarge(err):
			finish(batch, &TooLargeError{q.tp.Topic, batch[0].size})
			return
		case !retriable(err):
			finish(batch, fmt.Errorf("kafka: writing to %s: %w", q.tp, explain(err)))
			return
		}
		for _, o := range batch {
			o.last.Store(&err)
		}
		time.Sleep(pause)
	}
}

func finish(batch []*pending, err error) {
	for _, o := range batch {
		o.finish(err)
	}
}

// attempt sends the batch once and waits for its acknowledgement: no longer than the first of its callers to give up, so
// that nobody's record is on its way longer than he asked for. The others are tried again.
func (q *partitionQueue) attempt(batch []*pending, packing kafkago.Compression) error {
	until := time.Now().Add(attemptTimeout)
	for _, o := range batch {
		if deadline, _ := o.ctx.Deadline(); deadline.Before(until) {
			until = deadline
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()

	records, size := make([]kafkago.Record, len(batch)), 0
	for i, o := range batch {
		records[i] = encode(o.record)
		size += o.size
	}
	if size < 1024 {
		packing = 0 // nothing to gain
	}
	answer, err := q.client.api().Produce(ctx, &kafkago.ProduceRequest{
		Topic: q.tp.Topic, Partition: q.tp.Partition,
		RequiredAcks: kafkago.RequireAll,
		Compression:  packing,
		Records:      kafkago.NewRecordReader(records...),
	})
	if err != nil {
		return err
	}
	return answer.Error
}

func encode(r Record) kafkago.Record {
	out := kafkago.Record{Time: r.Time, Key: protocol.NewBytes(r.Key), Value: protocol.NewBytes(r.Value)}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, kafkago.Header{Key: h.Key, Value: h.Value})
	}
	return out
}

func tooLarge(err error) bool {
	return errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.RecordListTooLarge)
}
