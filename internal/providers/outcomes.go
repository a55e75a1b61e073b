package providers

import (
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// counts is what an outcome is for the breaker.
type counts int

const (
	nothing counts = iota // no call, or given up by ourselves: says nothing
	good                  // the gateway answered, whatever it said
	outage
)

func countsAs(o refund.Outcome) counts {
	switch {
	case o.Outage:
		return outage
	case o.Class == refund.NoCall, transport.GivenUp(o), o.Code == refund.CodeMisconfigured:
		return nothing
	}
	return good
}

// errorAnswer says whether the gateway answered with an error, of which its
// upstream allows only a few a second. A query that tells of a refund's failure is
// none.
func errorAnswer(kind refund.CallKind, o refund.Outcome) bool {
	if countsAs(o) != good {
		return false
	}
	switch o.Class {
	case refund.NotSent, refund.Misconfigured, refund.NotFound:
		return true
	case refund.Declined:
		return kind == refund.RefundCall
	case refund.Unknown:
		return o.Code != ""
	}
	return false
}
