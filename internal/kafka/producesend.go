package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
)

const (
	requestBytes   = 8 << 20         // of the batches of one request, before compression; a broker takes 100 MiB
	attemptTimeout = 5 * time.Second // a broker silent for so long is frozen: ask for the leader again
)

// sender sends to one leader. One request is under way at a time, for all partitions of which something waits by then.
type sender struct {
	leader  int32
	ready   []*partitionQueue // under the Producer's mutex, as is running
	running bool
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
	if !s.running {
		s.running = true
		p.work.Go(func() { p.run(s) })
	}
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

// take makes the parts of the next request; nil: there is nothing to send, the sender ends.
func (p *Producer) take(s *sender) (parts []part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := 0
	for len(s.ready) > 0 && size < requestBytes {
		q := s.ready[0]
		s.ready = s.ready[1:]
		b := q.next()
		if b.records == nil {
			q.busy = false
			continue
		}
		size += b.size()
		parts = append(parts, part{q, b})
	}
	if parts == nil {
		s.ready, s.running = nil, false
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
	request.Timeout = int32(max(1, time.Until(until).Milliseconds()))
	answer, err := c.transport.RoundTrip(ctx, c.addr, request)
	errs := make([]error, len(parts))
	var routing *produce.Error // nothing was sent: a leader has moved, or a topic has gone
	alone := errors.As(err, &routing) && len(parts) > 1
	for i, one := range parts {
		switch {
		case alone:
			errs[i] = c.produce(parts[i : i+1])[0]
		case err != nil:
			errs[i] = err
		default:
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
		out[i] = kafkago.Record{Time: r.Time, Key: protocol.NewBytes(r.Key), Value: protocol.NewBytes(r.Value)}
		if len(r.Headers) > 0 {
			headers := make([]kafkago.Header, len(r.Headers))
			for j, h := range r.Headers {
				headers[j] = kafkago.Header{Key: h.Key, Value: h.Value}
			}
			out[i].Headers = headers
		}
	}
	return out
}

func tooLarge(err error) bool {
	return errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.RecordListTooLarge)
}
