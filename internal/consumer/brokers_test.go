package consumer

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/refundworker/refundworker/internal/kafka"
)

// upstream is a publisher that is not ours.
func (b *broker) upstream(opts ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.addrs...), kgo.DefaultProduceTopic(b.topics.Requests)}, opts...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(client.Close)
	return client
}

// What a transactional publisher has rolled back never reaches the handler; what it has committed does, and the watermark
// passes all of it, markers too.
func TestWhatAPublisherRollsBackIsNeverHandled(t *testing.T) {
	b := newBroker(t)
	s := newSeen(t)
	stop := b.run(b.config(), s.handler(func(context.Context, Delivery) Verdict { return Done() }))
	upstream := b.upstream(kgo.TransactionalID("upstream" + b.group))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	committed := 0
	for i := range 30 {
		if err := upstream.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		keep := i%3 != 0
		for j := range 5 {
			value := strconv.Itoa(i*5+j) + map[bool]string{true: " committed", false: " rolled back"}[keep]
			if err := upstream.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := upstream.EndTransaction(ctx, kgo.TransactionEndTry(keep)); err != nil {
			t.Fatal(err)
		}
		if keep {
			committed += 5
		}
	}
	s.await(committed)
	for b.untaken(b.topics.Requests) > 0 { // a rolled back transaction and markers may be last
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%d are not committed", b.untaken(b.topics.Requests))
		}
	}
	stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for value := range s.times {
		if strings.Contains(value, "rolled back") {
			t.Errorf("%s was handled", value)
		}
	}
	if len(s.times) != committed {
		t.Errorf("%d were handled, %d committed", len(s.times), committed)
	}
}

// The largest request that its topic takes, packed as well as can be, fits into the delay topics and the dead letters with
// all that is added to it.
func TestTheLargestRequestFitsTheDelayTopicsAndTheDeadLetters(t *testing.T) {
	b := newBroker(t)
	random := rand.New(rand.NewPCG(1, 2))
	digits := make([]byte, 2_200_000) // zstd packs them into less than half, lz4 not at all
	for i := range digits {
		digits[i] = byte('0' + random.IntN(10))
	}
	upstream := b.upstream(kgo.ProducerBatchCompression(kgo.ZstdCompression().WithLevel(19)), kgo.ProducerBatchMaxBytes(10<<20))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := upstream.ProduceSync(ctx, &kgo.Record{Key: []byte("k"), Value: digits}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	dead := make(chan struct{})
	cfg := b.config()
	cfg.Metrics.DeadLetter = func(Reason) { close(dead) }
	stop := b.run(cfg, func(d Delivery) (string, Work) {
		return "", func(context.Context) Verdict {
			if d.Cause == "" {
				return Later(time.Second, CauseParked, 0)
			}
			return Dead(ReasonInvalid, errors.New(strings.Repeat("long ", 5000)))
		}
	})
	select {
	case <-dead:
	case <-ctx.Done():
		t.Fatal("no dead letter was written")
	}
	stop()
	if letters := b.records(b.topics.DeadLetters); len(letters) != 1 || !bytes.Equal(letters[0].Value, digits) || string(letters[0].Key) != "k" {
		t.Errorf("%d dead letters", len(letters))
	}
}

// A dead letter of each reason is the message as another client published it, null and empty told apart, headers doubled
// and in their order, with the nine headers added.
func TestADeadLetterOfEachReasonIsTheMessage(t *testing.T) {
	b := newBroker(t)
	upstream := b.upstream()
	messages := map[Reason]*kgo.Record{}
	forms := []kgo.Record{
		{Key: []byte("k\x00\xff"), Value: []byte{0xff, 0, 1}, Headers: []kgo.RecordHeader{{Key: "a", Value: []byte{1}}, {Key: "a", Value: nil}, {Key: "", Value: []byte{}}}},
		{Key: nil, Value: []byte{}},
		{Key: []byte{}, Value: nil, Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte("1")}}},
	}
	for i, reason := range reasons {
		r := forms[i%len(forms)]
		messages[reason] = &r
		if err := upstream.ProduceSync(t.Context(), &r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	written := make(chan Reason, len(reasons))
	cfg := b.config()
	cfg.Metrics.DeadLetter = func(r Reason) { written <- r }
	stop := b.run(cfg, func(d Delivery) (string, Work) {
		return "", func(context.Context) Verdict {
			for reason, m := range messages {
				switch {
				case m.Partition != int32(d.Partition) || m.Offset != d.Offset:
				case reason == ReasonInternal:
					panic("boom")
				default:
					return Dead(reason, errors.New("bad"))
				}
			}
			return Done()
		}
	})
	for range reasons {
		<-written
	}
	stop()
	client := b.upstream(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{b.topics.DeadLetters: {0: kgo.NewOffset().AtStart()}}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	same := func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
	for n := 0; n < len(reasons); {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			var reason Reason
			for _, h := range r.Headers {
				if h.Key == "dlq-reason" {
					reason = Reason(h.Value)
				}
			}
			m := messages[reason]
			if m == nil || !same(r.Key, m.Key) || !same(r.Value, m.Value) || len(r.Headers) != len(m.Headers)+len(dlqHeaderNames) {
				t.Errorf("%s: %q %q %v of %+v", reason, r.Key, r.Value, r.Headers, m)
				return
			}
			for i, h := range m.Headers {
				if got := r.Headers[i]; got.Key != h.Key || !same(got.Value, h.Value) {
					t.Errorf("%s: header %d is %q %q, was %q %q", reason, i, got.Key, got.Value, h.Key, h.Value)
				}
			}
			delete(messages, reason)
		})
	}
	if len(messages) > 0 {
		t.Errorf("no dead letter of %v", messages)
	}
}

