package explorer

import (
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"sync"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// The topics. Each delay has one partition, the status topic one, the requests two.
const (
	requestTopic = "refund.requests"
	statusTopic  = "refund.status"
	deadTopic    = "refund.requests.dlq"
	controlTopic = "refund.control"
	delayPrefix  = "refund.delay."

	requestPartitions = 2
	compactionLag     = 7 * 24 * time.Hour
	replicaLag        = time.Second // until every replica has a record, whoever waits for that
)

type topicPartition = kafka.TopicPartition

// broker models the topics and the group. What was acknowledged is never lost; what the status topic's leader alone has
// may be (elect). The status topic is compacted for its readers, but keeps all for the auditor.
type broker struct {
	mu         sync.Mutex
	partitions map[topicPartition]*log
	consumed   []topicPartition // in the order in which they are fed
	owners     map[topicPartition]*member
	outage     time.Time     // until when it does not answer
	cuts       []int64       // where the status topic was cut off at each election
	compaction time.Duration // its min.compaction.lag.ms
}

// log is one partition.
type log struct {
	records   []kafka.Record
	delay     time.Duration
	committed int64
	high      int64 // of the status topic: the records before this offset are on every replica
}

func newBroker() *broker {
	b := &broker{partitions: map[topicPartition]*log{}, owners: map[topicPartition]*member{}, compaction: compactionLag}
	for i := range requestPartitions {
		b.consume(topicPartition{Topic: requestTopic, Partition: i}, 0)
	}
	for _, d := range delays {
		b.consume(topicPartition{Topic: topics.Delay(d)}, d)
	}
	for _, name := range []string{statusTopic, deadTopic, controlTopic} {
		b.partitions[topicPartition{Topic: name}] = &log{}
	}
	return b
}

func (b *broker) consume(tp topicPartition, delay time.Duration) {
	b.partitions[tp] = &log{delay: delay}
	b.consumed = append(b.consumed, tp)
}

var errBrokerAway = errors.New("no broker answers")

// away says whether no broker answers now.
func (b *broker) away() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outage.After(time.Now())
}

// stop makes all brokers unreachable for d.
func (b *broker) stop(w *world, d time.Duration) {
	w.logf("-- no broker answers for %s", d)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.outage = now.Add(d)
	for _, p := range w.workers {
		p.gaps = append(p.gaps, gap{now, b.outage})
	}
}

// heal ends an outage.
func (b *broker) heal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outage = time.Time{}
}

// append writes a record, whose time is now unless it has one, and answers its offset.
func (b *broker) append(tp topicPartition, r kafka.Record) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.partitions[tp]
	r.Topic, r.Partition, r.Offset = tp.Topic, tp.Partition, int64(len(l.records))
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	l.records = append(l.records, r)
	return r.Offset
}

// all are the records of a partition that were ever written.
func (b *broker) all(tp topicPartition) []kafka.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.partitions[tp]
	return l.records[:len(l.records):len(l.records)]
}

// readable are those of them that a compaction leaves: of each key the last one, and whatever is young.
func (b *broker) readable(topic string) []kafka.Record {
	records := b.visible(topic)
	if len(records) == 0 || time.Since(records[0].Time) < b.compaction {
		return records
	}
	last := map[string]int64{}
	for _, r := range records {
		last[string(r.Key)] = r.Offset
	}
	var left []kafka.Record
	for _, r := range records {
		if last[string(r.Key)] == r.Offset || time.Since(r.Time) < b.compaction {
			left = append(left, r)
		}
	}
	return left
}

// nextDue is when the next message can be handed out that cannot be now.
func (b *broker) nextDue(now time.Time) (next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outage.After(now) {
		return b.outage
	}
	for _, tp := range b.consumed {
		m := b.owners[tp]
		if m == nil || m.proc.dead.Load() {
			continue
		}
		if thaw := m.proc.frozenUntil(); thaw.After(now) {
			next = earliest(next, thaw)
			continue
		}
		l := b.partitions[tp]
		if at := m.parts[tp].position; at < int64(len(l.records)) && l.delay > 0 {
			next = earliest(next, l.records[at].Time.Add(l.delay))
		}
	}
	return next
}

// queued are the messages that the group has not committed, of requests and delays alike.
func (b *broker) queued() (left []kafka.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, tp := range b.consumed {
		l := b.partitions[tp]
		left = append(left, l.records[l.committed:]...)
	}
	return left
}

// port is a process's way to the broker, for its keeper.
type topicPort struct{ proc *process }

// Scan is statuslog.Reader's.
func (t topicPort) Scan(ctx context.Context, topic string, from kafka.From, each func(kafka.Record) error) (map[int]int64, error) {
	if t.proc.pass(ctx, "scan "+topic, before, "") || t.proc.world.broker.away() {
		return nil, errBrokerAway
	}
	b := t.proc.world.broker
	end := int64(len(b.visible(topic)))
	begin := offsetOf(from)
	if begin > end {
		return nil, &kafka.OutOfRangeError{Offset: begin, End: end}
	}
	for _, r := range b.readable(topic) {
		if r.Offset < begin {
			continue
		}
		if err := each(r); err != nil {
			return nil, err
		}
	}
	return map[int]int64{0: end}, nil
}

// Tail is statuslog.Reader's; the keeper does not use it.
func (t topicPort) Tail(context.Context, string, kafka.From, func(kafka.Record) error) error {
	return errors.New("not modelled")
}

// Spans is statuslog.Reader's.
func (t topicPort) Spans(ctx context.Context, topic string) ([]kafka.Span, error) {
	op := "spans"
	if caller, _, _, ok := runtime.Caller(1); ok { // who asks tells two goroutines of a keeper apart
		op += " of " + path.Ext(runtime.FuncForPC(caller).Name())
	}
	if t.proc.pass(ctx, op, before, "") || t.proc.world.broker.away() {
		return nil, errBrokerAway
	}
	return []kafka.Span{{End: int64(len(t.proc.world.broker.visible(topic)))}}, nil
}

// Write is statuslog.Writer's.
func (t topicPort) Write(ctx context.Context, records ...kafka.Record) error {
	if t.proc.pass(ctx, "write", before, "") || t.proc.world.broker.away() || ctx.Err() != nil {
		return errBrokerAway
	}
	for _, r := range records {
		t.proc.world.broker.append(topicPartition{Topic: r.Topic}, r)
	}
	if t.proc.pass(ctx, "write", after, "") {
		return errBrokerAway
	}
	return nil
}

// offsetOf reads where a From begins in partition 0; its fields are the kafka package's own.
func offsetOf(from kafka.From) int64 {
	for it := reflect.ValueOf(from).FieldByName("offsets").MapRange(); it.Next(); {
		if it.Key().Int() == 0 {
			return it.Value().Int()
		}
	}
	return 0
}

// place is topic/partition/offset.
func place(r kafka.Record) string { return fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset) }
