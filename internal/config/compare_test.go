package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const compared = `kafka: {brokers: ["127.0.0.1:9092"], sasl: {mechanism: PLAIN, username: worker, password: "${file:kafka}"}, tls: {enabled: true, ca_file: ca.crt, cert_file: us.crt, key_file: us.key}}
redis: {addrs: [127.0.0.1:6379], password: "${file:redis}"}
merchants:
  - {name: one, provider: eftpay, base_url: "https://a.example", currency: HKD, eftpay: {user_confirm_key: one, secret: "${file:one}"}}
  - {name: two, provider: bluepay, base_url: "https://b.example", currency: THB, bluepay: {app_id: x, private_key_file: two.pem, verify_key_files: [a.pem, b.pem]}}
`

// What a process can take while it runs is told apart from what it cannot.
func TestCompare(t *testing.T) {
	replace := func(old, with string) func(*testing.T, string, string) string {
		return func(t *testing.T, _, text string) string {
			if !strings.Contains(text, old) {
				t.Fatalf("%s is not there", old)
			}
			return strings.Replace(text, old, with, 1)
		}
	}
	rewrite := func(file string) func(*testing.T, string, string) string {
		return func(t *testing.T, folder, text string) string {
			if err := os.WriteFile(filepath.Join(folder, file), []byte("changed"), 0o600); err != nil {
				t.Fatal(err)
			}
			return text
		}
	}
	for name, row := range map[string]struct {
		change func(t *testing.T, folder, text string) string
		want   Changes
	}{
		"nothing":      {replace("", ""), Changes{}},
		"a comment":    {replace("merchants:", "# here\nmerchants:"), Changes{}},
		"the order":    {func(_ *testing.T, _, text string) string { return reorder(text) }, Changes{}},
		"a password":   {rewrite("kafka"), Changes{Credentials: []string{"kafka.sasl.password"}}},
		"redis's":      {rewrite("redis"), Changes{Credentials: []string{"redis.password"}}},
		"a user":       {replace("username: worker", "username: other"), Changes{Credentials: []string{"kafka.sasl.username"}}},
		"a secret":     {rewrite("one"), Changes{Changed: []string{"one"}}},
		"a key file":   {rewrite("two.pem"), Changes{Changed: []string{"two"}}},
		"a verify key": {rewrite("b.pem"), Changes{Changed: []string{"two"}}},
		"a limit":      {replace("currency: HKD,", "currency: HKD, rate: 7,"), Changes{Changed: []string{"one"}}},
		"an address":   {replace("b.example", "c.example"), Changes{Changed: []string{"two"}}},
		"a merchant": {func(_ *testing.T, _, text string) string {
			return text + "  - {name: three, provider: eftpay, base_url: \"https://a.example\", currency: HKD, eftpay: {}}\n"
		}, Changes{Added: []string{"three"}}},
		"a certificate": {func(t *testing.T, folder, text string) string {
			certificate(t, folder, "us", time.Now().Add(2*time.Hour))
			return text
		}, Changes{Credentials: []string{"kafka.tls.cert_file"}}},
		"an authority": {func(t *testing.T, folder, text string) string {
			certificate(t, folder, "ca", time.Now().Add(2*time.Hour))
			return text
		}, Changes{Restart: []string{"kafka.tls.ca_file"}}},
		"one is gone":       {func(_ *testing.T, _, text string) string { return text[:strings.Index(text, "  - {name: two")] }, Changes{Restart: []string{"merchants: two is gone"}}},
		"another gateway":   {func(_ *testing.T, _, text string) string { return strings.ReplaceAll(text, "eftpay", "bluepay") }, Changes{Restart: []string{"merchants[0].provider"}}},
		"another currency":  {replace("HKD", "CNY"), Changes{Restart: []string{"merchants[0].currency"}}},
		"another exponent":  {replace("currency: HKD", "currency: HKD, currency_exponent: 0"), Changes{Restart: []string{"merchants[0].currency"}}},
		"the group":         {replace("sasl:", "group: other, sasl:"), Changes{Restart: []string{"kafka.group"}}},
		"the mechanism":     {replace("PLAIN", "SCRAM-SHA-512"), Changes{Restart: []string{"kafka.sasl.mechanism"}}},
		"TLS goes":          {replace("enabled: true", "enabled: false"), Changes{Restart: []string{"kafka.tls.enabled"}}},
		"delays and limits": {replace("merchants:", "worker: {delays: [10s, 1m], max_in_flight: 5}\nlog: {level: debug}\nmerchants:"), Changes{Restart: []string{"log.level", "worker.delays", "worker.max_in_flight"}}},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, compared)
			folder := filepath.Dir(file)
			for _, secret := range []string{"kafka", "redis", "one", "two.pem", "a.pem", "b.pem"} {
				if err := os.WriteFile(filepath.Join(folder, secret), []byte("as it was"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			certificate(t, folder, "ca", time.Now().Add(time.Hour))
			certificate(t, folder, "us", time.Now().Add(time.Hour))
			load := func() *Config {
				cfg, err := Load(file)
				if err != nil {
					t.Fatal(err)
				}
				return cfg
			}
			was := load()
			if err := os.WriteFile(file, []byte(row.change(t, folder, compared)), 0o600); err != nil {
				t.Fatal(err)
			}
			got := was.Compare(load())
			if row.want.None() != got.None() || len(got.Restart)+len(row.want.Restart) > 0 && !reflect.DeepEqual(got.Restart, row.want.Restart) ||
				len(row.want.Restart) == 0 && !reflect.DeepEqual(got, row.want) {
				t.Errorf("got  %+v\nwant %+v", got, row.want)
			}
			if was.File() != file {
				t.Errorf("the file is %s", was.File())
			}
		})
	}
}

func reorder(text string) string {
	lines := strings.SplitAfter(text, "\n")
	return lines[0] + lines[1] + lines[2] + lines[4] + lines[3]
}

// What is forgotten is not needed to compare; its blocks cannot be read any more.
func TestForget(t *testing.T) {
	text := merchant("    eftpay: {user_confirm_key: k, secret: s}\n")
	load := func(text string) *Config {
		t.Helper()
		cfg, err := Load(write(t, text))
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	was, same, other := load(text), load(text), load(strings.Replace(text, "secret: s", "secret: t", 1))
	account := was.Merchants[0].Account()
	was.Forget()
	other.Forget()
	if changes := was.Compare(same); !changes.None() {
		t.Errorf("of the same: %+v", changes)
	}
	if changes := was.Compare(other); !slices.Equal(changes.Changed, []string{"a"}) {
		t.Errorf("of another secret: %+v", changes)
	}
	var b block
	if err := account.Decode(&b); err == nil {
		t.Error("a block was read of what is forgotten")
	}
	if err := was.MerchantFinding(0, errors.New("is wrong")); err == nil || !strings.Contains(err.Error(), "merchants[0]: is wrong") {
		t.Errorf("a finding: %v", err)
	}
}
