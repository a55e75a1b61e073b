package eftpay

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// Query asks eftPay for the refund, by the query that the merchant is set to. It
// answers NotFound only for a signed code of not_found_codes, and never NotSent:
// a query that did not reach the gateway says nothing of the refund.
func (g *Gateway) Query(ctx context.Context, rec refund.Record) refund.Outcome {
	r := rec.Request
	if r.OrderNo == "" {
		return refund.Outcome{Class: refund.Unknown, Message: "its order_no is not known, without which eftPay cannot be asked"}
	}
	return g.ask(ctx, r)
}

// Ping is a signed query of a refund that does not exist. It moves no money and
// shows whether the gateway is there and accepts our settings: not where the
// outcome has Outage or Hold.
func (g *Gateway) Ping(ctx context.Context) refund.Outcome {
	nobody := "ping-" + rand.Text()[:20]
	return g.ask(ctx, refund.Request{
		Key:     refund.Key{Merchant: g.merchant.Name, RefundNo: nobody},
		OrderNo: nobody, Method: "WeChat", Wallet: "WECHATHK",
		Amount: refund.Money{Currency: g.merchant.Currency},
	})
}

func (g *Gateway) ask(ctx context.Context, r refund.Request) refund.Outcome {
	f, path := g.question(r)
	body, err := g.keys.sign(f, time.Now())
	if err != nil {
		return refund.Outcome{Class: refund.Unknown, Hold: true, Code: refund.CodeMisconfigured, Message: fmt.Sprintf("sign the query: %v", err)}
	}
	answer, unclear := g.post(ctx, refund.QueryCall, path, body)
	if unclear != nil {
		return *unclear
	}
	return g.judgeQuery(answer, r)
}

// question is query A or B. Both always name the refund: without refund_no the
// answer is the sale's, whose TRADE_CLOSED means something else.
func (g *Gateway) question(r refund.Request) (fields, string) {
	f := fields{
		"querytype":        "OUT_TRADE",
		"out_trade_no":     r.OrderNo,
		"refund_no":        r.RefundNo,
		"user_confirm_key": g.settings.UserConfirmKey,
	}
	if g.settings.Query == queryUnified {
		f["service"] = "service.unified.RefundStatusQuery"
		return f, servicePath
	}
	f.tell("paytype", r.Method)
	f.tell("payment_type", r.Wallet)
	return f, queryPath
}

// judgeQuery says what a verified answer to a query means.
func (g *Gateway) judgeQuery(f fields, r refund.Request) refund.Outcome {
	o := f.told()
	if other := g.aboutAnother(f, r); other != "" {
		return refund.Outcome{Class: refund.Unknown, Message: "eftPay's answer has another " + other}
	}
	switch {
	case slices.Contains(g.settings.NotFoundCodes, o.Code):
		o.Class = refund.NotFound
		return o
	case o.Code != accepted:
		o.Class, o.Hold = refund.Unknown, codes[o.Code].hold
		return o
	}
	named := f["refund_no"] == r.RefundNo || f["extra_trade_no"] == r.RefundNo
	class := statuses[f["trade_status"]]
	if g.settings.Query == queryUnified {
		class, o.ProviderStatus = f.unified(o.ProviderStatus)
	}
	return f.concluded(o, named, class)
}

// unified reads query B, whose refund_status is the refund's while its
// trade_status may be the sale's: where the two disagree, neither is believed.
func (f fields) unified(tradeStatus string) (refund.Class, string) {
	word := f["refund_status"]
	class, trade := refundStatuses[word], statuses[f["trade_status"]]
	switch {
	case class == "" || trade == "":
		return class, clean(word, 32)
	case class != trade:
		return "", clean(word+" with "+tradeStatus, 64)
	}
	return class, tradeStatus
}
