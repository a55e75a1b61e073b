package bluepay

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/refund"
)

func TestCheck(t *testing.T) {
	g, _ := answering(t, "")
	for _, c := range []struct {
		name   string
		change func(*refund.Request)
		code   string // empty: may be sent
		says   string
	}{
		{"the sample", func(*refund.Request) {}, "", ""},
		{"no flow", func(r *refund.Request) { r.Flow = "" }, "", ""},
		{"apply", func(r *refund.Request) { r.Flow = refund.FlowApply }, refund.CodeUnsupported, "flow"},
		{"no order_no", func(r *refund.Request) { r.OrderNo = "" }, "", ""},
		{"no transaction_id", func(r *refund.Request) { r.TransactionID = "" }, refund.CodeFieldLimit, "transaction_id"},
		{"no refund_no", func(r *refund.Request) { r.RefundNo = "" }, refund.CodeFieldLimit, "refund_no"},
		{"32 characters", func(r *refund.Request) { r.RefundNo = strings.Repeat("a", 32) }, "", ""},
		{"33 characters", func(r *refund.Request) { r.RefundNo = strings.Repeat("a", 33) }, refund.CodeFieldLimit, "refund_no"},
		{"an underscore", func(r *refund.Request) { r.RefundNo = "R_1" }, refund.CodeFieldLimit, "refund_no"},
		{"a letter beyond ASCII", func(r *refund.Request) { r.RefundNo = "é" }, refund.CodeFieldLimit, "refund_no"},
		{"method TrueMoney", func(r *refund.Request) { r.Method = "TrueMoney" }, "", ""},
		{"method WECHAT_URL", func(r *refund.Request) { r.Method, r.Wallet = "WECHAT_URL", "WECHAT_URL" }, "", ""},
		{"method Alipay", func(r *refund.Request) { r.Method = "Alipay" }, refund.CodeUnsupported, "method"},
		{"a channel without refunds", func(r *refund.Request) { r.Method = "TRUEMONEY_OTHER" }, refund.CodeUnsupported, "method"},
		{"a wallet of eftPay", func(r *refund.Request) { r.Wallet = "WECHATCN" }, refund.CodeUnsupported, "wallet"},
		{"a wallet of another method", func(r *refund.Request) { r.Method, r.Wallet = "TrueMoney", "WECHAT_URL" }, refund.CodeUnsupported, "wallet"},
		{"another currency", func(r *refund.Request) { r.Amount.Currency = refund.Currency{Code: "HKD", Exponent: 2} }, refund.CodeUnsupported, "currency"},
		{"256 characters of reason", func(r *refund.Request) { r.Reason = strings.Repeat("退", 256) }, "", ""},
		{"257 characters of reason", func(r *refund.Request) { r.Reason = strings.Repeat("退", 257) }, refund.CodeFieldLimit, "reason"},
		{"no reason", func(r *refund.Request) { r.Reason = "" }, "", ""},
		{"no amount", func(r *refund.Request) { r.Amount.Minor = 0 }, refund.CodeFieldLimit, "amount"},
	} {
		r := sample()
		c.change(&r)
		got := g.Check(r)
		switch {
		case c.code == "" && got != nil:
			t.Errorf("%s: %+v, want none", c.name, got)
		case c.code != "" && (got == nil || got.Code != c.code || !strings.HasPrefix(got.Message, c.says+":")):
			t.Errorf("%s: %+v, want %s about %s", c.name, got, c.code, c.says)
		}
	}
	if g.Order(sample()) != "CU518563189147832780" {
		t.Errorf("the order is %q, want the original transaction", g.Order(sample()))
	}
}

// A currency that BluePay counts with fewer or more decimals: an amount is told
// exactly or not at all, and comes back as the same amount.
func TestAmountsAreToldExactlyOrNotAtAll(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := merchant(block(""))
		m.Currency.Exponent = rapid.IntRange(0, 4).Draw(rt, "standard")
		m.Exponent = rapid.IntRange(0, 4).Draw(rt, "gateway")
		g := &Gateway{merchant: m}
		amount := refund.Money{Minor: rapid.Int64Range(1, refund.MaxMinor).Draw(rt, "minor"), Currency: m.Currency}
		units, ok := g.units(amount)
		if !ok {
			// Only a remainder or an overflow is a reason.
			pow := int64(1)
			for range max(m.Currency.Exponent-m.Exponent, m.Exponent-m.Currency.Exponent) {
				pow *= 10
			}
			exact := m.Exponent >= m.Currency.Exponent && amount.Minor <= refund.MaxMinor/pow || m.Exponent < m.Currency.Exponent && amount.Minor%pow == 0
			if exact {
				rt.Fatalf("%+v cannot be told with %d decimals", amount, m.Exponent)
			}
			return
		}
		if units <= 0 || units > refund.MaxMinor {
			rt.Fatalf("%+v is told as %d, beyond exact numbers", amount, units)
		}
		if back, ok := g.money(units); !ok || back != amount {
			rt.Fatalf("%+v came back as %+v", amount, back)
		}
	})
}
