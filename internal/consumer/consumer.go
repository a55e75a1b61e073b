// Package consumer reads refund requests and delayed messages as a member of a consumer group, runs them in lanes, and
// does with each what the Handler's Verdict says: done, later (a delay topic), dead (the dead letters), again, abandon.
// It decides how a message waits, never what it means.
//
// It guarantees:
//   - an offset is committed only when everything before it in its partition is done, written to a delay topic with all
//     acknowledgements, or written to the dead letters likewise; what is not is delivered again, so delivery is at least
//     once, across kill -9, rebalances and outages;
//   - works of one lane never run at the same time in this process, and start in the order of their offsets;
//   - memory is bounded, whatever the backlog: each partition has a window of deliveries under way;
//   - a message that waits (not due, a slow lane, a dead letter that cannot be written) stops no other partition.
//
// It knows the package kafka alone.
package consumer

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/kafka"
)

// Topics are the names of the system's topics, as configured under kafka.topics. The consumer reads Requests and the delay
// topics and writes DeadLetters and the delay topics; the others are here for Specs.
type Topics struct {
	Requests    string // refund.requests
	Status      string // refund.status
	DeadLetters string // refund.requests.dlq
	DelayPrefix string // refund.delay. ; the duration follows
	Control     string // refund.control
	Audit       string // refund.audit
}

// OutOfRange says what to do when the committed offset of a partition is gone, or past the end.
type OutOfRange string

// The choices.
const (
	OutOfRangeAlarm    OutOfRange = "alarm"    // stop this partition, say so in Ready and the log, look again every 30 s
	OutOfRangeEarliest OutOfRange = "earliest" // say so in the log and go on at the oldest record there is
)

// Config of a Consumer. Zero values have the defaults named.
type Config struct {
	Group          string
	Topics         Topics
	Delays         Delays
	MaxInFlight    int           // works that run at the same time; 512
	SessionTimeout time.Duration // 10 s
	DrainTimeout   time.Duration // 15 s: how long works under way may take to end at a rebalance or stop
	OnOutOfRange   OutOfRange    // alarm
	StuckAfter     time.Duration // 2 min: a partition without progress for so long makes Ready fail
	// Panicked, where given, decides instead of Dead(ReasonInternal) after a work's third panic: a place to record that
	// the refund's outcome is not known. It runs in the work's lane.
	Panicked func(context.Context, Delivery, error) Verdict
	Log      zerolog.Logger
	Metrics  Metrics
}

// Metrics are hooks, each may be nil. Labels are closed sets and the configured topics. They are called from many
// goroutines and must not block.
type Metrics struct {
	// Delivered counts deliveries by topic and what came of them: done, later, dead, again, abandoned, panic.
	Delivered func(topic, verdict string)
	// DeadLetter counts dead letters written.
	DeadLetter func(Reason)
	// Delayed counts messages written to delay topics.
	Delayed func(Cause, time.Duration)
	// InFlight is the number of works running now.
	InFlight func(int)
	// Lag is how many offsets of a partition are not committed, as of the last commit. On a delay topic most of them
	// wait for their time: scale by Overdue there.
	Lag func(topic string, partition int, offsets int64)
	// Overdue is how long the oldest message of a delay topic's partition that could run has been due; 0 when none is.
	Overdue func(topic string, partition int, late time.Duration)
}

// Writer is what the consumer needs of kafka.Producer: nil means that all records are acknowledged.
type Writer interface {
	Write(ctx context.Context, records ...kafka.Record) error
}
