package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/providers/transport"
)

// certificate writes NAME.crt and NAME.key into the folder.
func certificate(t *testing.T, folder, name string, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(folder, name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// What is in the files of TLS is a finding about the configuration, not a failure
// of the start.
func TestContentsOfTLSFilesAreChecked(t *testing.T) {
	file := write(t, "")
	folder := filepath.Dir(file)
	certificate(t, folder, "one", time.Now().Add(time.Hour))
	certificate(t, folder, "two", time.Now().Add(time.Hour))
	certificate(t, folder, "old", time.Now().Add(-time.Hour))
	if err := os.WriteFile(filepath.Join(folder, "words"), []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(tls string) (*Config, error) {
		text := strings.Replace(merchant("    eftpay: {user_confirm_key: k, secret: s}\n"), "6380]}", "6380], tls: {enabled: true, "+tls+"}}", 1)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Load(file)
	}
	for tls, want := range map[string]string{
		"ca_file: words":                                       "redis.tls.ca_file: holds no certificate in PEM",
		"cert_file: one.crt, key_file: two.key":                "redis.tls.cert_file: does not go with key_file",
		"cert_file: words, key_file: one.key":                  "redis.tls.cert_file: does not go with key_file",
		"cert_file: old.crt, key_file: old.key":                "redis.tls.cert_file: has been out of date since",
		"cert_file: one.crt":                                   "redis.tls: cert_file and key_file come together",
		"ca_file: none":                                        "no such file",
		"ca_file: one.crt, cert_file: one.crt, key_file: none": "no such file",
	} {
		_, err := load(tls)
		var found *Findings
		if !errors.As(err, &found) || len(found.List) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", tls, err)
		}
	}
	cfg, err := load("ca_file: two.crt, cert_file: one.crt, key_file: one.key")
	if err != nil {
		t.Fatal(err)
	}
	if c := cfg.Redis.TLS; c.Authorities() == nil || c.Certificate() == nil || c.Certificate().Leaf.Subject.CommonName != "one" {
		t.Errorf("%+v", c)
	}
	if c := cfg.Kafka.TLS; c.Authorities() != nil || c.Certificate() != nil {
		t.Errorf("%+v", c)
	}
}

// lines are the findings of a text, file names cut.
func lines(t *testing.T, text string) (found []string) {
	t.Helper()
	pool := transport.NewPool(transport.Options{})
	defer pool.Close()
	_, err := Load(write(t, text), CheckMerchants(func(m Merchant) error {
		_, err := providers.Build([]providers.Settings{{
			Merchant: m.Account(), Provider: m.Provider, Concurrency: m.Concurrency, Rate: m.Rate, ResendAfter: m.ResendAfter, MaxRefundsPerOrder: m.MaxRefundsPerOrder,
			Breaker: providers.Breaker(m.Breaker),
		}}, pool, providers.Hooks{})
		var wrong *providers.MerchantError
		if errors.As(err, &wrong) {
			return wrong.Err
		}
		return err
	}))
	var all *Findings
	if err != nil && !errors.As(err, &all) {
		t.Fatal(err)
	}
	if all != nil {
		for _, f := range all.List {
			found = append(found, strings.TrimPrefix(strings.Split(f.String(), "\n")[0], f.File+":"))
		}
	}
	return found
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// An unknown provider is told where it stands.
func TestAnUnknownProviderIsToldAtItsLine(t *testing.T) {
	text := strings.Replace(merchant("    eftpoy: {secret: s}\n"), "provider: eftpay", "provider: eftpoy", 1)
	expect(t, lines(t, text), `5:15: merchants[0].provider: "eftpoy" is none of: bluepay, eftpay`)
}

// A broken common setting does not hide what is wrong in the merchant's block, nor
// does what stands in for it make findings.
func TestABrokenMerchantShowsItsBlocksFindings(t *testing.T) {
	text := merchant("    rate: none\n    proxy: nowhere\n    eftpay:\n      secrat: s\n      query: both\n")
	text = strings.Replace(text, "https://a.example", "http://a.example", 1)
	text = strings.Replace(text, "HKD", "RMB", 1)
	expect(t, lines(t, text),
		"6:15: merchants[0].base_url: must be https: http is for loopback addresses, or with allow_http: true",
		"7:15: merchants[0].currency: must be an active currency of ISO 4217, three capital letters such as HKD",
		"8:11: merchants[0].rate: must be a whole number",
		"9:12: merchants[0].proxy: must be an address such as http://proxy.example:3128 (http, https or socks5)",
		"10:5: merchants[0].eftpay.secret: is missing",
		"10:5: merchants[0].eftpay.user_confirm_key: needs 1 to 12 letters or digits, as eftPay gave it",
		`11:7: merchants[0].eftpay: unknown key "secrat"; did you mean secret?`,
		`12:14: merchants[0].eftpay.query: is "both", which is none of: jsapi, unified`)
}

// A call should be able to end within the drain.
func TestTimeoutsThatDoNotFitIntoTheDrainAreAdvice(t *testing.T) {
	for drain, want := range map[time.Duration]int{10 * time.Second: 1, 12 * time.Second: 0} {
		cfg := Config{Worker: Worker{DrainTimeout: drain}, Merchants: []Merchant{{Name: "M", Timeout: 12 * time.Second}}}
		if got := cfg.Advice(); len(got) != want || want > 0 && !strings.Contains(got[0], "the timeout of merchant M (12s) is longer than worker.drain_timeout (10s)") {
			t.Errorf("%s: %q", drain, got)
		}
	}
}
