package config

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/bluepay"
	"github.com/refundworker/refundworker/internal/providers/eftpay"
	"github.com/refundworker/refundworker/internal/providers/transport"
)

const example = "../../config.example.yaml"

// build has a merchant checked by its real gateway package.
func build(m Merchant) error {
	pool := transport.NewPool(transport.Options{})
	defer pool.Close()
	constructors := map[string]func(account.Merchant) error{
		eftpay.Name:  func(a account.Merchant) error { _, err := eftpay.New(a, pool); return err },
		bluepay.Name: func(a account.Merchant) error { _, err := bluepay.New(a, pool); return err },
	}
	return constructors[m.Provider](m.Account())
}

// The example loads clean beside its key files and with its environment given, is
// made of defaults, and has every key there is.
func TestExample(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, string(text))
	t.Setenv("EFTPAY_SECRET", "s")
	t.Setenv("BLUEPAY_APP_ID", "app")
	writeKeys(t, filepath.Dir(file))
	cfg, err := Load(file, CheckMerchants(build))
	if err != nil {
		t.Fatal(err)
	}
	design, err := Load("testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := plainly(cfg), plainly(design); got != want {
		t.Errorf("the example's values\n got %s\nwant %s", got, want)
	}
	for key := range openKeys {
		if !strings.Contains(string(text), key+":") {
			t.Errorf("key %s is not in the example", key)
		}
	}
	var used []string
	for _, m := range cfg.Merchants {
		used = append(used, m.Provider)
	}
	if slices.Sort(used); !slices.Equal(used, providers.Names()) {
		t.Errorf("the example has the providers %v, there are %v", used, providers.Names())
	}
}

// Without its environment and key files every one that is missing is named.
func TestExampleWithoutItsParts(t *testing.T) {
	t.Setenv("BLUEPAY_APP_ID", "") // puts back what was there
	os.Unsetenv("BLUEPAY_APP_ID")
	t.Setenv("EFTPAY_SECRET", "s")
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load(write(t, string(text)), CheckMerchants(build))
	if err == nil {
		t.Fatal("no finding")
	}
	got := regexp.MustCompile(`(?m)^\S+config\.yaml:\d+:\d+: (\S+): `).FindAllStringSubmatch(err.Error(), -1)
	var paths []string
	for _, m := range got {
		paths = append(paths, m[1])
	}
	want := []string{"merchants[1].bluepay.app_id", "merchants[1].bluepay.private_key_file", "merchants[1].bluepay.gateway_public_key_file"}
	if !slices.Equal(paths, want) {
		t.Errorf("findings about %v, want %v:\n%v", paths, want, err)
	}
}

func writeKeys(t *testing.T, folder string) {
	t.Helper()
	keep := func(name, kind string, der []byte, err error) {
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"merchant.pem", "gateway.pem"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		if name == "merchant.pem" {
			der, err := x509.MarshalPKCS8PrivateKey(key)
			keep(name, "PRIVATE KEY", der, err)
		} else {
			der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
			keep(name, "PUBLIC KEY", der, err)
		}
	}
}
