package gatewaysim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// eftpayNotification writes eftPay's refund notification in one of its two
// shapes.
func (a *account) eftpayNotification(s *Sim, e errand) ([]byte, string) {
	f, n := e.facts, e.n
	status, amount, no := f.status, f.amount, f.refundNo
	if n.Status != "" {
		status = n.Status
	}
	if n.Amount != 0 {
		amount = n.Amount
	}
	if n.RefundNo != "" {
		no = n.RefundNo
	}
	shape := n.Shape
	if shape == "" {
		shape = a.eftpay.Shape
	}
	total := formatAmount(f.total, a.eftpay.Exponent)
	upstream := fmt.Sprintf("42%026d", digest("upstream", a.key(), f.tradeNo))
	ended := f.ended
	if ended.IsZero() {
		ended = s.clock.Now()
	}
	fields := map[string]any{
		"notify_type": "trade_status_sync", "trade_type": "REFUND", "user_confirm_key": a.merchant, "transaction_id": upstream,
		"out_trade_no": f.order, "eftpay_trade_no": f.tradeNo, "total_fee": total, "return_amount": formatAmount(amount, a.eftpay.Exponent),
		"refund_no": no, "trade_status": status, "gmt_payment": ended.In(vendorZone).Format("2006-01-02 15:04:05"),
		"tid": f.terminal, "time": s.clock.Now().In(vendorZone).Format("20060102150405"),
	}
	if shape == ShapeJSAPI {
		override(fields, map[string]any{"paytype": f.paytype, "payment_type": f.wallet, "fee_type": a.eftpay.Currency,
			"rate": "1", "refund_trade_no": f.id, "scene_type": "JSAPI"})
	} else {
		override(fields, map[string]any{"trade_no": upstream, "eft_trade_no": f.tradeNo, "currency": a.eftpay.Currency, "wallet": f.wallet})
	}
	override(fields, n.Fields)
	sign := eftpaySign(a.eftpay.Secret, flatten(fields), a.eftpay.KeepEmpty)
	switch n.Sign {
	case SignBad:
		sign = spoil(sign)
	case SignForeign:
		sign = eftpaySign("not "+a.eftpay.Secret, flatten(fields), a.eftpay.KeepEmpty)
	case SignTampered:
		fields["return_amount"] = formatAmount(amount+major(a.eftpay.Exponent), a.eftpay.Exponent)
	}
	if n.Sign != SignMissing {
		fields["sign"] = sign
	}
	body, err := json.Marshal(fields)
	if err != nil { // Fields come from JSON or a Go literal
		return []byte("{}"), status
	}
	return body, status
}

// major is one major unit in minor ones.
func major(exponent int) int64 {
	n := int64(1)
	for range exponent {
		n *= 10
	}
	return n
}

// eftpayAcknowledged checks a reply to a notification: signed JSON, or the
// bare word, as the merchant has it.
func (a *account) eftpayAcknowledged(s *Sim, code int, reply []byte) error {
	if code != http.StatusOK {
		return fmt.Errorf("HTTP %d", code)
	}
	if a.eftpay.ReplyWord {
		if strings.TrimSpace(string(reply)) != "success" {
			return errors.New("reply is not the word success")
		}
		return nil
	}
	fields, err := parseFlat(reply)
	if err != nil {
		return fmt.Errorf("reply is %w", err)
	}
	t, err := time.ParseInLocation("20060102150405", fields["time"].text, vendorZone)
	switch {
	case fields["return_code"].text != "success":
		return fmt.Errorf("return_code is %q", fields["return_code"].text)
	case !eftpayVerify(a.eftpay.Secret, fields, a.eftpay.KeepEmpty):
		return errors.New("sign of the reply is missing or wrong")
	case err != nil || s.clock.Now().Sub(t).Abs() > s.cfg.TimeTolerance:
		return errors.New("time of the reply is missing or off")
	}
	return nil
}
