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
}

// ReadWaiting reads a record of the topic of this delay. Its error names a header that cannot be read; the rest is there.
func ReadWaiting(r kafka.Record, delay time.Duration) (Waiting, error) {
	h := readDelayHeaders(r.Headers)
	return Waiting{Cause: h.cause, FollowUp: h.followUp, Origin: h.origin, FirstSeen: h.firstSeen, Due: r.Time.Add(delay)}, h.err
}
