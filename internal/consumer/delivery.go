package consumer

import (
	"context"
	"fmt"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// Cause says why a message lies on a delay topic. A closed set; empty for a fresh request.
type Cause string

// The causes.
const (
	CauseRetry    Cause = "retry"     // surely not sent, may go later
	CauseParked   Cause = "parked"    // waits behind an open breaker, a limit, a hold
	CauseFollowUp Cause = "follow-up" // the query of an open refund
)

// Delivery is one record handed to the Handler, with the consumer's own headers already read. Its bytes are the
// handler's to read and to keep, not to change.
type Delivery struct {
	Topic      string
	Partition  int
	Offset     int64
	Key, Value []byte
	Headers    []kafka.Header
	Time       time.Time // the record's timestamp

	Cause     Cause     // empty for a record of the requests topic, whatever its headers say
	FollowUp  int       // refund-follow-up; 0 where there is none
	Origin    string    // Place of the first delivery; empty where a message was written from outside of one
	FirstSeen time.Time // wall clock of the first delivery
	Moved     string    // of a follow-up that was parked: the Place that it had before; else empty

	// Alive is the instant just before the last commit request that the broker acknowledged for the generation that this
	// delivery belongs to: at that instant the partition was still ours. It carries a monotonic clock reading, so compare
	// it by time.Since. It is zero before the first acknowledgement and once the generation has ended.
	Alive func() time.Time
}

// Place is topic/partition/offset of this record; of a follow-up that came back with its number unchanged, of the record
// that had this number first. Who was taken by that name before a crash is known by it afterwards, wherever he waited.
func (d Delivery) Place() string {
	if d.Moved != "" {
		return d.Moved
	}
	return fmt.Sprintf("%s/%d/%d", d.Topic, d.Partition, d.Offset)
}

// Work handles one delivery and says what becomes of it. Its ctx ends when the drain's time is up: it must then return
// soon. A panic is recovered: the work is run again, up to three times in all.
type Work func(ctx context.Context) Verdict

// Handler turns a delivery into work. Route does no I/O and is called in the order of offsets of a partition. Works of
// one lane run strictly one after another in the order of their Route calls, over all topics and partitions of this
// process; different lanes run in parallel. An empty lane stands alone: such a work waits for nobody.
type Handler interface {
	Route(Delivery) (lane string, work Work)
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(Delivery) (lane string, work Work)

// Route calls f.
func (f HandlerFunc) Route(d Delivery) (string, Work) { return f(d) }