// Thousands that are due within a few seconds, beside a load of requests: none is handed out early, none a second late.
func TestDelaysAreExactUnderLoad(t *testing.T) {
	b := newBroker(t)
	const n = 5000
	d := NewDelayer(b.producer, b.topics, b.delays)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var early, late time.Duration
	var mu sync.Mutex
	delays := map[string]time.Duration{}
	for _, one := range b.delays {
		delays[b.topics.Delay(one)] = one
	}
	s := newSeen(t)
	cfg := b.config()
	cfg.MaxInFlight = 256
	stop := b.run(cfg, s.handler(func(_ context.Context, d Delivery) Verdict {
		if delay, is := delays[d.Topic]; is {
			off := time.Since(d.Time.Add(delay))
			mu.Lock()
			early, late = min(early, off), max(late, off)
			mu.Unlock()
		}
		return Done()
	}))
	b.publish(0, 1)
	s.await(1) // the group has joined
	var writers sync.WaitGroup
	for w := range 8 { // they come in over two seconds, and so are due
		writers.Go(func() {
			for i := range n / 8 {
				m := Delayed{Key: []byte(strconv.Itoa(w*n + i)), Value: []byte("delayed " + strconv.Itoa(w*n+i)), After: b.delays[i%len(b.delays)], Cause: CauseRetry}
				if err := d.Write(ctx, m); err != nil {
					t.Error(err)
					return
				}
				if i%25 == 24 {
					time.Sleep(50 * time.Millisecond) // the load's pace
				}
			}
		})
	}
	b.publish(1, n)
	writers.Wait()
	s.await(2 * n)
	stop()
	t.Logf("the earliest came %s early, the latest %s late", -early, late)
	if early < -time.Millisecond { // the instant of writing is rounded up to one
		t.Errorf("one came %s early", -early)
	}
	if late > time.Second {
		t.Errorf("one came %s late", late)
	}
}

// What was not read is deleted by retention: the partition stops and says so, the others go on; with the setting earliest
// it goes on as well.
func TestRecordsThatWereDeletedUnread(t *testing.T) {
	for _, choice := range []OutOfRange{OutOfRangeAlarm, OutOfRangeEarliest} {
		t.Run(string(choice), func(t *testing.T) {
			b := newBroker(t)
			b.publish(0, 300)
			s := newSeen(t)
			stop := b.run(b.config(), s.handler(func(context.Context, Delivery) Verdict { return Done() }))
			s.await(300)
			stop()
			b.publish(300, 600)
			gone := b.deleteHalf(0)
			cfg := b.config()
			cfg.OnOutOfRange = choice
			c, err := New(b.client, b.producer, s.handler(func(context.Context, Delivery) Verdict { return Done() }), cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx) }()
			want := 600 - gone.lost
			if choice == OutOfRangeAlarm {
				want -= gone.left
			}
			s.await(want)
			for choice == OutOfRangeAlarm && (c.Ready() == nil || !strings.Contains(c.Ready().Error(), "records were deleted before they were read")) {
				select {
				case <-time.After(20 * time.Millisecond):
				case <-ctx.Done():
					t.Fatalf("ready says %v", c.Ready())
				}
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			s.mu.Lock()
			if len(s.times) != want {
				t.Errorf("%d were handled, want %d", len(s.times), want)
			}
			s.mu.Unlock()
			if left := b.untaken(b.topics.Requests); (left > 0) != (choice == OutOfRangeAlarm) {
				t.Errorf("%d are not committed", left)
			}
		})
	}
}

type deleted struct{ lost, left int }

// deleteHalf of what the group has not taken of a partition of the requests.
func (b *broker) deleteHalf(partition int) deleted {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	spans, err := b.client.Spans(ctx, b.topics.Requests)
	if err != nil {
		b.t.Fatal(err)
	}
	committed, err := b.client.Committed(ctx, b.group, b.topics.Requests)
	if err != nil {
		b.t.Fatal(err)
	}
	end := spans[slices.IndexFunc(spans, func(s kafka.Span) bool { return s.Partition == partition })].End
	to := (committed[partition] + end) / 2
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 5000
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = b.topics.Requests
	one := kmsg.NewDeleteRecordsRequestTopicPartition()
	one.Partition, one.Offset = int32(partition), to
	topic.Partitions = append(topic.Partitions, one)
	req.Topics = append(req.Topics, topic)
	for _, shard := range b.upstream().RequestSharded(ctx, req) { // to the leader
		if shard.Err != nil {
			b.t.Fatal(shard.Err)
		}
		if code := shard.Resp.(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
			b.t.Fatalf("deleting records: error %d", code)
		}
	}
	if to <= committed[partition] {
		b.t.Fatalf("nothing was deleted: %d committed, the end is %d", committed[partition], end)
	}
	return deleted{int(to - committed[partition]), int(end - to)}
}
