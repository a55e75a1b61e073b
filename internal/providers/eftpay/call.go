package eftpay

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// Sign builds the refund call of the page "Refund" and signs it with the time of
// this moment. The Call sends exactly those bytes, and only once.
func (g *Gateway) Sign(r refund.Request) (refund.Call, error) {
	service := g.service(r)
	amount, ok := g.printed(r.Amount)
	total, all := g.printed(r.OrderAmount)
	if service == "" || !ok || !all || r.OrderNo == "" || r.RefundNo == "" {
		return nil, errors.New("the request does not fit this merchant's settings for eftPay, which have changed since it was checked")
	}
	f := make(fields, callFields)
	f["service"] = service
	f["user_confirm_key"] = g.settings.UserConfirmKey
	f["transaction_amount"] = amount
	f["total_fee"] = total
	f["out_trade_no"] = r.OrderNo
	f["refund_no"] = r.RefundNo
	f["paytype"] = r.Method
	f["payment_type"] = r.Wallet
	f.tell("tid", r.Terminal)
	f.tell("refund_desc", r.Reason)
	if r.Flow == refund.FlowApply {
		f.tell("notify_url", g.settings.NotifyURL)
	}
	body, err := g.keys.sign(f, time.Now())
	if err != nil {
		return nil, fmt.Errorf("sign the refund call: %w", err)
	}
	var sent atomic.Bool
	return func(ctx context.Context) refund.Outcome {
		if sent.Swap(true) {
			return refund.Outcome{Class: refund.Unknown, Message: "this call was sent before; a call is sent once"}
		}
		answer, unclear := g.post(ctx, refund.RefundCall, servicePath, body)
		if unclear != nil {
			return *unclear
		}
		return g.judgeCall(answer, r)
	}, nil
}

// callFields are all that a refund call may have, with time and sign.
const callFields = 13

// tell adds a field that has something to tell.
func (f fields) tell(name, value string) {
	if value != "" {
		f[name] = value
	}
}
