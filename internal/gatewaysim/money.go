package gatewaysim

import (
	"fmt"
	"strconv"
	"strings"
)

// parseAmount reads eftPay's amount: digits, at most exponent decimals, at
// most 8 characters, above zero. The result is in minor units.
func parseAmount(s string, exponent int) (int64, error) {
	if len(s) > 8 {
		return 0, fmt.Errorf("longer than 8 characters")
	}
	whole, decimals, point := strings.Cut(s, ".")
	if whole == "" || (point && decimals == "") || !digits(whole) || !digits(decimals) {
		return 0, fmt.Errorf("not digits with at most %d decimals", exponent)
	}
	if len(decimals) > exponent {
		return 0, fmt.Errorf("more than %d decimals", exponent)
	}
	n, err := strconv.ParseInt(whole+decimals+strings.Repeat("0", exponent-len(decimals)), 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("not above zero")
	}
	return n, nil
}

// formatAmount prints minor units as eftPay's answers do: without the zeros
// at the end, "100" and "540.2".
func formatAmount(n int64, exponent int) string {
	if exponent == 0 {
		return strconv.FormatInt(n, 10)
	}
	s := fmt.Sprintf("%0*d", exponent+1, n)
	whole, decimals := s[:len(s)-exponent], strings.TrimRight(s[len(s)-exponent:], "0")
	if decimals == "" {
		return whole
	}
	return whole + "." + decimals
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
