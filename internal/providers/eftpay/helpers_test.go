package eftpay

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

var hkd = refund.Currency{Code: "HKD", Exponent: 2}

const testSecret = "canary-secret-7f3a"

// block is the smallest eftpay block; more lines may follow it.
const block = "user_confirm_key: S0003469\nsecret: " + testSecret + "\n"

func merchantWith(base, yamlBlock string) account.Merchant {
	return account.Merchant{
		Name: "S0003469", BaseURL: base, AllowHTTP: true, Currency: hkd, Exponent: 2, Timeout: 10 * time.Second,
		Decode: func(into any) error { return yaml.UnmarshalWithOptions([]byte(yamlBlock), into, yaml.Strict()) },
	}
}

// roundTrip is a gateway in the same process.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newGateway(t testing.TB, more string, rt http.RoundTripper) *Gateway {
	t.Helper()
	g, err := New(merchantWith("https://gateway.example/VMP", block+more), transport.NewPool(transport.Options{RoundTripper: rt}))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// gatewayAnswering answers every exchange with a status and a body, and keeps the
// request's fields in *seen.
func gatewayAnswering(t testing.TB, more string, status int, body string, seen *map[string]string) *Gateway {
	return newGateway(t, more, roundTrip(func(r *http.Request) (*http.Response, error) {
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if seen != nil {
			*seen = map[string]string{"": r.URL.Path}
			if err := json.Unmarshal(sent, seen); err != nil {
				t.Errorf("sent %s: %v", sent, err)
			}
		}
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}))
}

// signedBody is an object with the vendor's signature over it, made by the
// package's own rule, which sign_test.go holds against vectors made elsewhere.
func signedBody(f map[string]string, secret string) string {
	signed := fields{}
	for k, v := range f {
		signed[k] = v
	}
	signed["sign"] = signature(secret, (&keyring{}).canonical(signed))
	body, err := json.Marshal(signed)
	if err != nil {
		panic(err)
	}
	return string(body)
}

// with is a copy of f with more fields; an empty value drops one.
func with(f map[string]string, pairs ...string) map[string]string {
	out := map[string]string{}
	for k, v := range f {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		if out[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
			delete(out, pairs[i])
		}
	}
	return out
}

func money(minor int64) refund.Money { return refund.Money{Minor: minor, Currency: hkd} }

// sample is the request of the vendor's page "Refund".
func sample() refund.Request {
	return refund.Request{
		Key: refund.Key{Merchant: "S0003469", RefundNo: "201901010011"}, OrderNo: "rrn_1686280006045",
		Amount: money(1), OrderAmount: money(1001), Method: "WeChat", Wallet: "WECHATCN", Terminal: "tid_3378",
		Flow: refund.FlowRefund, Reason: "test测试退款",
	}
}

// callAnswer is the page's answer to it.
var callAnswer = map[string]string{
	"return_status": "00", "return_char": "", "time": "20230609110646", "out_trade_no": "rrn_1686280006045", "trade_status": "TRADE_REFUND",
	"user_confirm_key": "S0003469", "paytype": "WeChat", "refund_no": "201901010011", "transaction_amount": "0.01", "total_fee": "10.01",
	"payment_type": "WECHATCN", "tid": "tid_3378", "rate": "0.88", "refund_trade_no": "R9",
}

// queryAnswer is that of query A.
var queryAnswer = map[string]string{
	"return_status": "00", "return_char": "", "time": "20230609110646", "out_trade_no": "rrn_1686280006045", "extra_trade_no": "201901010011",
	"eftpay_trade_no": "E1", "trade_status": "TRADE_REFUND", "trade_type": "REFUND", "user_confirm_key": "S0003469",
	"transaction_amount": "0.01", "currency": "HKD", "original_amount": "10.01",
}

// unifiedAnswer is that of query B.
var unifiedAnswer = map[string]string{
	"return_status": "00", "time": "20230609110646", "out_trade_no": "rrn_1686280006045", "refund_no": "201901010011",
	"trade_status": "TRADE_REFUND", "refund_status": "SUCCESS", "user_confirm_key": "S0003469",
}

// notification is the vendor's page "Refund Asynchronous Notification"; jsapi is
// the other page's shape.
var notification = map[string]string{
	"currency": "HKD", "eft_trade_no": "18520003650610023041t5ruq5va732", "eftpay_trade_no": "18520003650610023041t5ruq5va732",
	"gmt_payment": "2020-01-20 10:35:34", "notify_type": "trade_status_sync", "out_trade_no": "rrn_1686280005985",
	"refund_no": "R_rrn_1686280005985", "return_amount": "0.29", "time": "20230609110645", "total_fee": "0.29",
	"trade_no": "4200000994202001206533192063", "trade_status": "TRADE_CLOSED", "trade_type": "REFUND",
	"transaction_id": "4200000994202001206533192063", "user_confirm_key": "S0003469", "wallet": "WECHATCN",
}

var jsapi = with(notification, "currency", "", "wallet", "", "trade_no", "", "eft_trade_no", "", "fee_type", "HKD",
	"paytype", "WeChat", "payment_type", "WECHATCN", "rate", "1", "refund_trade_no", "R77", "scene_type", "JSAPI")
