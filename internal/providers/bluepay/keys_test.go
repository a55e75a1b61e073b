package bluepay

import (
	"crypto/rsa"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/transport"
)

func TestKeysInEveryFormAreTheSameKey(t *testing.T) {
	path := merchant("").Path
	for _, name := range []string{"merchant_pkcs1.pem", "merchant_base64.txt"} {
		key, err := readPrivateKey(path, name)
		if err != nil || !key.Equal(privateKey(t, "merchant.pem")) {
			t.Errorf("%s: err %v, or another key than merchant.pem", name, err)
		}
	}
	want := &privateKey(t, "gateway.pem").PublicKey
	for _, name := range []string{"gateway_public.pem", "gateway_public_pkcs1.pem", "gateway_public_base64.txt", "gateway_certificate.pem"} {
		key, err := readPublicKey(path, name)
		if err != nil || !key.Equal(want) {
			t.Errorf("%s: err %v, or another key than gateway.pem's", name, err)
		}
	}
	wrapped := regexp.MustCompile(`.{64}`).ReplaceAllString(file(t, "merchant_base64.txt"), "$0\r\n") + "\n"
	if key, err := parseKey([]byte(wrapped)); err != nil || !privateKey(t, "merchant.pem").Equal(key.(*rsa.PrivateKey)) {
		t.Errorf("Base64 with line ends: %v", err)
	}
}

func TestKeyFilesThatAreWrongSayHow(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	in := func(name string) string { return filepath.Join("testdata", name) }
	broken := []byte(file(t, "merchant_base64.txt"))
	copy(broken[300:], "AAAAAAAAAAAAAAAAAAAA")
	for _, c := range []struct{ field, file, says string }{
		{"private_key_file", "", "is missing"},
		{"private_key_file", filepath.Join(dir, "none.pem"), "no such file"},
		{"private_key_file", dir, "is a directory"},
		{"private_key_file", write("empty", ""), "holds no key"},
		{"private_key_file", write("words", "this is my secret key"), "holds no key"},
		{"private_key_file", write("base64", "c2VjcmV0LWtleQ=="), "holds no key"},
		{"private_key_file", write("cut", file(t, "merchant.pem")[:900]), "holds no key"},
		{"private_key_file", write("broken", string(broken)), "holds no key"},
		{"private_key_file", in("merchant_encrypted.pem"), "is encrypted"},
		{"private_key_file", in("merchant_public.pem"), "holds a public key"},
		{"private_key_file", in("ec.pem"), "not RSA"},
		{"private_key_file", in("small.pem"), "1024 bits"},
		{"gateway_public_key_file", "", "is missing"},
		{"gateway_public_key_file", filepath.Join(dir, "none.pem"), "no such file"},
		{"gateway_public_key_file", write("words2", "hello"), "holds no key"},
		{"gateway_public_key_file", in("gateway.pem"), "holds a private key"},
		{"gateway_public_key_file", in("ec_public.pem"), "not RSA"},
		{"gateway_public_key_file", in("small_public.pem"), "1024 bits"},
		{"gateway_public_key_file", in("merchant_public.pem"), "public half of private_key_file"},
	} {
		m := merchant(block(""))
		decode := m.Decode
		m.Path = nil
		m.Decode = func(into any) error {
			if err := decode(into); err != nil {
				return err
			}
			s := into.(*settings)
			s.PrivateKeyFile, s.GatewayPublicKeyFile = in("merchant.pem"), in("gateway_public.pem")
			if c.field == "private_key_file" {
				s.PrivateKeyFile = c.file
			} else {
				s.GatewayPublicKeyFile = c.file
			}
			return nil
		}
		_, err := New(m, transport.NewPool(transport.Options{}))
		var finding *account.FieldError
		switch {
		case !errors.As(err, &finding) || finding.Field != c.field:
			t.Errorf("%s %q: %v is no finding about that field", c.field, c.file, err)
		case !strings.Contains(err.Error(), c.says):
			t.Errorf("%s %q: %q does not say %q", c.field, c.file, err, c.says)
		case strings.Contains(err.Error(), "\n"):
			t.Errorf("%s %q: more than one finding: %q", c.field, c.file, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, name := range []string{"merchant.pem", "merchant_base64.txt", "merchant_pkcs1.pem", "merchant_encrypted.pem", "gateway_public.pem",
		"gateway_public_pkcs1.pem", "gateway_certificate.pem", "ec.pem"} {
		f.Add([]byte(file(f, name)))
	}
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := parseKey(text)
		if (key == nil) == (err == nil) {
			t.Fatalf("key %v and error %v: exactly one is owed", key != nil, err)
		}
		if err != nil && err != errNotAKey && err != errEncrypted && err != errNotRSA {
			t.Fatalf("error %q is not one of ours: it may repeat the file", err)
		}
	})
}
