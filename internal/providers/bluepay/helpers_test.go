package bluepay

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

var thb = refund.Currency{Code: "THB", Exponent: 2}

// signedAt is the time of the vector refund_param.json.
var signedAt = time.Unix(1722415059, 0)

// block is a merchant's bluepay block as YAML; extra lines are added to it.
func block(extra string) string {
	return "app_id: 733b887a4a784708bb369524db5b6ded\nprivate_key_file: merchant.pem\n" +
		"gateway_public_key_file: gateway_public.pem\ncallback_url: https://us.example/v1/callbacks/shop-th?a=1&b=2\n" + extra
}

func merchant(yamlBlock string) account.Merchant {
	return account.Merchant{Name: "shop-th", BaseURL: "https://bluepay.example", Currency: thb, Exponent: 2, Timeout: 10 * time.Second,
		Decode: func(into any) error { return yaml.UnmarshalWithOptions([]byte(yamlBlock), into, yaml.Strict()) },
		Path:   func(name string) string { return filepath.Join("testdata", name) }}
}

// sent is a request as the gateway got it.
type sent struct {
	Path  string
	AppID string `json:"appId"`
	Sign  string `json:"sign"`
	Param string `json:"param"`
}

// wire answers every request with the same status and body, and keeps what came.
type wire struct {
	status int
	body   string
	err    error
	got    []sent
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s := sent{Path: r.URL.Path}
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, err
	}
	w.got = append(w.got, s)
	if w.err != nil {
		return nil, w.err
	}
	return &http.Response{StatusCode: max(w.status, 200), Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(w.body))), Request: r}, nil
}

// answering is a gateway whose vendor answers 200 with body.
func answering(t testing.TB, body string) (*Gateway, *wire) {
	t.Helper()
	w := &wire{body: body}
	return on(t, w, merchant(block(""))), w
}

func on(t testing.TB, w *wire, m account.Merchant) *Gateway {
	t.Helper()
	g, err := New(m, transport.NewPool(transport.Options{RoundTripper: w}))
	if err != nil {
		t.Fatal(err)
	}
	g.now = func() time.Time { return signedAt }
	return g
}

// sample is the refund of the vectors: 100.00 THB.
func sample() refund.Request {
	amount := refund.Money{Minor: 10000, Currency: thb}
	return refund.Request{Key: refund.Key{Merchant: "shop-th", RefundNo: "refund488455057142"}, OrderNo: "order-1",
		TransactionID: "CU518563189147832780", Amount: amount, OrderAmount: amount, Flow: refund.FlowRefund, Reason: "testRefund"}
}

func file(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func privateKey(t testing.TB, name string) *rsa.PrivateKey {
	t.Helper()
	key, err := readPrivateKey(merchant("").Path, name)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// notification is {sign, param} signed by the key of that file.
func notification(t testing.TB, key *rsa.PrivateKey, param string) []byte {
	t.Helper()
	sign, err := signature(key, []byte(param))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"sign": sign, "param": param})
	if err != nil {
		t.Fatal(err)
	}
	return body
}
