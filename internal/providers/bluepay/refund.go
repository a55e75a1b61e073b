package bluepay

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// refundParam is the param of 5.1, in the order of the vendor's sample.
type refundParam struct {
	OriginalTransactionID string `json:"originalTransactionId"`
	MchRefundOrderID      string `json:"mchRefundOrderId"`
	RefundAmount          int64  `json:"refundAmount"`
	RefundReason          string `json:"refundReason"`
	RefundCallbackURL     string `json:"refundCallbackUrl,omitempty"`
	Timestamp             int64  `json:"timestamp"`
}

// noReason stands in for an empty reason: the page lists the field without saying
// that it may be left out.
const noReason = "refund"

// Sign builds and signs the refund call of 5.1 with the time of now. The call that
// it answers sends those bytes, the first time that it is made; made again it
// sends nothing and is Unknown.
func (g *Gateway) Sign(r refund.Request) (refund.Call, error) {
	amount, ok := g.units(r.Amount)
	if !ok {
		return nil, fmt.Errorf("refund_no %s: the amount cannot be told to BluePay", r.RefundNo)
	}
	param := refundParam{OriginalTransactionID: r.TransactionID, MchRefundOrderID: r.RefundNo, RefundAmount: amount,
		RefundReason: r.Reason, RefundCallbackURL: g.callback, Timestamp: g.stamp()}
	if param.RefundReason == "" {
		param.RefundReason = noReason
	}
	body, err := g.seal(param)
	if err != nil {
		return nil, fmt.Errorf("sign the refund: %w", err)
	}
	signed := g.now()
	var made atomic.Bool
	return func(ctx context.Context) refund.Outcome {
		if made.Swap(true) {
			return refund.Outcome{Class: refund.Unknown, Message: "this call was made before"}
		}
		late := g.now().Sub(signed) > fresh
		ctx, cancel := g.within(ctx)
		defer cancel()
		answered, err := g.client.Post(ctx, refundPath, body)
		if err != nil {
			return unanswered(err, refund.RefundCall)
		}
		return g.refundAnswer(answered, r, late)
	}, nil
}

// fresh is how long a signed call may wait until its time is no longer blamed on
// our settings.
const fresh = 30 * time.Second

// refundAnswer reads the answer of 5.1 to a call that left at once, or late.
func (g *Gateway) refundAnswer(answered transport.Answer, r refund.Request, late bool) refund.Outcome {
	a, none := readAnswer(answered)
	switch {
	case none != nil:
		return *none
	case a.code == codeNoPartial && familyOf(r) == trueMoney:
		o := toCall(a.code, a.message)
		o.Class, o.RetryAfter = refund.NotSent, g.untilTomorrow()
		return o
	case late && (a.code == codeTimeWrong || a.code == codeTimeExpired):
		return staleCall(a)
	case a.code != codeOK:
		return toCall(a.code, a.message)
	}
	data, err := strictObject(a.data)
	if err != nil {
		return *noAnswer("", fmt.Sprintf("data %v", err), false)
	}
	it, err := g.readItem(data)
	if err != nil {
		return *noAnswer("", err.Error(), false)
	}
	return g.about(it, r)
}

// staleCall: the process was paused between signing and sending, and the gateway
// refused the old time. It is signed anew next time.
func staleCall(a answer) refund.Outcome {
	o := toCall(a.code, a.message)
	o.Class = refund.NotSent
	return o
}

// untilTomorrow: TrueMoney takes no partial refund on the day of the payment
// (page "Refund Support Channel List"); the next one begins at the gateway's own
// midnight. A payment that never allows one ends by itself as too old (21403).
func (g *Gateway) untilTomorrow() time.Duration {
	now := g.now().In(g.zone)
	y, m, d := now.Date()
	return time.Date(y, m, d+1, 0, 5, 0, 0, g.zone).Sub(now)
}
