package consumer

import (
	"context"
	"strconv"
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

	// Crowded is 0 where it is this delivery's turn. Else it is asked to go away and come back, for the sake of others behind
	// it: its share (see Lane) has had all that it may run under way for long, and whoever joins those that wait will wait
	// for about this long.
	Crowded func() time.Duration

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
	return d.Topic + "/" + strconv.Itoa(d.Partition) + "/" + strconv.FormatInt(d.Offset, 10)
}

// Work handles one delivery and says what becomes of it. Its ctx ends when the drain's time is up: it must then return
// soon. A panic is recovered: the work is run again, up to three times in all.
type Work func(ctx context.Context) Verdict

// Lane says beside and behind which works a work runs, over all topics and partitions of this process.
type Lane struct {
	// Name: works of one lane run strictly one after another in the order of their Route calls, those of different lanes
	// side by side. A work without a name waits for nobody.
	Name string
	// Share is on whose account it runs, a merchant's: running places are given to shares in turns, and some are kept for
	// those who hold few, so that nobody's backlog delays another's. All lanes of one name are of one share.
	Share string
	// Most is how many works of its share may run at the same time; 0: as many as there are places. More than that wait
	// here without a place; where they fill a partition's window they are turned away: see Delivery.Crowded.
	Most int
}

// Handler turns a delivery into work. Route does no I/O and is called in the order of offsets of a partition. The
// delivery is there until its work has ended: keep the pointer, there are thousands.
type Handler interface {
	Route(*Delivery) (Lane, Work)
}

// HandlerFunc is a function as a Handler that names lanes alone.
type HandlerFunc func(Delivery) (lane string, work Work)

// Route calls f.
func (f HandlerFunc) Route(d *Delivery) (Lane, Work) {
	name, work := f(*d)
	return Lane{Name: name}, work
}
