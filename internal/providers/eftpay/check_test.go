package eftpay

import (
	"errors"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

func TestCheckHoldsTheVendorsTable(t *testing.T) {
	g := newGateway(t, "", nil)
	long := func(n int) string { return strings.Repeat("x", n) }
	for name, test := range map[string]struct {
		change func(*refund.Request)
		code   string // empty: may be sent
		names  string // the field as the event and as the vendor has it
	}{
		"the page's sample":      {func(r *refund.Request) {}, "", ""},
		"no terminal, no reason": {func(r *refund.Request) { r.Terminal, r.Reason = "", "" }, "", ""},
		"Alipay":                 {func(r *refund.Request) { r.Method, r.Wallet = "Alipay", "ALIPAYHK" }, "", ""},
		"application":            {func(r *refund.Request) { r.Flow = refund.FlowApply }, "", ""},
		"all at their longest": {func(r *refund.Request) {
			r.OrderNo, r.RefundNo, r.Terminal, r.Reason = long(28), long(28), long(20), long(256)
		}, "", ""},
		"256 characters, not bytes": {func(r *refund.Request) { r.Reason = strings.Repeat("退", 256) }, "", ""},
		"amount of 8 characters":    {func(r *refund.Request) { r.Amount, r.OrderAmount = money(9999999), money(9999999) }, "", ""},

		"no order":            {func(r *refund.Request) { r.OrderNo = "" }, refund.CodeFieldLimit, "order_no (eftPay's out_trade_no)"},
		"order too long":      {func(r *refund.Request) { r.OrderNo = long(29) }, refund.CodeFieldLimit, "order_no (eftPay's out_trade_no)"},
		"no number":           {func(r *refund.Request) { r.RefundNo = "" }, refund.CodeFieldLimit, "refund_no"},
		"number too long":     {func(r *refund.Request) { r.RefundNo = long(29) }, refund.CodeFieldLimit, "refund_no"},
		"terminal too long":   {func(r *refund.Request) { r.Terminal = long(21) }, refund.CodeFieldLimit, "terminal (eftPay's tid)"},
		"terminal of control": {func(r *refund.Request) { r.Terminal = "a\nb" }, refund.CodeFieldLimit, "terminal (eftPay's tid)"},
		"terminal as fields":  {func(r *refund.Request) { r.Terminal = "a&b=c" }, refund.CodeFieldLimit, "terminal (eftPay's tid)"},
		"reason too long":     {func(r *refund.Request) { r.Reason = long(257) }, refund.CodeFieldLimit, "reason (eftPay's refund_desc)"},
		"reason no UTF-8":     {func(r *refund.Request) { r.Reason = "\xff" }, refund.CodeFieldLimit, "reason (eftPay's refund_desc)"},
		"amount too long":     {func(r *refund.Request) { r.Amount, r.OrderAmount = money(10000000), money(10000000) }, refund.CodeFieldLimit, "amount (eftPay's transaction_amount)"},
		"total too long":      {func(r *refund.Request) { r.OrderAmount = money(10000000) }, refund.CodeFieldLimit, "order_amount (eftPay's total_fee)"},
		"no total":            {func(r *refund.Request) { r.OrderAmount.Minor = 0 }, refund.CodeFieldLimit, "order_amount (eftPay's total_fee)"},
		"other currency":      {func(r *refund.Request) { r.Amount.Currency.Code = "CNY" }, refund.CodeUnsupported, "currency"},
		"unknown method":      {func(r *refund.Request) { r.Method = "PayPal" }, refund.CodeUnsupported, "method (eftPay's paytype)"},
		"no method":           {func(r *refund.Request) { r.Method = "" }, refund.CodeUnsupported, "method (eftPay's paytype)"},
		"method's case":       {func(r *refund.Request) { r.Method = "wechat" }, refund.CodeUnsupported, "method (eftPay's paytype)"},
		"other's wallet":      {func(r *refund.Request) { r.Wallet = "ALIPAYCN" }, refund.CodeUnsupported, "wallet (eftPay's payment_type)"},
		"no wallet":           {func(r *refund.Request) { r.Wallet = "" }, refund.CodeUnsupported, "wallet (eftPay's payment_type)"},
		"Alipay applied for": {func(r *refund.Request) { r.Method, r.Wallet, r.Flow = "Alipay", "ALIPAYCN", refund.FlowApply },
			refund.CodeUnsupported, "flow (eftPay's service)"},
		"unknown flow": {func(r *refund.Request) { r.Flow = "later" }, refund.CodeUnsupported, "flow (eftPay's service)"},
	} {
		r := sample()
		test.change(&r)
		no := g.Check(r)
		if test.code == "" {
			if no != nil {
				t.Errorf("%s: %+v", name, no)
			}
			if _, err := g.Sign(r); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if no == nil || no.Code != test.code || !strings.HasPrefix(no.Message, test.names+" ") {
			t.Errorf("%s: %+v, want %s that begins with %q", name, no, test.code, test.names)
		}
	}
}

// Amounts of a currency that the gateway counts with other decimals than the
// standard go to and fro without a loss, or not at all.
func TestCurrencyCountedOtherwise(t *testing.T) {
	m := merchantWith("https://gateway.example", block)
	m.Currency, m.Exponent = refund.Currency{Code: "KWD", Exponent: 3}, 2
	g, err := New(m, transport.NewPool(transport.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	kwd := func(minor int64) refund.Money { return refund.Money{Minor: minor, Currency: m.Currency} }
	if printed, ok := g.printed(kwd(12340)); !ok || printed != "12.34" {
		t.Errorf("12.340 is printed %q %v", printed, ok)
	}
	if printed, ok := g.printed(kwd(12345)); ok {
		t.Errorf("12.345 is printed %q", printed)
	}
	if back, err := g.amount("12.34"); err != nil || back != kwd(12340) {
		t.Errorf("12.34 is read as %v, %v", back, err)
	}
}

func TestAmountsAreReadAsDecimals(t *testing.T) {
	g := newGateway(t, "", nil)
	for printed, minor := range map[string]int64{"100": 10000, "540.2": 54020, "0.10": 10, "00.1": 10, "1.000": 100, "9.00": 900} {
		if m, err := g.amount(printed); err != nil || m != money(minor) {
			t.Errorf("%q is %v, %v", printed, m, err)
		}
	}
	for _, printed := range []string{"", "0", "0.00", "-1", "+1", "1e2", "1.", ".1", "1.001", "1,000", " 1", "0x10", "١", "1.0.0", "99999999999999999999"} {
		if m, err := g.amount(printed); err == nil {
			t.Errorf("%q is read as %v", printed, m)
		}
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ yaml, field string }{
		"nothing at all":    {"{}", "secret"},
		"key too long":      {"user_confirm_key: S000346900000\nsecret: x", "user_confirm_key"},
		"empty rotation":    {block + `verify_secrets: [""]`, "verify_secrets"},
		"sign_empty":        {block + "sign_empty: maybe", "sign_empty"},
		"callback_reply":    {block + "callback_reply: xml", "callback_reply"},
		"query":             {block + "query: C", "query"},
		"notify_url":        {block + "notify_url: us.example/v1", "notify_url"},
		"notify_url length": {block + "notify_url: https://us.example/" + strings.Repeat("x", 240), "notify_url"},
		"00 not found":      {block + `not_found_codes: ["00"]`, "not_found_codes"},
		"51 not found":      {block + `not_found_codes: ["40", "51"]`, "not_found_codes"},
		"empty code":        {block + `not_found_codes: [""]`, "not_found_codes"},
		"unknown service":   {block + "services: {WeChat.maybe: x}", "services"},
		"empty service":     {block + `services: {WeChat.refund: ""}`, "services"},
	} {
		_, err := New(merchantWith("https://gateway.example", test.yaml), transport.NewPool(transport.Options{}))
		var found *account.FieldError
		if err == nil || !strings.Contains(err.Error(), test.field) || !errors.As(err, &found) {
			t.Errorf("%s: %v, want a finding about %s", name, err, test.field)
		}
		if err != nil && strings.Contains(err.Error(), testSecret) {
			t.Errorf("%s: %v tells the secret", name, err)
		}
	}
	m := merchantWith("https://gateway.example", block)
	m.Exponent = 3
	if _, err := New(m, transport.NewPool(transport.Options{})); err == nil {
		t.Error("three decimals cannot be printed")
	}
	if _, err := New(merchantWith("https://gateway.example", block+"secrets: x"), transport.NewPool(transport.Options{})); err == nil {
		t.Error("an unknown key was accepted")
	}
}
