package eftpay

import (
	"errors"
	"regexp"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// number is what a refund's or an order's number may look like (DESIGN.md,
// section 4).
var number = regexp.MustCompile(`^[A-Za-z0-9_\-.:@+*=|]{1,64}$`)

// ParseCallback verifies a notification and says what it tells. Both shapes of the
// vendor's pages are read: "Refund Asynchronous Notification" (trade_no, currency,
// wallet) and the JSAPI page's (fee_type, paytype, payment_type). The signature
// comes before any meaning. Every error is a *refund.CallbackError.
//
// A secret before the text, without HMAC, lets whoever saw a message append to it
// (length extension). What is appended begins with the byte 0x80, which is never
// valid UTF-8 there, so parseFlat cannot produce it.
func (g *Gateway) ParseCallback(body []byte) (refund.Notice, error) {
	f, err := parseFlat(body)
	if err != nil {
		return refund.Notice{}, &refund.CallbackError{Reason: refund.CallbackMalformed, Err: err}
	}
	switch g.keys.verify(f) {
	case unsigned:
		return refund.Notice{}, &refund.CallbackError{Reason: refund.CallbackUnsigned}
	case forged:
		return refund.Notice{}, &refund.CallbackError{Reason: refund.CallbackForged}
	}
	if f["user_confirm_key"] != g.settings.UserConfirmKey {
		return refund.Notice{}, &refund.CallbackError{Reason: refund.CallbackForeign, Verified: true}
	}
	notice, err := g.notice(f)
	if err != nil {
		return refund.Notice{}, &refund.CallbackError{Reason: refund.CallbackNoRefund, Verified: true, Err: err}
	}
	return notice, nil
}

// notice reads verified fields.
func (g *Gateway) notice(f fields) (refund.Notice, error) {
	switch {
	case f["trade_type"] != "REFUND": // a sale's notification has none
		return refund.Notice{}, errors.New("trade_type is not REFUND")
	case !number.MatchString(f["refund_no"]):
		return refund.Notice{}, errors.New("refund_no is not the number of a refund")
	case f["out_trade_no"] != "" && !number.MatchString(f["out_trade_no"]):
		return refund.Notice{}, errors.New("out_trade_no is not the number of an order")
	case f["trade_status"] == "":
		return refund.Notice{}, errors.New("trade_status is missing")
	}
	amount, total, err := g.amounts(f)
	if err != nil {
		return refund.Notice{}, err
	}
	o := f.told()
	o.Code, o.Message = "", ""
	wallet := first(f["payment_type"], f["wallet"])
	return refund.Notice{
		Request: refund.Request{
			Key:     refund.Key{Merchant: g.merchant.Name, RefundNo: f["refund_no"]},
			OrderNo: f["out_trade_no"], TransactionID: o.TransactionID, Amount: amount, OrderAmount: total,
			Method: clean(first(f["paytype"], methodOf(wallet)), 6), Wallet: clean(wallet, 20),
		},
		Order:   f["out_trade_no"],
		Outcome: f.concluded(o, true, statuses[f["trade_status"]]),
	}, nil
}

// amounts reads the refund's amount and, where told, the order's. In another
// currency than the merchant's they keep its name, and so differ from the record.
func (g *Gateway) amounts(f fields) (amount, total refund.Money, err error) {
	if amount, err = g.amount(f["return_amount"]); err != nil {
		return amount, total, errors.New("return_amount is not an amount")
	}
	if f["total_fee"] != "" {
		if total, err = g.amount(f["total_fee"]); err != nil {
			return amount, total, errors.New("total_fee is not an amount")
		}
	}
	told := first(f["currency"], f["fee_type"])
	if told == "" || told == g.merchant.Currency.Code {
		return amount, total, nil
	}
	if _, known := refund.CurrencyOf(told); !known {
		return amount, total, errors.New("currency is not one of ISO 4217")
	}
	amount.Currency.Code = told
	if total.Minor != 0 {
		total.Currency.Code = told
	}
	return amount, total, nil
}

// Acknowledge is the reply to a notification whose event is durable: signed JSON,
// or the bare word, as the merchant is set to.
func (g *Gateway) Acknowledge() (contentType string, body []byte) {
	if g.settings.CallbackReply == replyJSON {
		if body, err := g.keys.sign(fields{"return_code": "success"}, time.Now()); err == nil {
			return "application/json", body
		}
	}
	return "text/plain; charset=utf-8", []byte("success")
}
