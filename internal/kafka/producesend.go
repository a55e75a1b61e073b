package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
)

const (
	requestsMost   = 8                     // under way to a leader that is slow
	slowAfter      = 50 * time.Millisecond // a request that takes longer is not waited for by what came after it
	requestBytes   = 8 << 20               // of the batches of one request, before compression; a broker takes 100 MiB
	attemptTimeout = 5 * time.Second       // a broker silent for so long is frozen: ask for the leader again
)

// sender sends to one leader: one request at a time, for all partitions of which something waits by then, and further ones
// beside a request that takes long (a slow disk, a follower that lags: a broker answers for all partitions of a request
// together). All of it is under the Producer's mutex.
type sender struct {
	leader  int32
	ready   []*partitionQueue
	running int       // requests under way
	began   time.Time // the newest of them
	watched bool
}

// part is a batch on its way.
type part struct {
	queue *partitionQueue
	produceBatch
}

// hand gives a queue to the sender of its leader. The mutex is held.
func (p *Producer) hand(q *partitionQueue, leader int32) {
	s := p.senders[leader]
	if s == nil {
		s = &sender{leader: leader}
		p.senders[leader] = s
	}
	q.busy = true
	s.ready = append(s.ready, q)
	if s.running == 0 {
		p.start(s)
	} else if !s.watched {
		s.watched = true
		time.AfterFunc(slowAfter, func() { p.watch(s) })
	}
}

func (p *Producer) start(s *sender) {
	s.running++
	p.work.Go(func() { p.run(s) })
}

// watch sees to it that what waits behind slow requests gets another one.
func (p *Producer) watch(s *sender) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(s.ready) == 0 || s.running == 0 || s.running == requestsMost {
		s.watched = false
		return
	}
	wait := slowAfter - time.Since(s.began)
	if wait <= 0 {
		p.start(s)
		wait = slowAfter
	}
	time.AfterFunc(wait, func() { p.watch(s) })
}

// run sends until nothing is ready.
func (p *Producer) run(s *sender) {
	for parts := p.take(s); parts != nil; parts = p.take(s) {
		errs := p.client.produce(parts)
		p.mu.Lock()
		for i, one := range parts {
			if one.queue.settle(one.produceBatch, errs[i]) {
				p.work.Go(func() { p.rest(one.queue) })
			} else {
				s.ready = append(s.ready, one.queue)
			}
		}
		p.mu.Unlock()
	}
}

// take makes the parts of the next request; nil: there is nothing to send. A partition whose last attempt failed goes
// alone: it may be why the answer did not come.
func (p *Producer) take(s *sender) (parts []part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := 0
	for len(s.ready) > 0 && size < requestBytes {
		q := s.ready[0]
		if q.pause > 0 && parts != nil {
			break
		}
		s.ready = s.ready[1:]
		b := q.next()
		if b.records == nil {
			q.busy = false
			continue
		}
		size += b.size()
		parts = append(parts, part{q, b})
		if q.pause > 0 {
			break
		}
	}
	s.began = time.Now()
	if parts == nil {
		s.running--
	}
	return parts
}

// rest waits before another attempt of a partition, then gives it to the leader that it has by then.
func (p *Producer) rest(q *partitionQueue) {
	for {
		time.Sleep(q.pause)
		leader, err := p.leader(q.tp)
		p.mu.Lock()
		if err == nil {
			p.hand(q, leader)
			p.mu.Unlock()
			return
		}
		b := q.next()
		more := b.records != nil && (q.settle(b, err) || len(q.again) > 0 || len(q.waiting) > 0)
		q.busy = more
		p.mu.Unlock()
		if !more {
			return
		}
	}
}

// produce sends one request and answers what became of each part. It waits for the acknowledgements no longer than the
// first of the callers to give up, so that nobody's record is on its way longer than he asked for; the others are tried
// again.
func (c *Client) produce(parts []part) []error {
	until := time.Now().Add(attemptTimeout)
	request := &produce.Request{Acks: int16(kafkago.RequireAll)}
	topics := map[string]int{}
	for _, one := range parts {
		for _, o := range one.records {
			if deadline, _ := o.ctx.Deadline(); deadline.Before(until) {
				until = deadline
			}
		}
		tp := one.queue.tp
		at, there := topics[tp.Topic]
		if !there {
			at = len(request.Topics)
			topics[tp.Topic] = at
			request.Topics = append(request.Topics, produce.RequestTopic{Topic: tp.Topic})
		}
		t := &request.Topics[at]
		t.Partitions = append(t.Partitions, produce.RequestPartition{
			Partition: int32(tp.Partition),
			RecordSet: protocol.RecordSet{Attributes: protocol.Attributes(one.packing), Records: kafkago.NewRecordReader(encode(one.records)...)},
		})
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	// The broker gives up first, so that it can say for which partitions.
	request.Timeout = int32(max(1, time.Until(until).Milliseconds()*4/5))
	answer, err := c.transport.RoundTrip(ctx, c.addr, request)
	errs := make([]error, len(parts))
	var routing *produce.Error // nothing was sent: a leader has moved, or a topic has gone
	if errors.As(err, &routing) && len(parts) > 1 {
		var each sync.WaitGroup
		for i := range parts {
			each.Go(func() { errs[i] = c.produce(parts[i : i+1])[0] })
		}
		each.Wait()
		return errs
	}
	for i, one := range parts {
		if errs[i] = err; err == nil {
			errs[i] = answerFor(answer.(*produce.Response), one.queue.tp)
		}
	}
	return errs
}

func answerFor(answer *produce.Response, tp TopicPartition) error {
	for i := range answer.Topics {
		if answer.Topics[i].Topic != tp.Topic {
			continue
		}
		for _, p := range answer.Topics[i].Partitions {
			switch {
			case int(p.Partition) != tp.Partition:
			case p.ErrorCode == 0:
				return nil
			case p.ErrorMessage != "":
				return fmt.Errorf("%w: %s", kafkago.Error(p.ErrorCode), p.ErrorMessage)
			default:
				return kafkago.Error(p.ErrorCode)
			}
		}
	}
	return fmt.Errorf("the broker's answer leaves out %s", tp)
}

func encode(records []*pending) []kafkago.Record {
	out := make([]kafkago.Record, len(records))
	for i, o := range records {
		r := o.record
		out[i] = kafkago.Record{Time: r.Time, Key: protocol.NewBytes(r.Key), Value: protocol.NewBytes(r.Value), Headers: r.Headers}
	}
	return out
}

func tooLarge(err error) bool {
	return errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.RecordListTooLarge)
}
