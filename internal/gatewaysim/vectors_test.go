package gatewaysim

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The vectors were made by testdata/vectors.sh with OpenSSL.
func TestEftPaySignatureAgreesWithOpenSSL(t *testing.T) {
	cases := strings.Split(strings.TrimSpace(read(t, "eftpay.tsv")), "\n")
	if len(cases) < 4 {
		t.Fatalf("%d vectors, want 4", len(cases))
	}
	for _, line := range cases {
		col := strings.Split(line, "\t")
		fields := map[string]value{"sign": {kindString, "ignored"}}
		for _, pair := range strings.Split(col[2], "&") {
			k, v, _ := strings.Cut(pair, "=")
			fields[k] = value{kindString, v}
		}
		if got := eftpaySign(col[1], fields, false); got != col[3] {
			t.Errorf("%s: sign %s, OpenSSL says %s", col[0], got, col[3])
		}
		fields["empty"] = value{kindString, ""}
		if got := eftpaySign(col[1], fields, false); got != col[3] {
			t.Errorf("%s: an empty value was not dropped", col[0])
		}
		if got := eftpaySign(col[1], fields, true); got == col[3] {
			t.Errorf("%s: an empty value was not kept", col[0])
		}
		fields["sign"] = value{kindString, strings.ToUpper(col[3])}
		if eftpayVerify(col[1], fields, false) {
			t.Errorf("%s: upper case hex was accepted", col[0])
		}
	}
}

func TestBluePaySignatureAgreesWithOpenSSL(t *testing.T) {
	private, err := ParsePrivateKey(read(t, "merchant.pkcs8.pem"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := ParsePublicKey(read(t, "merchant.pub.b64"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"refund", "spaces"} {
		param, want := read(t, "bluepay."+name+".param"), read(t, "bluepay."+name+".sig")
		got, err := bluepaySign(private, param)
		if err != nil || got != want {
			t.Errorf("%s: sign %s (%v), OpenSSL says %s", name, got, err, want)
		}
		if !bluepayVerify(public, param, want) {
			t.Errorf("%s: OpenSSL's signature was refused", name)
		}
		if bluepayVerify(public, param+" ", want) || bluepayVerify(public, param, spoil(want)) || bluepayVerify(public, param, "") {
			t.Errorf("%s: a wrong signature was accepted", name)
		}
	}
}

func TestKeysInEveryForm(t *testing.T) {
	want, err := ParsePrivateKey(read(t, "gateway.pkcs8.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gateway.pkcs1.pem", "gateway.pkcs8.b64"} {
		if got, err := ParsePrivateKey(read(t, name)); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, or another key", name, err)
		}
	}
	for _, name := range []string{"gateway.pub.pem", "gateway.pub.b64"} {
		if got, err := ParsePublicKey(read(t, name)); err != nil || !got.Equal(&want.PublicKey) {
			t.Errorf("%s: %v, or another key", name, err)
		}
	}
	if _, err := ParsePrivateKey("not a key"); err == nil {
		t.Error("nonsense was taken for a private key")
	}
	if _, err := ParsePublicKey(read(t, "gateway.pkcs8.pem")); err == nil {
		t.Error("a private key was taken for a public one")
	}
	pair, err := NewKeyPair(2048)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ParsePrivateKey(pair.Private)
	if err != nil {
		t.Fatal(err)
	}
	if public, err := ParsePublicKey(pair.Public); err != nil || !public.Equal(&private.PublicKey) {
		t.Errorf("the new pair does not belong together: %v", err)
	}
}

// The simulator judges the clients, so it shares nothing with them.
func TestImportsNoOtherPackageOfTheModule(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	const module = "github.com/refundworker/refundworker"
	for _, dep := range strings.Fields(string(out)) {
		if strings.HasPrefix(dep, module) && dep != module+"/internal/gatewaysim" {
			t.Errorf("imports %s", dep)
		}
	}
}
