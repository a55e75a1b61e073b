package providers

import (
	"context"
	"errors"
	"testing"

	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

func TestWhatAnOutcomeCountsAs(t *testing.T) {
	cancelled := &transport.Error{Stage: transport.Awaiting, Sent: true, Err: context.Canceled}
	late := &transport.Error{Stage: transport.Awaiting, Sent: true, Err: context.DeadlineExceeded}
	refused := &transport.Error{Stage: transport.Connecting, Err: errors.New("refused")}
	for name, test := range map[string]struct {
		kind    refund.CallKind
		outcome refund.Outcome
		counts  counts
		error   bool
	}{
		"no call":                 {refund.RefundCall, noCall, nothing, false},
		"cancelled":               {refund.RefundCall, cancelled.Outcome(refund.RefundCall), nothing, false},
		"query cancelled":         {refund.QueryCall, cancelled.Outcome(refund.QueryCall), nothing, false},
		"time-out":                {refund.RefundCall, late.Outcome(refund.RefundCall), outage, false},
		"refused connection":      {refund.RefundCall, refused.Outcome(refund.RefundCall), outage, false},
		"query refused":           {refund.QueryCall, refused.Outcome(refund.QueryCall), outage, false},
		"lease too short to send": {refund.RefundCall, refund.Outcome{Class: refund.NotSent, Code: refund.CodeGatewayDown}, nothing, false},
		"not signed":              {refund.RefundCall, refund.Outcome{Class: refund.Misconfigured, Code: refund.CodeMisconfigured}, nothing, false},
		"paid":                    {refund.RefundCall, paid, good, false},
		"pending":                 {refund.RefundCall, pending, good, false},
		"declined":                {refund.RefundCall, declined, good, true},
		"refused by the gateway":  {refund.RefundCall, refund.Outcome{Class: refund.NotSent, Code: "12"}, good, true},
		"429":                     {refund.RefundCall, refund.Outcome{Class: refund.Unknown, Code: refund.CodeRateLimited}, good, true},
		"settings refused":        {refund.RefundCall, refusal, good, true},
		"unknown code":            {refund.QueryCall, refund.Outcome{Class: refund.Unknown, Code: "77"}, good, true},
		"unknown status":          {refund.QueryCall, refund.Outcome{Class: refund.Unknown}, good, false},
		"query: not found":        {refund.QueryCall, absent, good, true},
		"query: it had failed":    {refund.QueryCall, declined, good, false},
	} {
		if c, e := countsAs(test.outcome), errorAnswer(test.kind, test.outcome); c != test.counts || e != test.error {
			t.Errorf("%s counts as %v, error %v; want %v, %v: %+v", name, c, e, test.counts, test.error, test.outcome)
		}
	}
}
