package transport

import (
	"context"
	"errors"
	"fmt"

	"github.com/refundworker/refundworker/internal/refund"
)

// Stage is how far an exchange came.
type Stage int32

// Stages, in their order. Up to Handshaking nothing was sent; at Sending it
// depends on whether the first byte was written (Error.Sent).
const (
	BeforeDial  Stage = iota // the context had ended, or no connection was begun
	Resolving                // the host's name
	Connecting               // TCP, or a proxy's CONNECT
	Handshaking              // TLS
	Sending                  // there is a connection
	Awaiting                 // the request was written
	Reading                  // an answer began
	Redirected               // answered 3xx
	Oversize                 // the answer is longer than MaxAnswer
)

// String is a closed set of words, fit for a metric's label.
func (s Stage) String() string {
	words := [...]string{"before_dial", "resolve", "connect", "tls", "send", "await", "read", "redirect", "oversize"}
	if s < 0 || int(s) >= len(words) {
		return "unknown"
	}
	return words[s]
}

// Error is an exchange that brought no whole answer. It repeats no body and no
// header.
type Error struct {
	Stage Stage
	// Sent: a byte of the request may have left. False is a proof that none did or
	// will.
	Sent bool
	Err  error

	stale bool // not sent, because a kept connection was closed meanwhile
}

func (e *Error) Error() string {
	if e.Sent {
		return fmt.Sprintf("gateway gave no answer (%s): %v", e.Stage, e.Err)
	}
	return fmt.Sprintf("gateway was not reached (%s): %v", e.Stage, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Outage says whether the gateway, or the way to it, is to blame: not where we
// gave up ourselves, and not where our time was over before we began.
func (e *Error) Outage() bool {
	return !errors.Is(e.Err, context.Canceled) && e.Stage != BeforeDial
}

// Outcome is what the exchange means for the money. A refund call that was
// surely not sent is NotSent; everything else is Unknown, every query too.
func (e *Error) Outcome(kind refund.CallKind) refund.Outcome {
	o := refund.Outcome{Class: refund.Unknown, Code: refund.CodeGatewayDown, Message: e.Error(), Outage: e.Outage()}
	if kind == refund.RefundCall && !e.Sent {
		o.Class = refund.NotSent
	}
	return o
}

// GivenUp recognises what Outcome made of an exchange that ended because we gave
// up: it says nothing about the gateway.
func GivenUp(o refund.Outcome) bool {
	return o.Code == refund.CodeGatewayDown && !o.Outage && (o.Class == refund.Unknown || o.Class == refund.NotSent)
}
