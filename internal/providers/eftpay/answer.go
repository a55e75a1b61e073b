package eftpay

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// unanswered is the outcome of an exchange that brought no answer.
func unanswered(kind refund.CallKind, err error) *refund.Outcome {
	var failed *transport.Error
	if !errors.As(err, &failed) {
		failed = &transport.Error{Sent: true, Err: err}
	}
	o := failed.Outcome(kind)
	return &o
}

// verified reads an answer and holds its signature. An answer that does not prove
// what it says comes back as an outcome: Unknown.
func (g *Gateway) verified(a transport.Answer) (fields, *refund.Outcome) {
	switch {
	case a.Status == http.StatusTooManyRequests: // upstream's rule: it was accepted, so ask
		return nil, &refund.Outcome{Class: refund.Unknown, Code: refund.CodeRateLimited, Message: "eftPay answered HTTP 429"}
	case a.Status != http.StatusOK:
		return nil, down("eftPay answered HTTP %d", a.Status)
	}
	f, err := parseFlat(a.Body)
	if err != nil {
		return nil, down("eftPay's answer cannot be read: %v", err)
	}
	switch g.keys.verify(f) {
	case genuine:
		return f, nil
	case forged:
		return nil, unproved(f, "badly signed")
	default:
		return nil, unproved(f, "unsigned")
	}
}

func down(format string, args ...any) *refund.Outcome {
	return &refund.Outcome{Class: refund.Unknown, Code: refund.CodeGatewayDown, Message: fmt.Sprintf(format, args...), Outage: true}
}

// unproved: an answer without a right signature. Errors (negative codes) come
// unsigned from a gateway that is well; one that means that our settings are wrong
// holds the merchant.
func unproved(f fields, how string) *refund.Outcome {
	o := f.told()
	o.Class = refund.Unknown
	o.Hold = codes[o.Code].hold
	o.Outage = !strings.HasPrefix(o.Code, "-")
	o.Message = strings.TrimSuffix("eftPay's answer is "+how+" and proves nothing: "+o.Message, ": ")
	return &o
}

// judgeCall says what a verified answer to a refund call means for the money.
func (g *Gateway) judgeCall(f fields, r refund.Request) refund.Outcome {
	o := f.told()
	if other := g.aboutAnother(f, r); other != "" {
		return refund.Outcome{Class: refund.Unknown, Message: "eftPay's answer has another " + other}
	}
	if o.Code == accepted {
		return f.concluded(o, f["refund_no"] == r.RefundNo, statuses[f["trade_status"]])
	}
	if o.Class = codes[o.Code].class; o.Class == "" {
		o.Class = refund.Unknown
	}
	o.Hold = codes[o.Code].hold && o.Class == refund.Unknown
	return o
}

// concluded is an answer with a status: it counts where it names our refund and
// the status is known.
func (f fields) concluded(o refund.Outcome, named bool, class refund.Class) refund.Outcome {
	switch {
	case !named:
		return refund.Outcome{Class: refund.Unknown, Message: "eftPay's answer does not name the refund"}
	case class == "":
		o.Class, o.Code, o.Message = refund.Unknown, "", fmt.Sprintf("eftPay's status %q is not known", o.ProviderStatus)
	case class == refund.Declined:
		o.Class, o.Code = class, o.ProviderStatus
	default:
		o.Class, o.Code, o.Message = class, "", ""
	}
	return o
}

// aboutAnother names the field by which a verified answer is not about r, or
// nothing. Amounts are compared as decimals.
func (g *Gateway) aboutAnother(f fields, r refund.Request) string {
	for _, field := range []struct{ name, ours string }{
		{"refund_no", r.RefundNo}, {"extra_trade_no", r.RefundNo}, {"out_trade_no", r.OrderNo},
		{"user_confirm_key", g.settings.UserConfirmKey}, {"currency", r.Amount.Currency.Code},
	} {
		if told := f[field.name]; told != "" && told != field.ours {
			return field.name
		}
	}
	if told := f["transaction_amount"]; told != "" {
		if amount, err := g.amount(told); err != nil || amount != r.Amount {
			return "transaction_amount"
		}
	}
	return ""
}

// told is what any answer says, without a class.
func (f fields) told() refund.Outcome {
	return refund.Outcome{
		ProviderStatus:   clean(f["trade_status"], 32),
		ProviderRefundID: clean(f["refund_trade_no"], 64),
		TransactionID:    clean(first(f["transaction_id"], f["trade_no"]), 64),
		Code:             clean(f["return_status"], 8),
		Message:          clean(f["return_char"], 100),
		OccurredAt:       f.occurred(),
	}
}

// occurred is when it happened by eftPay's clock; zero where it does not say.
func (f fields) occurred() time.Time {
	if t, err := time.ParseInLocation(time.DateTime, f["gmt_payment"], zone); err == nil {
		return t
	}
	if t, err := time.ParseInLocation(stamp, f["time"], zone); err == nil {
		return t
	}
	return time.Time{}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// clean bounds what a gateway wrote and drops control characters.
func clean(s string, most int) string {
	if len(s) <= most && asIs(s) {
		return s // as nearly all are
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}
