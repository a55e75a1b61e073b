package bluepay_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/bluepay"
	"github.com/refundworker/refundworker/internal/providers/providertest"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

func TestConformance(t *testing.T) {
	for name, merchant := range map[string]gatewaysim.BluePayMerchant{
		"seconds":      {},
		"milliseconds": {Milliseconds: true},
	} {
		t.Run(name, func(t *testing.T) {
			merchant.AppID, merchant.Currency = "733b887a4a784708bb369524db5b6ded", "THB"
			merchant.MerchantKey = &private(t, "merchant.pem").PublicKey
			merchant.GatewayKey = private(t, "gateway.pem")
			providertest.Run(t, subject(t, merchant, name))
		})
	}
}

func subject(t *testing.T, merchant gatewaysim.BluePayMerchant, unit string) providertest.Subject {
	key := private(t, "merchant.pem")
	bare := read(t, "merchant_base64.txt")
	block := "app_id: " + merchant.AppID + "\nprivate_key_file: merchant.pem\ngateway_public_key_file: gateway_public.pem\n" +
		"callback_url: https://us.example/v1/callbacks/shop-th\ntimestamp_unit: " + unit + "\n"
	return providertest.Subject{
		New: func(m account.Merchant, pool *transport.Pool) (providertest.Gateway, error) {
			return bluepay.New(m, pool)
		},
		Account: account.Merchant{Name: "shop-th", Currency: refund.Currency{Code: "THB", Exponent: 2}, Exponent: 2,
			Decode: func(into any) error { return yaml.UnmarshalWithOptions([]byte(block), into, yaml.Strict()) },
			Path:   func(name string) string { return filepath.Join("testdata", name) }},
		Sim:      gatewaysim.Config{BluePay: []gatewaysim.BluePayMerchant{merchant}},
		Merchant: merchant.AppID,
		Request:  refund.Request{Flow: refund.FlowRefund, Method: "WeChat", Reason: "test退款 <&> \u2028"},
		// The list of a payment names its other refunds rightly: what must not count
		// is a list about another payment.
		OtherRefund: gatewaysim.Step{Fields: map[string]any{"mchRefundOrderId": "X1", "originalTransactionId": "T9"}},
		Secrets:     []string{key.D.String(), key.D.Text(16), key.Primes[0].String(), bare[40:80], bare[800:840]},
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func private(t *testing.T, name string) *rsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode([]byte(read(t, name)))
	if block == nil {
		t.Fatalf("%s is no PEM file", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PrivateKey)
}
