package consumer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

func TestDelayNames(t *testing.T) {
	for d, want := range map[time.Duration]string{10 * time.Second: "10s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h",
		10 * time.Minute: "10m", 90 * time.Minute: "1h30m", 6 * time.Hour: "6h", time.Hour + time.Second: "1h0m1s", 100 * time.Second: "1m40s", 20 * time.Hour: "20h"} {
		got := DelayName(d)
		if back, err := time.ParseDuration(got); got != want || err != nil || back != d {
			t.Errorf("%s: %q", d, got)
		}
	}
}

func TestFit(t *testing.T) {
	delays, err := NewDelays(time.Minute, 10*time.Second, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for wait, want := range map[time.Duration]time.Duration{0: 10 * time.Second, time.Second: 10 * time.Second, 10 * time.Second: 10 * time.Second,
		59 * time.Second: 10 * time.Second, time.Minute: time.Minute, 4 * time.Minute: time.Minute, time.Hour: 5 * time.Minute} {
		if got := delays.Fit(wait); got != want {
			t.Errorf("%s goes to %s, want %s", wait, got, want)
		}
	}
	for _, bad := range [][]time.Duration{{}, {0}, {-time.Second}, {time.Second, time.Second}, {1500 * time.Millisecond}} {
		if _, err := NewDelays(bad...); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

// How often a message goes through the delay topics until its time, with the delays of production: not once each ten
// seconds, but a few times at each step of the ladder, however long it waits.
func TestALongWaitIsAFewDelays(t *testing.T) {
	delays, err := NewDelays(10*time.Second, time.Minute, 5*time.Minute, 10*time.Minute, 30*time.Minute, time.Hour, 6*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	const inPlace = 5 * time.Second // max_wait
	passes := func(wait time.Duration) (n int) {
		for ; wait >= inPlace; n++ {
			wait -= delays.Fit(wait)
		}
		return n
	}
	for longest, most := range map[time.Duration]int{time.Minute: 6, 5 * time.Minute: 10, 400 * time.Second: 10, time.Hour: 14, 6 * time.Hour: 19, 24 * time.Hour: 22} {
		worst, sum, n := 0, 0, 0
		for wait := inPlace; wait < longest; wait += time.Second {
			worst, sum, n = max(worst, passes(wait)), sum+passes(wait), n+1
		}
		t.Logf("waits up to %s: at most %d times, %.1f on average", longest, worst, float64(sum)/float64(n))
		if worst > most {
			t.Errorf("a wait below %s takes %d delays", longest, worst)
		}
	}
}

func TestDelayerFromOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got kafka.Record
		w := writerFunc(func(r kafka.Record) error { got = r; return nil })
		d := NewDelayer(w, testTopics, Delays{10 * time.Second, time.Minute})
		time.Sleep(1234567 * time.Nanosecond)
		now := time.Now()
		m := Delayed{Key: []byte("k"), Value: []byte("v"), Headers: []kafka.Header{{Key: "traceparent", Value: []byte("t")}}, After: 30 * time.Second, Cause: CauseFollowUp}
		if err := d.Write(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if got.Topic != "delay.10s" || got.Time.Before(now) || got.Time.Sub(now) > time.Millisecond || got.Time.Nanosecond()%1e6 != 0 {
			t.Errorf("wrote %+v at %s", got, now)
		}
		if header(got.Headers, "refund-first-seen") == "" || header(got.Headers, "refund-origin") != "" || header(got.Headers, "refund-follow-up") != "0" {
			t.Errorf("headers %v", got.Headers)
		}
		m.Cause = "whatever"
		if err := d.Write(t.Context(), m); err == nil {
			t.Error("an unknown cause was taken")
		}
	})
}

type writerFunc func(kafka.Record) error

func (f writerFunc) Write(_ context.Context, records ...kafka.Record) error {
	var errs []error
	for _, r := range records {
		errs = append(errs, f(r))
	}
	return errors.Join(errs...)
}

// However often a message is delayed: its headers do not grow.
func TestHeadersDoNotGrow(t *testing.T) {
	headers := []kafka.Header{{Key: "traceparent", Value: []byte("t")}}
	for i := range 100 {
		head := readDelayHeaders(headers)
		if head.err != nil || (i > 0 && (head.followUp != i-1 || head.origin != "a/0/1" || head.cause != CauseRetry)) {
			t.Fatalf("%d: %+v", i, head)
		}
		headers = delayHeaders{cause: CauseRetry, followUp: i, origin: "a/0/1", firstSeen: time.Unix(1, 2)}.replaceIn(headers)
		letter := deadLetter("dlq", Delivery{Headers: headers}, ReasonInternal, errors.New(strings.Repeat("€", 500+i)), time.Unix(3, 0))
		headers = letter.Headers
	}
	if len(headers) != 1+5+9 || header(headers, "dlq-attempts") != "100" || len(header(headers, "dlq-error")) > longestError+3 {
		t.Fatalf("%d headers: %v", len(headers), headers)
	}
}

type fakeCluster struct {
	names     []string
	spans     map[string][]kafka.Span
	committed map[string]map[int]int64
}

func (f fakeCluster) TopicNames(context.Context) ([]string, error) { return f.names, nil }
func (f fakeCluster) Spans(_ context.Context, topic string) ([]kafka.Span, error) {
	return f.spans[topic], nil
}
func (f fakeCluster) Committed(_ context.Context, _, topic string) (map[int]int64, error) {
	return f.committed[topic], nil
}

func TestADelayThatIsNoLongerConfiguredIsRefusedUntilItsTopicIsEmpty(t *testing.T) {
	cluster := fakeCluster{
		names: []string{"delay.10s", "delay.1m", "delay.30s", "delay.2h", "delay.5m", "delay.notes", "requests"},
		spans: map[string][]kafka.Span{"delay.30s": {{Partition: 0, First: 0, End: 5}, {Partition: 1, First: 2, End: 9}},
			"delay.2h": {{Partition: 0, First: 3, End: 3}}, "delay.5m": {{Partition: 0, First: 0, End: 4}}, "delay.1m": {{Partition: 0, End: 100}}},
		committed: map[string]map[int]int64{"delay.30s": {0: 5}, "delay.5m": {0: 4}},
	}
	err := CheckDelays(t.Context(), cluster, "g", testTopics, Delays{10 * time.Second, time.Minute})
	if err == nil || err.Error() != "topic delay.30s holds 7 messages that wait, but worker.delays does not name 30s any more: put it back until the topic is empty" {
		t.Fatalf("got %v", err)
	}
	if err := CheckDelays(t.Context(), cluster, "g", testTopics, Delays{10 * time.Second, time.Minute, 30 * time.Second}); err != nil {
		t.Fatal(err)
	}
}
