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

// Every setting that changes what eftPay is told or believed of.
func TestEftPay(t *testing.T) {
	apply := refund.Request{Flow: refund.FlowApply, Method: "WeChat", Wallet: "WECHATCN", Terminal: "tid_3378", Reason: "test测试退款"}
	direct := refund.Request{Flow: refund.FlowRefund, Method: "Alipay", Wallet: "ALIPAYHK"}
	for name, c := range map[string]struct {
		block       string
		account     gatewaysim.EftPayMerchant
		request     refund.Request
		unannounced bool
	}{
		"WeChat application":   {request: apply},
		"Alipay direct":        {request: direct, unannounced: true},
		"unified query, word":  {block: "query: unified\ncallback_reply: word\n", account: gatewaysim.EftPayMerchant{ReplyWord: true, Shape: gatewaysim.ShapeJSAPI}, request: apply},
		"empty values signed":  {block: "sign_empty: keep\n", account: gatewaysim.EftPayMerchant{KeepEmpty: true}, request: apply},
		"secret being rotated": {block: "verify_secrets: [canary-old-77aa]\n", request: apply},
	} {
		t.Run(name, func(t *testing.T) {
			block := "user_confirm_key: S0003469\nsecret: " + secret + "\nnotify_url: https://us.example/v1/callbacks/S0003469\nnot_found_codes: [\"40\"]\n" + c.block
			c.account.UserConfirmKey, c.account.Secret, c.account.Currency = "S0003469", secret, "HKD"
			providertest.Run(t, providertest.Subject{
				New: func(m account.Merchant, pool *transport.Pool) (providertest.Gateway, error) {
					return eftpay.New(m, pool)
				},
				Account: account.Merchant{Name: "S0003469", Currency: refund.Currency{Code: "HKD", Exponent: 2}, Exponent: 2,
					Decode: func(into any) error { return yaml.UnmarshalWithOptions([]byte(block), into, yaml.Strict()) }},
				Path:          "/VMP",
				Sim:           gatewaysim.Config{EftPay: []gatewaysim.EftPayMerchant{c.account}},
				Merchant:      "S0003469",
				Request:       c.request,
				Unannounced:   c.unannounced,
				SignedAnswers: true,
				OtherRefund:   gatewaysim.Step{Answer: gatewaysim.OtherRefund},
				Secrets:       []string{secret, "canary-old-77aa"},
			})
		})
	}
}
