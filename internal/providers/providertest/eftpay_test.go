package providertest_test

import (
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/eftpay"
	"github.com/refundworker/refundworker/internal/providers/providertest"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

const secret = "canary-5f1d0c37a9"

var (
	apply  = refund.Request{Flow: refund.FlowApply, Method: "WeChat", Wallet: "WECHATCN", Terminal: "tid_3378", Reason: "test测试退款"}
	direct = refund.Request{Flow: refund.FlowRefund, Method: "Alipay", Wallet: "ALIPAYHK"}
)

func eftPayAccount() gatewaysim.EftPayMerchant {
	return gatewaysim.EftPayMerchant{UserConfirmKey: "S0003469", Secret: secret, Currency: "HKD"}
}

// eftPaySubject is a merchant whose block has these further lines.
func eftPaySubject(lines string, m gatewaysim.EftPayMerchant, r refund.Request) providertest.Subject {
	block := "user_confirm_key: S0003469\nsecret: " + secret + "\nnotify_url: https://us.example/v1/callbacks/S0003469\nnot_found_codes: [\"40\"]\n" + lines
	return providertest.Subject{
		New: func(m account.Merchant, pool *transport.Pool) (providertest.Gateway, error) {
			return eftpay.New(m, pool)
		},
		Account: account.Merchant{Name: "S0003469", Currency: refund.Currency{Code: "HKD", Exponent: 2}, Exponent: 2,
			Decode: func(into any) error { return yaml.UnmarshalWithOptions([]byte(block), into, yaml.Strict()) }},
		Path:          "/VMP",
		Sim:           gatewaysim.Config{EftPay: []gatewaysim.EftPayMerchant{m}},
		Merchant:      m.UserConfirmKey,
		Request:       r,
		Unannounced:   r.Flow != refund.FlowApply, // notify_url takes effect there alone
		SignedAnswers: true,
		OtherRefund:   gatewaysim.Step{Answer: gatewaysim.OtherRefund},
		Secrets:       []string{secret, "canary-old-77aa"},
	}
}

// Every setting that changes what eftPay is told or believed of.
func TestEftPay(t *testing.T) {
	t.Run("WeChat application", func(t *testing.T) {
		providertest.Run(t, eftPaySubject("", eftPayAccount(), apply))
	})
	t.Run("Alipay direct", func(t *testing.T) {
		providertest.Run(t, eftPaySubject("", eftPayAccount(), direct))
	})
	t.Run("unified query, reply by word", func(t *testing.T) {
		m := eftPayAccount()
		m.ReplyWord, m.Shape = true, gatewaysim.ShapeJSAPI
		providertest.Run(t, eftPaySubject("query: unified\ncallback_reply: word\n", m, apply))
	})
	t.Run("empty values signed", func(t *testing.T) {
		m := eftPayAccount()
		m.KeepEmpty = true
		providertest.Run(t, eftPaySubject("sign_empty: keep\n", m, apply))
	})
	t.Run("secret being rotated", func(t *testing.T) {
		providertest.Run(t, eftPaySubject("verify_secrets: [canary-old-77aa]\n", eftPayAccount(), apply))
	})
}
