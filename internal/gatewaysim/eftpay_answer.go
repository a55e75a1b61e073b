package gatewaysim

import (
	"encoding/json"
	"net/http"
	"strings"
)

// eftpayRefuse answers a call that failed validation. By the vendor's page
// only a return_status of 00 or above is signed.
func (s *Sim) eftpayRefuse(w http.ResponseWriter, r *http.Request, a *account, fields map[string]value, bad *violation) {
	s.refusals.add(Refusal{Time: s.clock.Now(), Provider: ProviderEftPay, Merchant: fields["user_confirm_key"].text,
		Code: bad.code, Reason: bad.reason})
	s.write(w, r, Step{}, s.eftpayBody(a, Step{}, map[string]any{"return_status": bad.code, "return_char": cut(bad.reason, 100)}))
}

// eftpayAnswer answers a valid call or query: form writes the fields of the
// truth, the step says what is made of them.
func (s *Sim) eftpayAnswer(w http.ResponseWriter, r *http.Request, a *account, step Step, out outcome, form func(facts) map[string]any) {
	fields := map[string]any{"return_status": eftAccepted, "return_char": ""}
	switch {
	case step.Code != "":
		fields["return_status"], fields["return_char"] = step.Code, step.Message
	case step.Answer == UnknownCode:
		fields["return_status"], fields["return_char"] = "77", "no page lists this"
	case out.refused != "":
		fields["return_status"], fields["return_char"] = out.refused, "the refund number was used with another amount"
	case out.known:
		override(fields, form(out.facts))
	case step.Result == Nothing:
		// A call that was lost, and yet is to be answered: as an
		// upstream failure. Queries say not found before they come here.
		fields["return_status"], fields["return_char"] = eftSystemError, "refund failed: SYSTEM_EXCEPTION"
	}
	if out.known && fields["trade_status"] != nil {
		eftpaySpoil(fields, step, out.facts, a.eftpay.Exponent)
	}
	if step.Status != "" {
		fields["trade_status"] = step.Status
	}
	override(fields, step.Fields)
	s.write(w, r, step, s.eftpayBody(a, step, fields))
}

// eftpaySpoil applies the answers that spoil the content.
func eftpaySpoil(fields map[string]any, step Step, f facts, exponent int) {
	switch step.Answer {
	case UnknownStatus:
		fields["trade_status"] = "TRADE_MYSTERY"
	case Contradict:
		fields["trade_status"] = "TRADE_REFUND"
		if f.state == succeeded {
			fields["trade_status"] = "TRADE_FAIL"
		}
	case OtherRefund:
		for _, k := range []string{"refund_no", "extra_trade_no"} {
			if fields[k] != nil {
				fields[k] = "X" + cut(f.refundNo, 27)
			}
		}
	case OtherAmount:
		fields["transaction_amount"] = formatAmount(f.amount+major(exponent), exponent)
	}
	if fields["refund_status"] != nil {
		fields["refund_status"] = refundStatus(fields["trade_status"].(string))
	}
}

// eftpayBody stamps, signs and writes an answer.
func (s *Sim) eftpayBody(a *account, step Step, fields map[string]any) []byte {
	code, _ := fields["return_status"].(string)
	if a != nil && !strings.HasPrefix(code, "-") {
		fields["time"] = s.clock.Now().In(vendorZone).Format("20060102150405")
		sign := eftpaySign(a.eftpay.Secret, flatten(fields), a.eftpay.KeepEmpty)
		switch step.Answer {
		case Unsigned:
		case BadSign:
			fields["sign"] = spoil(sign)
		default:
			fields["sign"] = sign
		}
	}
	body, err := json.Marshal(fields)
	if err != nil { // Fields hold what a script gave, which came from JSON or a Go literal
		return []byte(`{"return_status":"-1"}`)
	}
	return body
}

// cut shortens to n characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
