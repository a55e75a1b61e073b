package providertest_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/bluepay"
	"github.com/refundworker/refundworker/internal/providers/eftpay"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// mutations is how many spoilt callbacks each gateway is given; CALLBACK_MUTATIONS
// asks for more.
func mutations(t *testing.T, fallback int) int {
	asked := os.Getenv("CALLBACK_MUTATIONS")
	if asked == "" {
		return fallback
	}
	n, err := strconv.Atoi(asked)
	if err != nil {
		t.Fatalf("CALLBACK_MUTATIONS=%q is no number", asked)
	}
	return n
}

// A valid callback that was changed in any way is refused, or it says what the
// true one says: white space and the order of keys carry no meaning.
func TestMutatedCallbacksAreRefused(t *testing.T) {
	t.Run("eftpay", func(t *testing.T) {
		gateway, body := eftPayCallback(t)
		judgeMutations(t, gateway, body, mutations(t, 100_000))
	})
	t.Run("bluepay", func(t *testing.T) {
		gateway, body := bluePayCallback(t)
		judgeMutations(t, gateway, body, mutations(t, 10_000))
	})
}

func judgeMutations(t *testing.T, gateway providers.Gateway, valid []byte, n int) {
	truth, err := gateway.ParseCallback(valid)
	if err != nil {
		t.Fatalf("the valid callback is refused: %v", err)
	}
	const seed = 20230609
	random := mathrand.New(mathrand.NewPCG(seed, 0))
	refused, same := 0, 0
	for range n {
		spoilt := mutate(random, valid)
		notice, err := gateway.ParseCallback(spoilt)
		switch {
		case err != nil:
			refused++
		case notice == truth:
			same++
		default:
			t.Fatalf("accepted with another meaning:\n%s\nsays %+v\ntrue %+v", spoilt, notice, truth)
		}
	}
	t.Logf("seed %d: %d mutations, %d refused, %d with the same meaning, 0 accepted with another", seed, n, refused, same)
	if refused < n*9/10 {
		t.Errorf("only %d of %d mutations were refused: they do not spoil enough", refused, n)
	}
}

// mutate changes one to three places of a callback: bytes, digits, whole fields.
func mutate(random *mathrand.Rand, valid []byte) []byte {
	body := slices.Clone(valid)
	for range 1 + random.IntN(3) {
		at := random.IntN(len(body))
		switch random.IntN(8) {
		case 0:
			body[at] ^= 1 << random.IntN(8)
		case 1:
			body[at] = byte(random.IntN(256))
		case 2:
			body = slices.Delete(body, at, at+1)
		case 3:
			body = slices.Insert(body, at, byte(32+random.IntN(95)))
		case 4: // another digit, where amounts and times are
			if digit := strings.IndexAny(string(body[at:]), "0123456789"); digit >= 0 {
				body[at+digit] = byte('0' + random.IntN(10))
			}
		case 5:
			body = body[:1+random.IntN(len(body))]
		case 6:
			body = swapFields(random, body)
		case 7:
			body = doubleField(random, body)
		}
		if len(body) == 0 {
			return body
		}
	}
	return body
}

// swapFields exchanges the values of two fields; doubleField gives one twice.
func swapFields(random *mathrand.Rand, body []byte) []byte {
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(body, &fields) != nil || len(fields) < 2 {
		return body
	}
	keys := slices.Sorted(maps.Keys(fields))
	a, b := keys[random.IntN(len(keys))], keys[random.IntN(len(keys))]
	fields[a], fields[b] = fields[b], fields[a]
	out, err := json.Marshal(fields)
	if err != nil {
		return body
	}
	return out
}

func doubleField(random *mathrand.Rand, body []byte) []byte {
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(body, &fields) != nil || len(fields) == 0 {
		return body
	}
	keys := slices.Sorted(maps.Keys(fields))
	key := keys[random.IntN(len(keys))]
	twice := fmt.Sprintf("%q:%s,", key, fields[keys[random.IntN(len(keys))]])
	return slices.Insert(slices.Clone(body), strings.IndexByte(string(body), '{')+1, []byte(twice)...)
}

// eftPayCallback is the vendor's example, signed here.
func eftPayCallback(t *testing.T) (providers.Gateway, []byte) {
	s := eftPaySubject("", eftPayAccount(), apply)
	s.Account.BaseURL, s.Account.Timeout = "https://gateway.example/VMP", 1
	gateway, err := eftpay.New(s.Account, newPool(t))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{
		"currency": "HKD", "eft_trade_no": "18520003650610023041t5ruq5va732", "eftpay_trade_no": "18520003650610023041t5ruq5va732",
		"gmt_payment": "2020-01-20 10:35:34", "notify_type": "trade_status_sync", "out_trade_no": "rrn_1686280005985",
		"refund_no": "R_rrn_1686280005985", "return_amount": "0.29", "time": "20230609110645", "total_fee": "0.29",
		"trade_no": "4200000994202001206533192063", "trade_status": "TRADE_CLOSED", "trade_type": "REFUND",
		"transaction_id": "4200000994202001206533192063", "user_confirm_key": "S0003469", "wallet": "WECHATCN",
	}
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		pairs = append(pairs, key+"="+fields[key])
	}
	sum := sha256.Sum256([]byte(secret + strings.Join(pairs, "&")))
	fields["sign"] = hex.EncodeToString(sum[:])
	body, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return gateway, body
}

// bluePayCallback is a notification of 5.3, signed here.
func bluePayCallback(t *testing.T) (providers.Gateway, []byte) {
	merchantKey, gatewayKey := newKey(t), newKey(t)
	dir := t.TempDir()
	write := func(name, kind string, der []byte) {
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	private, err := x509.MarshalPKCS8PrivateKey(merchantKey)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&gatewayKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	write("merchant.pem", "PRIVATE KEY", private)
	write("gateway.pem", "PUBLIC KEY", public)
	block := "app_id: app1\nprivate_key_file: merchant.pem\ngateway_public_key_file: gateway.pem\ncallback_url: https://us.example/cb\n"
	gateway, err := bluepay.New(account.Merchant{
		Name: "shop-th", BaseURL: "https://bluepay.example", Currency: refund.Currency{Code: "THB", Exponent: 2}, Exponent: 2, Timeout: 1,
		Decode: func(into any) error { return yaml.UnmarshalWithOptions([]byte(block), into, yaml.Strict()) },
		Path:   func(name string) string { return filepath.Join(dir, name) },
	}, newPool(t))
	if err != nil {
		t.Fatal(err)
	}
	param := `{"eventName":"payment.refund.success","mchRefundOrderId":"refund488455057142","originalTransactionId":"CU518563189147832780",` +
		`"refundTransactionId":"1818566685947728","refundAmount":10000,"refundStatus":"COMPLETE","refundCreateTime":"2024-07-31 16:37:40","refundReason":"testRefund"}`
	sum := sha256.Sum256([]byte(param))
	signature, err := rsa.SignPKCS1v15(rand.Reader, gatewayKey, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"sign": base64.StdEncoding.EncodeToString(signature), "param": param})
	if err != nil {
		t.Fatal(err)
	}
	return gateway, body
}

func newKey(t *testing.T) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newPool(t *testing.T) *transport.Pool {
	pool := transport.NewPool(transport.Options{})
	t.Cleanup(pool.Close)
	return pool
}
