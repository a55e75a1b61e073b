package explorer

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

var topics = consumer.Topics{
	Requests: requestTopic, Status: statusTopic, Control: controlTopic, DeadLetters: deadTopic, Audit: "refund.audit", DelayPrefix: delayPrefix,
}

// The consumer's headers, as it writes them.
const (
	headCause     = "refund-cause"
	headFollowUp  = "refund-follow-up"
	headFirstSeen = "refund-first-seen"
	headPlace     = "refund-place"
	headReason    = "dlq-reason"
)

// delivery is one message on its way to its verdict, and the verdict to where it takes effect: the model of package
// consumer.
type delivery struct {
	world    *world
	member   *member
	tp       topicPartition
	record   kafka.Record
	handed   *handed
	name     string
	key      refund.Key
	followUp int
	asked    bool // a call or a query was made
}

type deliveryKey struct{}

// deliver begins a delivery. The broker is locked.
func (w *world) deliver(m *member, tp topicPartition, r kafka.Record, h *handed) {
	w.names++
	d := &delivery{world: w, member: m, tp: tp, record: r, handed: h, name: fmt.Sprintf("%s#%d", place(r), w.names)}
	w.logf("%s handed out to %s", d.name, m.proc.name)
	ctx := context.WithValue(withActor(m.ctx, d.name), deliveryKey{}, d)
	go d.run(ctx)
}

// run is the consumer's: work, carry out, again where nothing was decided.
func (d *delivery) run(ctx context.Context) {
	work, dead := d.decode(ctx)
	defer d.member.proc.rests(ctx, false)
	if d.world.lanes && dead == nil {
		free := d.member.proc.lane(work.Request.OrderNo)
		free <- struct{}{}
		defer func() { <-free }()
	}
	d.key = work.Request.Key
	key := d.key.String()
	for d.member.ctx.Err() == nil {
		v := refund.Verdict{Kind: refund.Dead, Reason: refund.ReasonUndecodable, Err: dead}
		if dead == nil {
			v = d.member.proc.handler.Handle(ctx, work)
			d.world.notef(ctx, "%s %s: %s", d.member.proc.name, d.name, verdictWords(v))
			if change := d.world.defect.verdict; change != nil {
				v = change(d, v)
			}
		}
		switch v.Kind {
		case refund.Done:
			d.done(ctx, key)
			return
		case refund.Later:
			if d.write(ctx, "delay", key, d.delayed(work, v)) {
				d.done(ctx, key)
			}
			return
		case refund.Dead:
			letter := kafka.Record{Topic: deadTopic, Key: d.record.Key, Value: d.record.Value, Headers: with(d.record.Headers, headReason, string(v.Reason))}
			if d.write(ctx, "dead", key, letter) {
				d.done(ctx, key)
			}
			return
		case refund.Again, refund.Soon:
			if !sleep(ctx, v.After) {
				return
			}
		default:
			d.member.proc.rests(ctx, true)
			if !sleep(ctx, time.Second) || d.member.knowsItEnded(ctx) {
				return
			}
		}
	}
}

// decode reads the message as the application's route does.
func (d *delivery) decode(ctx context.Context) (refund.Work, error) {
	decode := events.DecodeRequest
	if header(d.record, headCause) == string(consumer.CauseFollowUp) {
		decode = events.DecodeFollowUp
		n, _ := strconv.Atoi(header(d.record, headFollowUp))
		d.followUp = max(n, 1)
	}
	request, err := decode(d.record.Value, events.As[events.Header](d.record.Headers))
	firstSeen, bad := time.Parse(time.RFC3339Nano, header(d.record, headFirstSeen))
	if bad != nil {
		firstSeen = time.Now()
	}
	alive := func() time.Time { return d.member.alive(ctx) }
	if d.world.defect.deaf {
		alive = time.Now
	}
	return refund.Work{Request: request, FollowUp: d.followUp, Place: cmp.Or(header(d.record, headPlace), place(d.record)), FirstSeen: firstSeen, Alive: alive}, err
}

// write repeats until the record is durable; false where it cannot be any more.
func (d *delivery) write(ctx context.Context, op, key string, r kafka.Record) bool {
	p := d.member.proc
	for {
		if !p.pass(ctx, op, before, key) && !d.world.broker.away() {
			d.world.broker.append(topicPartition{Topic: r.Topic}, r)
			if !p.pass(ctx, op, after, key) {
				return true
			}
		}
		if !sleep(ctx, 500*time.Millisecond) {
			return false
		}
	}
}

// done counts the message as done and commits what may be committed.
func (d *delivery) done(ctx context.Context, key string) {
	p := d.member.proc
	d.world.broker.mu.Lock()
	d.handed.done = true
	d.world.broker.mu.Unlock()
	p.pass(ctx, "commit", before, key)
	for !d.world.commit(d.member, d.tp) && !d.member.knowsItEnded(ctx) {
		if !sleep(ctx, time.Second) {
			return
		}
	}
	p.pass(ctx, "commit", after, key)
}

// delayed is the message of a verdict, on the delay topic that fits.
func (d *delivery) delayed(work refund.Work, v refund.Verdict) kafka.Record {
	moved := "" // as the consumer has it: the same follow-up, elsewhere
	if v.FollowUp > 0 && v.FollowUp == work.FollowUp {
		moved = work.Place
	}
	headers := with(d.record.Headers, headPlace, moved)
	return delayedRecord(d.record.Key, d.record.Value, headers, v.After, string(v.Cause), v.FollowUp, work.FirstSeen)
}

func delayedRecord(key, value []byte, headers []kafka.Header, after time.Duration, cause string, followUp int, firstSeen time.Time) kafka.Record {
	headers = with(headers, headCause, cause)
	headers = with(headers, headFollowUp, strconv.Itoa(followUp))
	headers = with(headers, headFirstSeen, firstSeen.UTC().Format(time.RFC3339Nano))
	return kafka.Record{Topic: topics.Delay(delays.Fit(after)), Key: key, Value: value, Headers: headers}
}

// followUpRecord is a follow-up from outside of a delivery, as bridge and rebuild write it.
func followUpRecord(rec refund.Record, after time.Duration) kafka.Record {
	value, headers := events.EncodeRequest(rec.Request)
	return delayedRecord([]byte(rec.Key().String()), value, events.As[kafka.Header](headers), after, string(consumer.CauseFollowUp), rec.FollowUp+1, time.Now())
}

func requestRecord(r refund.Request) kafka.Record {
	value, headers := events.EncodeRequest(r)
	return kafka.Record{Key: []byte(r.Key.String()), Value: value, Headers: events.As[kafka.Header](headers)}
}

func header(r kafka.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// with answers the headers with one replaced.
func with(headers []kafka.Header, name, value string) []kafka.Header {
	out := make([]kafka.Header, 0, len(headers)+1)
	for _, h := range headers {
		if h.Key != name {
			out = append(out, h)
		}
	}
	return append(out, kafka.Header{Key: name, Value: []byte(value)})
}

// sleep is false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func verdictWords(v refund.Verdict) string {
	switch v.Kind {
	case refund.Done:
		return "done"
	case refund.Later:
		return fmt.Sprintf("later %s %s %d", v.After, v.Cause, v.FollowUp)
	case refund.Dead:
		return fmt.Sprintf("dead %s: %v", v.Reason, v.Err)
	case refund.Again:
		return fmt.Sprintf("again %s: %v", v.After, v.Err)
	case refund.Soon:
		return fmt.Sprintf("soon %s", v.After)
	}
	return fmt.Sprintf("abandon: %v", v.Err)
}
