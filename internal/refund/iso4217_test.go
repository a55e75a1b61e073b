package refund

import (
	"strings"
	"testing"
)

// The numbers were counted in the standard's own list, not in our table.
func TestCurrencyTableIsTheStandards(t *testing.T) {
	const count, sum, minusOne = 165, 307, 13
	total := 0
	for code, c := range currencies {
		if code != c.Code || len(code) != 3 || strings.ToUpper(code) != code {
			t.Errorf("entry %q is %+v", code, c)
		}
		total += c.Exponent
	}
	if len(currencies) != count || total != sum {
		t.Errorf("%d currencies with %d decimals in all, the standard has %d with %d (and %d without a minor unit)",
			len(currencies), total, count, sum, minusOne)
	}
	listed := 0
	for _, codes := range byExponent {
		listed += len(strings.Fields(codes))
	}
	if listed != len(currencies) {
		t.Errorf("%d codes are listed, %d are different: one stands twice", listed, len(currencies))
	}
}

func TestCurrencyOf(t *testing.T) {
	for code, want := range map[string]int{
		"HKD": 2, "THB": 2, "CNY": 2, "USD": 2, "EUR": 2, "XAD": 2, "ZWG": 2,
		"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "UGX": 0, "XPF": 0,
		"KWD": 3, "BHD": 3, "TND": 3, "IQD": 3,
		"CLF": 4, "UYW": 4,
		// tables for showing prices have none for these
		"IDR": 2, "PKR": 2, "LAK": 2, "MMK": 2, "HUF": 2, "TWD": 2, "YER": 2, "AFN": 2, "MGA": 2, "MRU": 2,
	} {
		if c, ok := CurrencyOf(code); !ok || c.Exponent != want || c.Code != code {
			t.Errorf("CurrencyOf(%q) = %+v, %v; want %d decimals", code, c, ok, want)
		}
	}
	for _, code := range []string{"", "hkd", "HK", "HKDD", " HKD", "HKD\x00", "XXX", "XAU", "XTS", "XDR", "BGN", "ANG", "RMB", "BTC"} {
		if c, ok := CurrencyOf(code); ok {
			t.Errorf("CurrencyOf(%q) = %+v: not an active currency with a minor unit", code, c)
		}
	}
}
