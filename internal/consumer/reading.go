package consumer

import (
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// Waiting is what a message on a delay topic says of itself, for readers of these topics.
type Waiting struct {
	Cause     Cause
	FollowUp  int
	Origin    string    // topic/partition/offset of the first delivery; empty where the message was written from outside of one
	FirstSeen time.Time // wall clock of the first delivery
	Due       time.Time // when the consumer takes it
	Place     string    // by which its chain knows it: where it lies, or where it lay before it was parked
}

// ReadWaiting reads a record of the topic of this delay. Its error names a header that cannot be read; the rest is there.
func ReadWaiting(r kafka.Record, delay time.Duration) (Waiting, error) {
	h := readDelayHeaders(r.Headers)
	d := Delivery{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Moved: h.place}
	return Waiting{Cause: h.cause, FollowUp: h.followUp, Origin: h.origin, FirstSeen: h.firstSeen, Due: r.Time.Add(delay), Place: d.Place()}, h.err
}
