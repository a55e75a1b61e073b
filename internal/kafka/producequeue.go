package kafka

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// batchBytes is what a batch holds at most, before compression; a larger record goes alone.
const batchBytes = 512 << 10

// pending is one record on its way. Its result is set once, then done is closed.
type pending struct {
	ctx    context.Context
	record Record
	size   int
	tp     TopicPartition
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

// produceBatch is what one attempt brings to a partition.
type produceBatch struct {
	records []*pending
	packing kafkago.Compression
}

// newProduceBatch packs by lz4, where there is something to gain.
func newProduceBatch(records []*pending) produceBatch {
	b := produceBatch{records: records, packing: kafkago.Lz4}
	if b.size() < 1024 {
		b.packing = 0
	}
	return b
}

func (b produceBatch) size() (n int) {
	for _, o := range b.records {
		n += o.size
	}
	return n
}

func (b produceBatch) finish(err error) {
	for _, o := range b.records {
		o.finish(err)
	}
}

// partitionQueue is one partition's records in the order of their Writes. One batch of it is under way at a time. All of
// it is under the Producer's mutex.
type partitionQueue struct {
	tp      TopicPartition
	waiting []*pending
	again   []produceBatch // to be sent before those that wait
	busy    bool           // a sender has it, or it rests before another attempt
	pause   time.Duration  // before the next attempt, where the last one failed
}

// next takes the next batch, without those whose callers have gone; of none nothing is left.
func (q *partitionQueue) next() produceBatch {
	for len(q.again) > 0 || len(q.waiting) > 0 {
		b := produceBatch{}
		if len(q.again) > 0 {
			b, q.again = q.again[0], q.again[1:]
		} else {
			b = q.cut()
		}
		b.records = slices.DeleteFunc(b.records, func(o *pending) bool {
			gone := o.ctx.Err() != nil
			if gone {
				o.finish(o.expired())
			}
			return gone
		})
		if len(b.records) > 0 {
			return b
		}
	}
	q.waiting, q.again = nil, nil
	return produceBatch{}
}

// cut takes as many of those that wait as one batch holds.
func (q *partitionQueue) cut() produceBatch {
	size, n := 0, 0
	for n < len(q.waiting) && (n == 0 || size+q.waiting[n].size <= batchBytes) {
		size += q.waiting[n].size
		n++
	}
	b := newProduceBatch(slices.Clone(q.waiting[:n]))
	q.waiting = q.waiting[n:]
	return b
}

// settle takes what became of a batch. It answers whether the partition has to rest before its next attempt.
func (q *partitionQueue) settle(b produceBatch, err error) (rest bool) {
	switch {
	case err == nil:
		b.finish(nil)
	case tooLarge(err) && len(b.records) > 1: // the limit is on batches: perhaps none of them is too large alone
		half := len(b.records) / 2
		q.again = append([]produceBatch{newProduceBatch(b.records[:half]), newProduceBatch(b.records[half:])}, q.again...)
	case tooLarge(err) && b.packing != kafkago.Zstd:
		b.packing = kafkago.Zstd // the limit is on packed batches: what came well packed is to fit into a topic that takes as much
		q.again = append([]produceBatch{b}, q.again...)
	case tooLarge(err):
		b.finish(&TooLargeError{q.tp.Topic, b.size()})
	case !retriable(err):
		b.finish(fmt.Errorf("kafka: writing to %s: %w", q.tp, explain(err)))
	default:
		for _, o := range b.records {
			o.last.Store(&err)
		}
		q.again = append([]produceBatch{b}, q.again...)
		q.pause = min(max(2*q.pause, firstBackoff), longestBackoff/2)
		return true
	}
	q.pause = 0
	return false
}
