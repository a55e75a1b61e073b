package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
)

// write puts a configuration into a file of its own.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const head = "kafka: {brokers: [\"127.0.0.1:9092\"]}\nredis: {addrs: [127.0.0.1:6379, 127.0.0.1:6380]}\nmerchants:\n"

func merchant(lines string) string {
	return head + "  - name: a\n    provider: eftpay\n    base_url: https://a.example\n    currency: HKD\n" + lines
}

// The example of DESIGN.md, section 5, shows every key with its default.
func TestTheDesignsExampleIsTheDefaults(t *testing.T) {
	t.Setenv("EFTPAY_SECRET", "s")
	shown, err := Load("testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	bare, err := Load(write(t, head+"  - {name: S0003469, provider: eftpay, base_url: \"https://gateway.example/VMP\", currency: HKD, eftpay: {}}\n"+
		"  - {name: shop-th, provider: bluepay, base_url: \"https://bluepay.example\", currency: THB, bluepay: {}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(bare.Redis.Addrs) != 2 {
		t.Errorf("addrs %q", bare.Redis.Addrs)
	}
	bare.Redis.Addrs = shown.Redis.Addrs
	if got, want := plainly(shown), plainly(bare); got != want {
		t.Errorf("shown %s\nbare  %s", got, want)
	}
}

func TestAnchorsAndMerges(t *testing.T) {
	t.Setenv("S", "value")
	cfg, err := Load(write(t, head+`
  - &shop
    name: one
    provider: eftpay
    base_url: https://a.example
    currency: HKD
    timeout: 3s
    rate: 20
    breaker: &breaker {min_calls: 7}
    eftpay: {secret: "${S}"}
  - <<: *shop
    name: two
    rate: 30
  - {<<: [{rate: 40, max_wait: 1s}, *shop], name: three, breaker: {<<: *breaker, open_for: 1m}}
  - name: !!str 4
    timeout: ~
    <<: *shop
`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		name     string
		rate     int
		calls    int
		openFor  time.Duration
		maxWait  time.Duration
		deadline time.Duration
	}{
		{"one", 20, 7, 15 * time.Second, 5 * time.Second, 3 * time.Second},
		{"two", 30, 7, 15 * time.Second, 5 * time.Second, 3 * time.Second},
		{"three", 40, 7, time.Minute, time.Second, 3 * time.Second},
		{"4", 20, 7, 15 * time.Second, 5 * time.Second, 10 * time.Second},
	} {
		m := cfg.Merchants[i]
		var b block
		if err := m.Account().Decode(&b); err != nil || b.Secret != "value" {
			t.Errorf("%s: %+v, %v", m.Name, b, err)
		}
		if m.Name != want.name || m.Rate != want.rate || m.Breaker.MinCalls != want.calls || m.Breaker.OpenFor != want.openFor ||
			m.MaxWait != want.maxWait || m.Timeout != want.deadline {
			t.Errorf("got %+v, want %+v", m, want)
		}
	}
}

func TestValuesAreReadAsTheyAreWritten(t *testing.T) {
	t.Setenv("N", "7")
	t.Setenv("EMPTY", "")
	file := write(t, merchant(`    rate: ${N}
    currency_exponent: 0
    test: true
    eftpay:
      user_confirm_key: 00012
      secret: |
        two
        lines
      sign_empty: "a${N}b$${N}c${EMPTY}${file:word}"
      verify_secrets: [0x10, 1.50, true, "${file:word}"]
      services: {WeChat.refund: service.x, 5: 6}
`))
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "word"), []byte("w\n\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	m := cfg.Merchants[0]
	if m.Rate != 7 || !m.Test || m.Exponent() != 0 || m.Currency.Exponent != 2 || m.Account().Exponent != 0 {
		t.Errorf("%+v", m)
	}
	var b block
	if err := m.Account().Decode(&b); err != nil {
		t.Fatal(err)
	}
	if b.UserConfirmKey != "00012" || b.Secret != "two\nlines\n" || b.SignEmpty != "a7b${N}cw\n" {
		t.Errorf("%+q", b)
	}
	if got := strings.Join(b.VerifySecrets, " "); got != "0x10 1.50 true w\n" {
		t.Errorf("%q", got)
	}
	if len(b.Services) != 2 || b.Services["WeChat.refund"] != "service.x" || b.Services["5"] != "6" {
		t.Errorf("%q", b.Services)
	}
}

func TestSkipEnvironment(t *testing.T) {
	text := merchant("    rate: ${NOT_SET}\n    timeout: 1h\n    eftpay: {user_confirm_key: k, secret: \"${NOT_SET}\", verify_secrets: [\"\", \"${NOT_SET}\"], sign_empty: \"${NOT_SET}\"}\n")
	_, err := Load(write(t, text), CheckMerchants(provider))
	if n := strings.Count(err.Error(), "NOT_SET is not set"); n != 4 {
		t.Errorf("%d findings: %v", n, err)
	}
	_, err = Load(write(t, text), SkipEnvironment(), CheckMerchants(provider))
	var found *Findings
	if !errors.As(err, &found) || len(found.List) != 1 || !strings.Contains(found.List[0].Message, "timeout") {
		t.Errorf("got %v, want the finding about timeout alone", err)
	}
	if _, err = Load(write(t, strings.Replace(text, "1h", "1s", 1)), SkipEnvironment(), CheckMerchants(provider)); err != nil {
		t.Error(err)
	}
}

func TestMerchantFinding(t *testing.T) {
	cfg, err := Load(write(t, merchant("    eftpay:\n      user_confirm_key: k\n      verify_secrets: [a, b]\n")))
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.MerchantFinding(0, nil); err != nil {
		t.Errorf("a finding about nothing: %v", err)
	}
	field := func(name string) error { return &account.FieldError{Field: name, Err: errors.New("is wrong")} }
	err = cfg.MerchantFinding(0, errors.Join(errors.New("all of it"), field("verify_secrets[1]"), field("secret"), field("currency"),
		errors.Join(field("user_confirm_key"))))
	var found *Findings
	if !errors.As(err, &found) {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, f := range found.List {
		got = append(got, strings.TrimPrefix(strings.Split(f.String(), "\n")[0], f.File+":"))
	}
	want := []string{
		"4:5: merchants[0]: all of it",
		"7:15: merchants[0].currency: is wrong",
		"8:5: merchants[0].eftpay.secret: is wrong",
		"9:25: merchants[0].eftpay.user_confirm_key: is wrong",
		"10:27: merchants[0].eftpay.verify_secrets[1]: is wrong",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A merchant that was not read from a file has no block, and says so.
func TestAccountWithoutAFile(t *testing.T) {
	m := Merchant{Name: "a", Provider: "eftpay"}
	var b block
	if err := m.Account().Decode(&b); err == nil || !strings.Contains(err.Error(), "not read from a file") {
		t.Errorf("got %v", err)
	}
	if err := m.Account().Decode(b); err == nil || !strings.Contains(err.Error(), "pointer") {
		t.Errorf("got %v", err)
	}
	if got := m.Account().Path("x.pem"); got != "x.pem" {
		t.Errorf("got %s", got)
	}
}

func TestBaseURL(t *testing.T) {
	for address, want := range map[string]string{
		"https://gateway.example/VMP": "",
		"http://127.0.0.1:9000":       "",
		"http://localhost:9000/x":     "",
		"http://[::1]:9000":           "",
		"http://gateway.example":      "must be https",
		"http://127.0.0.1.example":    "must be https",
		"http://10.0.0.1":             "must be https",
		"ftp://gateway.example":       "must be an address",
		"gateway.example":             "must be an address",
		"https://":                    "must be an address",
		"https://:443":                "must be an address",
		"https://a.example?x=1":       "must have no",
		"https://a.example/#x":        "must have no",
		"https://u@a.example":         "must have no",
		"https://a.example/%zz":       "must be an address",
	} {
		if got := badBaseURL(address, false); (got == "") != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	if got := badBaseURL("http://gateway.example", true); got != "" {
		t.Errorf("allow_http: %s", got)
	}
}
