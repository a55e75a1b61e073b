package api_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
)

// Dead letters are read as they always were.
func TestCorpusOfDeadLetters(t *testing.T) {
	schema := compile(t, "dead-letter-headers")
	seen := map[string]bool{}
	corpus(t, "dead-letters", func(t *testing.T, _ string, m message) {
		hs := m.headers(t)
		fits(t, schema, any(headerObject(hs)), "headers")
		d := consumer.ReadDeadLetter(events.As[kafka.Header](hs))
		got := letter{Reason: string(d.Reason), Error: d.Error, Attempts: d.Attempts, Topic: d.Topic, Partition: d.Partition, Offset: d.Offset}
		if m.Letter == nil || got != *m.Letter {
			t.Errorf("got %+v, want %+v", got, m.Letter)
		}
		seen[got.Reason] = true
	})
	for _, reason := range []consumer.Reason{consumer.ReasonUndecodable, consumer.ReasonInvalid, consumer.ReasonUnknownMerchant,
		consumer.ReasonConflict, consumer.ReasonOrderConflict, consumer.ReasonInternal} {
		if !seen[string(reason)] {
			t.Errorf("no dead letter with reason %s", reason)
		}
	}
	if enum := properties(document(t, "dead-letter-headers"))["dlq-reason"].(map[string]any)["enum"].([]any); len(enum) != len(seen) {
		t.Errorf("the schema has reasons %v, the corpus %v", enum, names(seen))
	}
}

// writerFunc is a function as a consumer.Writer.
type writerFunc func(kafka.Record)

func (f writerFunc) Write(_ context.Context, records ...kafka.Record) error {
	for _, r := range records {
		f(r)
	}
	return nil
}

// newDelayed are messages as they are written to delay topics today.
func newDelayed(t *testing.T) map[string]message {
	all := map[string]message{}
	write := func(name, about string, d consumer.Delayed) {
		delays, err := consumer.NewDelays(10*time.Second, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		topics := consumer.Topics{DelayPrefix: "refund.delay."}
		writer := writerFunc(func(r kafka.Record) {
			all[name] = message{About: about, Topic: r.Topic, Key: string(r.Key), Headers: headerLines(events.As[events.Header](r.Headers)), Value: string(r.Value)}
		})
		if err := consumer.NewDelayer(writer, topics, delays).Write(context.Background(), d); err != nil {
			t.Fatal(err)
		}
	}
	request := func(no string) string { return strings.Replace(contractRequest, "201901010011", no, 1) }
	first := kafka.Header{Key: "refund-first-seen", Value: []byte("2026-11-22T09:29:58.25Z")}
	origin := kafka.Header{Key: "refund-origin", Value: []byte("refund.requests/3/1042")}
	write("retry", "surely not sent, may go later", consumer.Delayed{Key: []byte("rrn_1686280006045"), Value: []byte(request("delayed-1")),
		Headers: []kafka.Header{first, origin}, After: 10 * time.Second, Cause: consumer.CauseRetry})
	write("parked", "behind an open breaker, with the headers that it came with", consumer.Delayed{Key: []byte("rrn_1686280006045"), Value: []byte(request("delayed-2")),
		Headers: append(kafkaHeaders(t, append(binaryHeaders(), traceParent)), first, origin), After: time.Minute, Cause: consumer.CauseParked})
	known, err := events.DecodeRequest([]byte(request("delayed-1")), nil)
	if err != nil {
		t.Fatal(err)
	}
	value, hs := events.EncodeRequest(known)
	write("follow-up", "the third query of an open refund", consumer.Delayed{Key: []byte("S0003469/delayed-1"), Value: value,
		Headers: append(events.As[kafka.Header](hs), first, origin), After: time.Minute, Cause: consumer.CauseFollowUp, FollowUp: 3})
	write("follow-up-without-origin", "left by the bridge or a rebuild", consumer.Delayed{Key: []byte("S0003469/delayed-1"), Value: value,
		Headers: append(events.As[kafka.Header](hs), first), After: 10 * time.Second, Cause: consumer.CauseFollowUp, FollowUp: 1})
	return all
}

func kafkaHeaders(t *testing.T, lines []string) []kafka.Header {
	t.Helper()
	return events.As[kafka.Header](message{Headers: lines}.headers(t))
}

// What is written to delay topics today is what was written then, and valid. That it
// is read as it was then is shown on a running system.
func TestCorpusOfDelayedMessages(t *testing.T) {
	now := newDelayed(t)
	for name, m := range now {
		add(t, "delays", name, m)
	}
	schema := compile(t, "delay-headers")
	corpus(t, "delays", func(t *testing.T, name string, m message) {
		valid := schema.Validate(any(headerObject(m.headers(t))))
		if newer := strings.HasPrefix(name, "newer"); newer != (valid != nil) {
			t.Errorf("valid: %v", valid)
		}
		if today, there := now[name]; there && (!slices.Equal(today.Headers, m.Headers) || today.Value != m.Value || today.Key != m.Key) {
			t.Errorf("written today:\n got %q\n%s\nwant %q\n%s", today.Headers, today.Value, m.Headers, m.Value)
		}
	})
}
