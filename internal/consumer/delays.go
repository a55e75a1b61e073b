package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// Delays are the configured delays, shortest first. Make them by NewDelays.
type Delays []time.Duration

// NewDelays sorts and checks: at least one, each positive, in whole seconds, once.
func NewDelays(each ...time.Duration) (Delays, error) {
	if len(each) == 0 {
		return nil, errors.New("consumer: no delays given")
	}
	delays := slices.Sorted(slices.Values(each))
	for i, d := range delays {
		switch {
		case d < time.Second || d%time.Second != 0:
			return nil, fmt.Errorf("consumer: delay %s is not a positive number of whole seconds", d)
		case i > 0 && d == delays[i-1]:
			return nil, fmt.Errorf("consumer: delay %s is given twice", DelayName(d))
		}
	}
	return delays, nil
}

// Fit is the delay whose topic a wait of this length goes to: the longest one that is not longer than the wait, or the
// shortest there is. So a message never comes later than asked for, but for waits under the shortest delay; it may come
// earlier, and whoever takes it looks again whether it may go now.
func (d Delays) Fit(wait time.Duration) time.Duration {
	fit := slices.Min(d)
	for _, one := range d {
		if one <= wait {
			fit = max(fit, one)
		}
	}
	return fit
}

// DelayName writes a delay as topics carry it: 10s, 1m, 1h30m, 6h.
func DelayName(d time.Duration) string {
	name := d.String()
	if strings.HasSuffix(name, "m0s") {
		name = strings.TrimSuffix(name, "0s")
	}
	if strings.HasSuffix(name, "h0m") {
		name = strings.TrimSuffix(name, "0m")
	}
	return name
}

// Delay is the name of the topic of a delay.
func (t Topics) Delay(d time.Duration) string { return t.DelayPrefix + DelayName(d) }

// Delayed is a message to be delayed.
type Delayed struct {
	Key, Value []byte
	// Headers are carried, but for the delay headers, which are replaced: refund-origin and refund-first-seen are kept
	// where they are there.
	Headers  []kafka.Header
	After    time.Duration
	Cause    Cause
	FollowUp int
}

// Delayer writes messages to the delay topics. Safe for concurrent use.
type Delayer struct {
	writer Writer
	topics Topics
	delays Delays
}

// NewDelayer makes one for messages from outside of a delivery: the bridge, rebuilds. A Consumer has its own.
func NewDelayer(w Writer, topics Topics, delays Delays) *Delayer {
	return &Delayer{writer: w, topics: topics, delays: delays}
}

// Write puts the message on the topic that fits (see Delays.Fit). On nil all in-sync replicas have it, and it will be
// delivered at the topic's delay from now; the record's timestamp, on which that rests, is written explicitly, so it
// survives restarts of everybody. With clocks in step it is never early.
func (d *Delayer) Write(ctx context.Context, m Delayed) error {
	head := readDelayHeaders(m.Headers)
	if head.firstSeen.IsZero() {
		head.firstSeen = time.Now()
	}
	_, err := d.write(ctx, m, delayHeaders{origin: head.origin, firstSeen: head.firstSeen})
	return err
}

// write takes cause and follow-up from the message, the rest of the headers from head.
func (d *Delayer) write(ctx context.Context, m Delayed, head delayHeaders) (time.Duration, error) {
	if !m.Cause.known() {
		return 0, fmt.Errorf("consumer: %q is no cause of a delay", m.Cause)
	}
	fit := d.delays.Fit(m.After)
	now := time.Now()
	if whole := now.Truncate(time.Millisecond); whole.Before(now) {
		now = whole.Add(time.Millisecond) // Kafka keeps milliseconds: round up, never early
	}
	head.cause, head.followUp = m.Cause, m.FollowUp
	err := d.writer.Write(ctx, kafka.Record{Topic: d.topics.Delay(fit), Key: m.Key, Value: m.Value, Time: now, Headers: head.replaceIn(m.Headers)})
	return fit, err
}
