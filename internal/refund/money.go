package refund

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Currency is a currency of ISO 4217 with the number of its decimals.
type Currency struct {
	Code     string // three capital letters, for example HKD
	Exponent int    // decimals of the minor unit: HKD 2, JPY 0, KWD 3
}

// Money is an amount in minor units of its currency. Amounts of refunds are
// above zero and at most MaxMinor.
type Money struct {
	Minor    int64
	Currency Currency
}

// MaxMinor bounds an amount in minor units: it is exact in every consumer's
// double (2^53) and in the scripts of the store, and the sum of an order's
// refunds stays far below the range of int64.
const MaxMinor = 1<<53 - 1

// ErrAmount tells what is wrong with an amount; ParseMoney wraps it.
var ErrAmount = errors.New("not an amount")

// ParseMoney reads a decimal string in the major unit: ASCII digits, at most the
// currency's decimals, no sign, no space, no exponent, above zero. "0.1", "0.10"
// and, with two decimals, "00.10" are the same amount.
func ParseMoney(s string, c Currency) (Money, error) {
	whole, fraction, point := strings.Cut(s, ".")
	if whole == "" || point && fraction == "" {
		return Money{}, fmt.Errorf("%w: %q is not of the form 12 or 12.34", ErrAmount, clip(s))
	}
	if len(fraction) > c.Exponent {
		return Money{}, fmt.Errorf("%w: %q has more than the %d decimals of %s", ErrAmount, clip(s), c.Exponent, c.Code)
	}
	var minor int64
	for _, digit := range whole + fraction + strings.Repeat("0", c.Exponent-len(fraction)) {
		if digit < '0' || digit > '9' {
			return Money{}, fmt.Errorf("%w: %q has a character other than 0-9 and one point", ErrAmount, clip(s))
		}
		if minor = minor*10 + int64(digit-'0'); minor > MaxMinor {
			return Money{}, fmt.Errorf("%w: %q is above the largest amount", ErrAmount, clip(s))
		}
	}
	if minor == 0 {
		return Money{}, fmt.Errorf("%w: %q is not above zero", ErrAmount, clip(s))
	}
	return Money{Minor: minor, Currency: c}, nil
}

// String is the amount in the major unit with all decimals of the currency, as
// in "10.01"; without the currency's name.
func (m Money) String() string {
	minor, sign := m.Minor, ""
	if minor < 0 {
		minor, sign = -minor, "-"
	}
	digits := strconv.FormatInt(minor, 10)
	if m.Currency.Exponent == 0 {
		return sign + digits
	}
	if missing := m.Currency.Exponent + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - m.Currency.Exponent
	return sign + digits[:point] + "." + digits[point:]
}

// Rescale gives the amount in units of 10^-exponent of the major unit, for a
// gateway that counts a currency otherwise than the standard does. It reports
// false where that is no whole number or too large.
func (m Money) Rescale(exponent int) (int64, bool) {
	minor := m.Minor
	for e := m.Currency.Exponent; e < exponent; e++ {
		if minor > math.MaxInt64/10 {
			return 0, false
		}
		minor *= 10
	}
	for e := m.Currency.Exponent; e > exponent; e-- {
		if minor%10 != 0 {
			return 0, false
		}
		minor /= 10
	}
	return minor, true
}

// clip keeps a message short whatever its sender wrote.
func clip(s string) string {
	const most = 32
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
