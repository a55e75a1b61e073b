package eftpay

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/refundworker/refundworker/internal/refund"
)

// wallets are the payment_type values of each paytype.
var wallets = map[string][]string{
	"WeChat": {"WECHATCN", "WECHATHK"},
	"Alipay": {"ALIPAYCN", "ALIPAYHK"},
}

// methodOf is the paytype that a wallet belongs to, or empty.
func methodOf(wallet string) string {
	for method, its := range wallets {
		if slices.Contains(its, wallet) {
			return method
		}
	}
	return ""
}

// Check holds a request against the merchant's currency and the table of the
// vendor's page "Refund". It names each field as the event and as eftPay has it.
func (g *Gateway) Check(r refund.Request) *refund.Rejection {
	if r.Amount.Currency != g.merchant.Currency || r.OrderAmount.Currency != g.merchant.Currency {
		return unsupported("currency", "", "%s: merchant %s is paid in %s", r.Amount.Currency.Code, g.merchant.Name, g.merchant.Currency.Code)
	}
	if _, known := wallets[r.Method]; !known {
		return unsupported("method", "paytype", "%q is neither WeChat nor Alipay", r.Method)
	}
	if !slices.Contains(wallets[r.Method], r.Wallet) {
		return unsupported("wallet", "payment_type", "%q is none of %s, the wallets of %s", r.Wallet,
			strings.Join(wallets[r.Method], ", "), r.Method)
	}
	if g.service(r) == "" {
		return unsupported("flow", "service", "%q is not offered for %s: apply is for WeChat alone", r.Flow, r.Method)
	}
	for _, field := range []struct {
		ours, theirs, value string
		least, most         int
	}{
		{"order_no", "out_trade_no", r.OrderNo, 1, 28},
		{"refund_no", "refund_no", r.RefundNo, 1, 28},
		{"terminal", "tid", r.Terminal, 0, 20},
		{"reason", "refund_desc", r.Reason, 0, 256},
	} {
		if no := limit(field.ours, field.theirs, field.value, field.least, field.most); no != nil {
			return no
		}
	}
	if ambiguous("tid", r.Terminal) { // answers repeat it, and their signature would prove nothing
		return exceeded("terminal", "tid", "holds & and =, which eftPay's signature cannot tell from fields")
	}
	for _, field := range []struct {
		ours, theirs string
		value        refund.Money
	}{{"amount", "transaction_amount", r.Amount}, {"order_amount", "total_fee", r.OrderAmount}} {
		printed, ok := g.printed(field.value)
		if !ok {
			return exceeded(field.ours, field.theirs, "is not above zero, or has more than the %d decimals that eftPay is given: %s", g.merchant.Exponent, field.value)
		}
		if len(printed) > 8 {
			return exceeded(field.ours, field.theirs, "%s has %d characters, at most 8 are allowed", printed, len(printed))
		}
	}
	return nil
}

// service is the vendor's name for this method and flow, or empty.
func (g *Gateway) service(r refund.Request) string {
	flow := r.Flow
	if flow == "" {
		flow = refund.FlowRefund
	}
	return g.settings.Services[r.Method+"."+string(flow)]
}

func limit(ours, theirs, value string, least, most int) *refund.Rejection {
	n := utf8.RuneCountInString(value)
	switch {
	case n < least:
		return exceeded(ours, theirs, "is required by eftPay and empty")
	case n > most:
		return exceeded(ours, theirs, "has %d characters, at most %d are allowed", n, most)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return exceeded(ours, theirs, "holds a control character or is not UTF-8")
	}
	return nil
}

func exceeded(ours, theirs, format string, args ...any) *refund.Rejection {
	return reject(refund.CodeFieldLimit, ours, theirs, format, args...)
}

func unsupported(ours, theirs, format string, args ...any) *refund.Rejection {
	return reject(refund.CodeUnsupported, ours, theirs, format, args...)
}

func reject(code, ours, theirs, format string, args ...any) *refund.Rejection {
	name := ours
	if theirs != "" && theirs != ours {
		name += " (eftPay's " + theirs + ")"
	}
	return &refund.Rejection{Code: code, Message: name + " " + fmt.Sprintf(format, args...)}
}
