package bluepay

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/refundworker/refundworker/internal/refund"
)

// Limits of 5.1. maxReason is our own: no page names one.
const (
	maxRefundNo = 32
	maxReason   = 256
)

// channels are those whose payments BluePay refunds (page "Refund Support Channel
// List").
var channels = []string{"TRUEMONEY_DYNAMIC_QR", "TRUEMONEY_URL", "WECHAT_DYNAMIC_QR", "WECHAT_URL", "WECHAT_JS_URL"}

// Check holds a request against 5.1. BluePay finds the channel by the payment
// itself, so method and wallet are not sent: they may be empty, a channel of the
// list, or (method) the family TrueMoney or WeChat. Anything else was meant for
// another gateway.
func (g *Gateway) Check(r refund.Request) *refund.Rejection {
	switch {
	case r.Flow != "" && r.Flow != refund.FlowRefund:
		return refused(refund.CodeUnsupported, "flow: %s is not offered by BluePay", r.Flow)
	case r.Method != "" && family(r.Method) == "":
		return refused(refund.CodeUnsupported, "method: BluePay refunds payments of %s", strings.Join(channels, ", "))
	case r.Wallet != "" && !slices.Contains(channels, r.Wallet):
		return refused(refund.CodeUnsupported, "wallet: BluePay refunds payments of %s", strings.Join(channels, ", "))
	case r.Method != "" && r.Wallet != "" && family(r.Method) != family(r.Wallet):
		return refused(refund.CodeUnsupported, "wallet: does not belong to the method")
	case r.Amount.Currency.Code != g.merchant.Currency.Code:
		return refused(refund.CodeUnsupported, "currency: the merchant's is %s", g.merchant.Currency.Code)
	case r.TransactionID == "":
		return refused(refund.CodeFieldLimit, "transaction_id: is required by BluePay")
	case !lettersAndDigits(r.RefundNo) || len(r.RefundNo) > maxRefundNo:
		return refused(refund.CodeFieldLimit, "refund_no: BluePay takes 1 to %d letters and digits", maxRefundNo)
	case utf8.RuneCountInString(r.Reason) > maxReason || !utf8.ValidString(r.Reason):
		return refused(refund.CodeFieldLimit, "reason: at most %d characters", maxReason)
	}
	if _, ok := g.units(r.Amount); !ok {
		return refused(refund.CodeFieldLimit, "amount: is no whole number of the %d decimals that BluePay counts %s with",
			g.merchant.Exponent, g.merchant.Currency.Code)
	}
	return nil
}

// units is an amount as BluePay counts the currency; false where that is no whole
// number, not above zero or beyond exact JSON numbers.
func (g *Gateway) units(m refund.Money) (int64, bool) {
	n, ok := m.Rescale(g.merchant.Exponent)
	return n, ok && n > 0 && n <= refund.MaxMinor
}

// money is the reverse of units.
func (g *Gateway) money(units int64) (refund.Money, bool) {
	told := refund.Money{Minor: units, Currency: refund.Currency{Exponent: g.merchant.Exponent}}
	minor, ok := told.Rescale(g.merchant.Currency.Exponent)
	return refund.Money{Minor: minor, Currency: g.merchant.Currency}, ok && minor > 0 && minor <= refund.MaxMinor
}

const trueMoney, weChat = "TRUEMONEY", "WECHAT"

// family is the wallet behind a method or channel; empty: none that BluePay
// refunds.
func family(name string) string {
	upper := strings.ToUpper(name)
	if slices.Contains(channels, name) {
		upper, _, _ = strings.Cut(name, "_")
	}
	if upper == trueMoney || upper == weChat {
		return upper
	}
	return ""
}

// familyOf is the wallet behind a request, where it names one.
func familyOf(r refund.Request) string {
	if f := family(r.Method); f != "" {
		return f
	}
	return family(r.Wallet)
}

func lettersAndDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

func refused(code, format string, args ...any) *refund.Rejection {
	return &refund.Rejection{Code: code, Message: fmt.Sprintf(format, args...)}
}
