package bluepay

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/refundworker/refundworker/internal/refund"
)

// Acknowledge is the reply that BluePay expects to a notification (page 5.3). It
// is not signed.
func (g *Gateway) Acknowledge() (contentType string, body []byte) {
	return "application/json", []byte(`{"code":10000,"message":"Success"}`)
}

// ParseCallback verifies a notification {sign, param} and says what it tells of
// which refund. The signature is over the param string as it came, so nothing in
// it is read before it is verified. Every error is a *refund.CallbackError.
//
// A signature has no time and no event id, so a notification may be an old one
// sent again: the lifecycle only moves forward. Where eventName and refundStatus
// disagree neither is trusted: the outcome is Mismatch, and asked about.
func (g *Gateway) ParseCallback(body []byte) (refund.Notice, error) {
	text, err := g.verifiedParam(body)
	if err != nil {
		return refund.Notice{}, err
	}
	param, err := strictObject([]byte(text))
	if err != nil {
		return refund.Notice{}, noRefund(fmt.Errorf("param %w", err))
	}
	if appID, err := param.text("appId"); err != nil || appID != "" && appID != g.appID {
		return refund.Notice{}, &refund.CallbackError{Reason: refund.CallbackForeign, Verified: true}
	}
	event, err := param.text("eventName")
	if err != nil || !refundEvent(event) {
		return refund.Notice{}, noRefund(errors.New("eventName is none of a refund"))
	}
	it, err := g.readItem(param)
	if err != nil {
		return refund.Notice{}, noRefund(err)
	}
	return g.notice(event, it)
}

// notice turns a verified notification into news.
func (g *Gateway) notice(event string, it item) (refund.Notice, error) {
	amount, ok := g.money(it.amount)
	switch {
	case !identifier(it.refundNo):
		return refund.Notice{}, noRefund(errors.New("mchRefundOrderId is no refund number"))
	case it.original != "" && !identifier(it.original):
		return refund.Notice{}, noRefund(errors.New("originalTransactionId is no transaction number"))
	case !ok:
		return refund.Notice{}, noRefund(errors.New("refundAmount is no amount of the merchant's currency"))
	}
	o := it.outcome()
	if statuses[it.status].event != event {
		o = refund.Outcome{Class: refund.Mismatch, ProviderStatus: o.ProviderStatus, ProviderRefundID: o.ProviderRefundID,
			TransactionID: o.TransactionID, Message: "eventName and refundStatus disagree", OccurredAt: o.OccurredAt}
	}
	return refund.Notice{
		Request: refund.Request{
			Key:           refund.Key{Merchant: g.merchant.Name, RefundNo: it.refundNo},
			TransactionID: it.original,
			Amount:        amount,
			Flow:          refund.FlowRefund,
		},
		Order:   it.original,
		Outcome: o,
	}, nil
}

// verifiedParam answers the param string once its signature is right.
func (g *Gateway) verifiedParam(body []byte) (string, error) {
	envelope, err := strictObject(body)
	if err != nil {
		return "", &refund.CallbackError{Reason: refund.CallbackMalformed, Err: err}
	}
	var text, sign string
	if json.Unmarshal(envelope["param"], &text) != nil || text == "" {
		return "", &refund.CallbackError{Reason: refund.CallbackMalformed, Err: errors.New("param is no string")}
	}
	if envelope.absent("sign") || string(envelope["sign"]) == `""` {
		return "", &refund.CallbackError{Reason: refund.CallbackUnsigned}
	}
	if json.Unmarshal(envelope["sign"], &sign) != nil || !g.verified(text, sign) {
		return "", &refund.CallbackError{Reason: refund.CallbackForged}
	}
	return text, nil
}

func noRefund(err error) error {
	return &refund.CallbackError{Reason: refund.CallbackNoRefund, Verified: true, Err: err}
}

// identifier is the form of an id in our own events (DESIGN.md, section 4): it
// becomes part of a key.
func identifier(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return !lettersAndDigits(string(r)) && !strings.ContainsRune("_-.:@+*=|", r)
	})
}
