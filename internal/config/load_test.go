package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/refund"
)

var update = flag.Bool("update", false, "write the .want files anew")

// block is what a provider's package would read, as in DESIGN.md, section 5.
type block struct {
	UserConfirmKey string            `yaml:"user_confirm_key"`
	Secret         string            `yaml:"secret"`
	VerifySecrets  []string          `yaml:"verify_secrets"`
	SignEmpty      string            `yaml:"sign_empty"`
	Services       map[string]string `yaml:"services"`
}

// provider checks a block as the providers do.
func provider(m Merchant) error {
	b := block{SignEmpty: "drop"}
	if err := m.Account().Decode(&b); err != nil {
		return fmt.Errorf("wrapped: %w", err)
	}
	var errs []error
	wrong := func(bad bool, field, what string) {
		if bad {
			errs = append(errs, &account.FieldError{Field: field, Err: errors.New(what)})
		}
	}
	wrong(b.UserConfirmKey == "", "user_confirm_key", "needs 1 to 12 letters or digits")
	wrong(b.Secret == "", "secret", "is missing")
	wrong(len(b.VerifySecrets) > 1 && b.VerifySecrets[1] == "", "verify_secrets[1]", "is empty")
	wrong(b.SignEmpty != "drop", "sign_empty", "must be drop\nor keep")
	wrong(m.Test, "test", "this provider has no tests")
	if m.Name == "d" {
		errs = append(errs, errors.New("the account is not for this currency"))
	}
	return errors.Join(errs...)
}

// Every file of testdata that is wrong, and all that is wrong in it.
func TestFindings(t *testing.T) {
	t.Setenv("TEST_EFTPAY_SECRET", "canary-env")
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if file == "testdata/minimal.yaml" || file == "testdata/design.yaml" {
			continue // right
		}
		t.Run(file, func(t *testing.T) {
			cfg, err := Load(file, CheckMerchants(provider))
			var found *Findings
			if !errors.As(err, &found) || cfg != nil {
				t.Fatalf("got %v, %v", cfg, err)
			}
			got := found.Error() + "\n"
			if i := strings.Index(got, "canary"); i >= 0 {
				t.Errorf("a secret is shown: ...%s", got[i:min(len(got), i+20)])
			}
			for i, f := range found.List {
				if f.Line < 1 || f.Column < 1 || f.Message == "" || strings.ContainsAny(f.Message, "\n") || !strings.HasSuffix(f.File, ".yaml") {
					t.Errorf("finding %+v", f)
				}
				if i > 0 && f.Line < found.List[i-1].Line {
					t.Errorf("line %d after line %d", f.Line, found.List[i-1].Line)
				}
			}
			wantFile := strings.TrimSuffix(file, ".yaml") + ".want"
			if *update {
				if err := os.WriteFile(wantFile, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// All that is not required has the default that DESIGN.md, section 5, shows.
func TestDefaults(t *testing.T) {
	t.Setenv("TEST_EFTPAY_SECRET", "from the environment")
	cfg, err := Load("testdata/minimal.yaml", CheckMerchants(provider))
	if err != nil {
		t.Fatal(err)
	}
	hkd := refund.Currency{Code: "HKD", Exponent: 2}
	m := cfg.Merchants[0]
	var b block
	acc := m.Account()
	if err := acc.Decode(&b); err != nil || b.Secret != "from the environment" {
		t.Errorf("block %+v, %v", b, err)
	}
	if acc.Name != "S0003469" || acc.BaseURL != "https://gateway.example/VMP" || acc.Currency != hkd || acc.Exponent != 2 || acc.Timeout != 10*time.Second {
		t.Errorf("account %+v", acc)
	}
	if got, want := acc.Path("merchant.pem"), filepath.Join("testdata", "merchant.pem"); got != want {
		t.Errorf("path %s, want %s", got, want)
	}
	m.doc, m.path, m.block, m.print = nil, "", nil, [32]byte{}
	cfg.doc, cfg.Merchants = nil, []Merchant{m}
	want := &Config{
		Kafka: Kafka{
			Brokers: []string{"127.0.0.1:9092"}, Group: "refund-worker", SessionTimeout: 10 * time.Second, OnOutOfRange: "alarm",
			Topics: Topics{
				Requests: "refund.requests", Status: "refund.status", DeadLetters: "refund.requests.dlq",
				DelayPrefix: "refund.delay.", Control: "refund.control", Audit: "refund.audit",
			},
			CreateTopics: CreateTopics{Partitions: 12, Replication: 3},
		},
		Redis: Redis{Addrs: []string{"127.0.0.1:6379"}, KeyPrefix: "refund", Retention: 9600 * time.Hour, FailoverGrace: 15 * time.Second},
		Worker: Worker{
			Admin: "127.0.0.1:9464", MaxInFlight: 512, DrainTimeout: 15 * time.Second, ClaimLease: 30 * time.Second, ReviewAfter: 72 * time.Hour,
			Delays: []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour},
		},
		Bridge: Bridge{Admin: "127.0.0.1:9465", Listen: ":8080", MaxBody: 65536, Timeout: 10 * time.Second, MaxConcurrent: 512, MaxPerMerchant: 128},
		Log:    Log{Level: "info", Format: "json"},
		Merchants: []Merchant{{
			Name: "S0003469", Provider: "eftpay", BaseURL: "https://gateway.example/VMP", CurrencyCode: "HKD", Currency: hkd,
			Timeout: 10 * time.Second, Concurrency: 64, MaxWait: 5 * time.Second, Rate: 100, ErrorRate: 6,
			Breaker:            Breaker{Window: 30 * time.Second, MinCalls: 20, FailureRatio: 0.5, OpenFor: 15 * time.Second},
			MaxRefundsPerOrder: 50, ResendAfter: time.Minute,
		}},
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got  %+v\nwant %+v", cfg, want)
	}
}

func TestLoadOfNoFile(t *testing.T) {
	_, err := Load("testdata/none.yaml")
	var found *Findings
	if !errors.Is(err, os.ErrNotExist) || errors.As(err, &found) {
		t.Errorf("got %v", err)
	}
}

func TestPath(t *testing.T) {
	t.Setenv("REFUND_CONFIG", "")
	if got, err := Path(""); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("got %q, %v", got, err)
	}
	t.Setenv("REFUND_CONFIG", "/etc/refund.yaml")
	if got, err := Path(""); err != nil || got != "/etc/refund.yaml" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := Path("mine.yaml"); err != nil || got != "mine.yaml" {
		t.Errorf("got %q, %v", got, err)
	}
}
