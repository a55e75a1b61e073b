package eftpay

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// No secret, no signature and nothing of a signed text reaches an outcome, an
// error or a print of the gateway, whatever comes back.
func TestSecretsAreNotTold(t *testing.T) {
	const rotated = "canary-rotated-91bc"
	const more = "verify_secrets: [" + rotated + "]\n"
	var told []string
	tell := func(values ...any) {
		for _, v := range values {
			told = append(told, fmt.Sprintf("%v | %+v | %#v | %s", v, v, v, v))
		}
	}
	for _, answer := range []func(*http.Request) (*http.Response, error){
		func(*http.Request) (*http.Response, error) { return nil, errors.New("reset") },
		nil,
	} {
		for _, body := range []string{"", "garbage", "{}", signedBody(callAnswer, "another"), signedBody(queryAnswer, testSecret), `{"return_status":"-13"}`} {
			g := gatewayAnswering(t, more, 200, body, nil)
			if answer != nil {
				g = newGateway(t, more, roundTrip(answer))
			}
			call, err := g.Sign(sample())
			tell(g, *g, *g.keys, g.settings, err, call(t.Context()), g.Query(t.Context(), refund.Record{Request: sample()}), g.Ping(t.Context()))
			n, err := g.ParseCallback([]byte(signedBody(notification, "not-the-secret")))
			tell(n, err)
		}
	}
	for _, broken := range []string{"sign_empty: x\n", "query: x\n", `not_found_codes: [""]` + "\n"} {
		_, err := New(merchantWith("https://gateway.example", block+more+broken), transport.NewPool(transport.Options{}))
		tell(err)
	}
	for _, line := range told {
		for _, secret := range []string{testSecret, rotated, "canary"} {
			if strings.Contains(line, secret) {
				t.Errorf("%q tells a secret", line)
			}
		}
	}
	if len(told) < 50 {
		t.Fatalf("only %d lines were looked at", len(told))
	}
}
