package eftpay

import (
	"fmt"
	"strings"

	"github.com/refundworker/refundworker/internal/refund"
)

// gatewayCurrency is the merchant's currency with the decimals that eftPay counts
// it with.
func (g *Gateway) gatewayCurrency() refund.Currency {
	return refund.Currency{Code: g.merchant.Currency.Code, Exponent: g.merchant.Exponent}
}

// printed is an amount as eftPay is told it: a decimal string in the major unit.
// It reports false where the amount is not above zero, or has more decimals than
// the gateway counts.
func (g *Gateway) printed(m refund.Money) (string, bool) {
	minor, ok := m.Rescale(g.merchant.Exponent)
	if !ok || minor <= 0 {
		return "", false
	}
	return refund.Money{Minor: minor, Currency: g.gatewayCurrency()}.String(), true
}

// amount reads what eftPay printed ("100", "540.2", "0.10") into the merchant's
// currency.
func (g *Gateway) amount(s string) (refund.Money, error) {
	if whole, fraction, point := strings.Cut(s, "."); point && fraction != "" && len(s) <= 32 {
		if s = whole; strings.TrimRight(fraction, "0") != "" {
			s += "." + strings.TrimRight(fraction, "0")
		}
	}
	m, err := refund.ParseMoney(s, g.gatewayCurrency())
	if err != nil {
		return refund.Money{}, err
	}
	minor, ok := m.Rescale(g.merchant.Currency.Exponent)
	if !ok || minor > refund.MaxMinor {
		return refund.Money{}, fmt.Errorf("%w: it has more decimals than %s", refund.ErrAmount, g.merchant.Currency.Code)
	}
	return refund.Money{Minor: minor, Currency: g.merchant.Currency}, nil
}
