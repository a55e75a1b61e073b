package bluepay

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/transport"
)

func TestNewTellsEveryFindingAtOnce(t *testing.T) {
	m := merchant("app_id: \"a b\"\nprivate_key_file: small.pem\ngateway_public_key_file: none.pem\nverify_key_files: [next_public.pem, ec_public.pem]\n" +
		"callback_url: ftp://us.example/x\ntimestamp_unit: minutes\ntime_zone: Bangkok\n")
	_, err := New(m, transport.NewPool(transport.Options{}))
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%v joins no findings", err)
	}
	var fields []string
	for _, e := range joined.Unwrap() {
		var finding *account.FieldError
		if !errors.As(e, &finding) {
			t.Fatalf("%v is no FieldError", e)
		}
		fields = append(fields, finding.Field)
	}
	want := []string{"app_id", "callback_url", "timestamp_unit", "time_zone", "private_key_file", "gateway_public_key_file", "verify_key_files[1]"}
	if !slices.Equal(fields, want) {
		t.Errorf("findings about %v, want %v", fields, want)
	}
}

func TestNewKeepsTheErrorOfAnUnknownKey(t *testing.T) {
	_, err := New(merchant(block("privat_key: x\n")), transport.NewPool(transport.Options{}))
	if err == nil || !strings.Contains(err.Error(), "privat_key") {
		t.Errorf("%v does not name the unknown key", err)
	}
}

func TestNewKeepsTheErrorOfTheAddress(t *testing.T) {
	m := merchant(block(""))
	m.BaseURL = "http://bluepay.example"
	if _, err := New(m, transport.NewPool(transport.Options{})); err == nil || !strings.Contains(err.Error(), "base_url") {
		t.Errorf("%v does not name base_url", err)
	}
}

func TestCallbackURL(t *testing.T) {
	for address, ok := range map[string]bool{
		"":                                      true,
		"https://us.example/v1/callbacks/s":     true,
		"http://us.example:8080/v1/callbacks/s": true,
		"us.example/v1":                         false,
		"/v1/callbacks/s":                       false,
		"https://":                              false,
		"https://user:pw@us.example/":           false,
		"https://us.example/#x":                 false,
		"https://us.example/%zz":                false,
		"https://us.example/" + strings.Repeat("x", maxCallbackURL): false,
	} {
		if err := checkCallbackURL(address); (err == nil) != ok {
			t.Errorf("%q: %v, want accepted=%v", address, err, ok)
		}
	}
}

func TestTimeZone(t *testing.T) {
	for offset, seconds := range map[string]int{"+08:00": 8 * 3600, "-03:30": -12600, "+00:00": 0} {
		zone, err := timeZone(offset)
		if err != nil {
			t.Errorf("%s: %v", offset, err)
			continue
		}
		if _, got := time.Unix(0, 0).In(zone).Zone(); got != seconds {
			t.Errorf("%s is %d seconds, want %d", offset, got, seconds)
		}
	}
	for _, offset := range []string{"", "8", "+8", "+0800", "UTC", "Asia/Bangkok", "+08:00 "} {
		if _, err := timeZone(offset); err == nil {
			t.Errorf("%q was accepted", offset)
		}
	}
}

// The canary is in every place that a secret can be in: no error and no printed
// Gateway may show it.
func TestNoKeyMaterialIsPrinted(t *testing.T) {
	g, _ := answering(t, "")
	key := privateKey(t, "merchant.pem")
	canaries := []string{key.D.String(), key.Primes[0].String(), key.D.Text(16), file(t, "merchant_base64.txt")[40:80]}
	for _, printed := range append(printedEveryWay(g), printedEveryWay(*g)...) {
		for _, canary := range canaries {
			if strings.Contains(printed, canary) {
				t.Errorf("a printed Gateway shows key material: %.80s...", printed)
			}
		}
	}
}
