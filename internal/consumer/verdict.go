package consumer

import (
	"fmt"
	"slices"
	"time"
)

// Reason says why a message is a dead letter. A closed set (header dlq-reason).
type Reason string

// The reasons.
const (
	ReasonUndecodable     Reason = "undecodable"      // not JSON, not UTF-8, duplicate keys, no CloudEvent
	ReasonInvalid         Reason = "invalid"          // a field breaks its rule
	ReasonUnknownMerchant Reason = "unknown_merchant" // not in the configuration
	ReasonConflict        Reason = "conflict"         // the refund_no with other content
	ReasonOrderConflict   Reason = "order_conflict"   // another order_amount or currency than the order's
	ReasonInternal        Reason = "internal"         // three panics
)

var reasons = []Reason{ReasonUndecodable, ReasonInvalid, ReasonUnknownMerchant, ReasonConflict, ReasonOrderConflict, ReasonInternal}

type verdictKind int

const (
	kindAbandon verdictKind = iota // the zero Verdict commits nothing
	kindDone
	kindLater
	kindDead
	kindAgain
	kindSoon
)

var kindNames = [...]string{kindAbandon: "abandoned", kindDone: "done", kindLater: "later", kindDead: "dead", kindAgain: "again", kindSoon: "soon"}

// Verdict says what becomes of a delivery. Make it by Done, Later, Dead, Again, Soon or Abandon; the zero Verdict is Abandon.
type Verdict struct {
	kind     verdictKind
	after    time.Duration
	cause    Cause
	followUp int
	reason   Reason
	err      error
	why      string
}

// Done: nothing is left to do. The offset counts as done.
func Done() Verdict { return Verdict{kind: kindDone} }

// Later: the message comes again after about this long (see Delays.Fit), with this cause and follow-up number. The
// consumer writes it to the delay topic, waits for all acknowledgements, and only then counts the offset as done.
func Later(after time.Duration, cause Cause, followUp int) Verdict {
	if !cause.known() {
		panic(fmt.Sprintf("consumer: %q is no cause of a delay", cause))
	}
	return Verdict{kind: kindLater, after: after, cause: cause, followUp: followUp}
}

// Dead: the message is a dead letter. The consumer writes it, bytes unchanged, to the dead letters, and only then counts
// the offset as done. err goes into the header dlq-error and into the log: it must hold no secret.
func Dead(reason Reason, err error) Verdict {
	if !slices.Contains(reasons, reason) {
		panic(fmt.Sprintf("consumer: %q is no reason of a dead letter", reason))
	}
	return Verdict{kind: kindDead, reason: reason, err: err}
}

// Again: the same work is run again in its place after this long; until then it holds its place in the lane and the
// watermark, but no slot. For what stops everybody (Redis cannot be reached): the membership is kept, nothing is lost,
// nothing is fetched beyond the bounded buffers. For the trouble of one merchant use Later: a message that waits in
// place keeps its partition's window from moving. why is shown by the watchdog.
func Again(after time.Duration, why string) Verdict {
	return Verdict{kind: kindAgain, after: after, why: why}
}

// Soon does what Again does, and is counted apart: nothing is wrong, the message's turn comes after this time. Keep it to
// the few seconds that one merchant may hold a partition's window; for longer use Later.
func Soon(after time.Duration, why string) Verdict {
	return Verdict{kind: kindSoon, after: after, why: why}
}

// Abandon: cannot be decided here, most often because the generation's last sign of life is too old. Nothing is
// committed past this message. The next owner of the partition gets it; and if it turns out that the generation lives on
// (a commit sent after the abandonment is acknowledged), this process runs the work again in its place, as a redelivery.
func Abandon() Verdict { return Verdict{kind: kindAbandon} }

// String names the verdict for logs: done, later, dead, again, soon or abandoned.
func (v Verdict) String() string {
	switch v.kind {
	case kindLater:
		return fmt.Sprintf("later (%s, %s)", v.after, v.cause)
	case kindDead:
		return fmt.Sprintf("dead (%s)", v.reason)
	case kindAgain, kindSoon:
		return fmt.Sprintf("%s in %s (%s)", kindNames[v.kind], v.after, v.why)
	}
	return kindNames[v.kind]
}
