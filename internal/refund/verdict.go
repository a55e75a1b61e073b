package refund

import (
	"fmt"
	"time"
)

// Verdict is what shall become of a delivery. When it comes back is decided
// here, by which topic is the consumer's.
type Verdict struct {
	Kind     VerdictKind
	After    time.Duration // Later, Again, Soon
	Cause    Cause         // Later
	FollowUp int           // Later with CauseFollowUp: its number
	Reason   Reason        // Dead
	Err      error         // Dead, Again, Abandon: why, for people
}

// VerdictKind is one of six.
type VerdictKind int

const (
	// Done: everything that the delivery asks for is durable.
	Done VerdictKind = iota + 1
	// Later: the message comes back after a while, durably; this one is done.
	Later
	// Dead: to the dead letters, with its reason.
	Dead
	// Again: the store did not answer, so nothing was decided: the same work once
	// more, in place.
	Again
	// Soon: nothing is wrong. Its turn at the merchant's rate, or at its order's
	// interval, comes in After, which is less than the account's MaxWait: the same
	// work then, in place.
	Soon
	// Abandon: not ours any more; nothing is committed past it.
	Abandon
)

// Cause says why a message waits.
type Cause string

const (
	CauseRetry    Cause = "retry"     // surely not sent
	CauseParked   Cause = "parked"    // breaker, limit or hold
	CauseFollowUp Cause = "follow-up" // open: to be asked about
)

// Reason is why a message is a dead letter: a closed set (DESIGN.md, section 4).
type Reason string

const (
	ReasonUndecodable     Reason = "undecodable"
	ReasonInvalid         Reason = "invalid"
	ReasonUnknownMerchant Reason = "unknown_merchant"
	ReasonConflict        Reason = "conflict"
	ReasonOrderConflict   Reason = "order_conflict"
	ReasonInternal        Reason = "internal"
)

func done() Verdict { return Verdict{Kind: Done} }

func later(after time.Duration, cause Cause) Verdict {
	return Verdict{Kind: Later, After: after, Cause: cause}
}

func dead(reason Reason, format string, args ...any) Verdict {
	return Verdict{Kind: Dead, Reason: reason, Err: fmt.Errorf(format, args...)}
}

func abandon(err error) Verdict { return Verdict{Kind: Abandon, Err: err} }
