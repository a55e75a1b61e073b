package eftpay

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/refund"
)

func TestExplainCallbackNamesTheChangeThatBrokeIt(t *testing.T) {
	g := newGateway(t, "verify_secrets: [older-canary]\n", nil)
	keeping := newGateway(t, "sign_empty: keep\n", nil)
	right := signedBody(notification, testSecret)
	for _, c := range []struct {
		name    string
		gateway *Gateway
		body    string
		matched string
		hint    string
	}{
		{"right", g, right, "secret", ""},
		{"rotated", g, signedBody(notification, "older-canary"), "verify_secrets[0]", ""},
		{"a field more", g, strings.Replace(right, `{`, `{"via":"proxy",`, 1), "", "without the field via"},
		{"an amount printed anew", g, strings.Replace(right, `"return_amount":"0.29"`, `"return_amount":0.290`, 1), "", "with return_amount=0.29"},
		{"HTML-safe JSON", g, signedBody(with(notification, "wallet", "A&B"), testSecret), "secret", ""},
		{"capital letters", g, strings.Replace(right, signOf(right), strings.ToUpper(signOf(right)), 1), "", "lower-case hex"},
		{"empty values dropped", keeping, strings.Replace(right, `{`, `{"tid":"",`, 1), "", "sign_empty: drop"},
		{"secret behind", g, strings.Replace(right, signOf(right), signature("", (&keyring{}).canonical(notification)+testSecret), 1), "", "belongs before it"},
		{"forged", g, signedBody(notification, "guess"), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := c.gateway.ExplainCallback([]byte(c.body))
			matched := ""
			for _, k := range x.Keys {
				if k.Matched {
					matched = k.Name
				}
			}
			if matched != c.matched || (x.Err == nil) != (c.matched != "") {
				t.Errorf("matched %q, error %v", matched, x.Err)
			}
			if c.hint == "" && len(x.Hints) > 0 || c.hint != "" && !slices.ContainsFunc(x.Hints, func(h string) bool { return strings.Contains(h, c.hint) }) {
				t.Errorf("hints %q, want %q", x.Hints, c.hint)
			}
			if shown := fmt.Sprintf("%+v", x); strings.Contains(shown, testSecret) || strings.Contains(shown, "older-canary") {
				t.Errorf("shows a secret: %s", shown)
			}
		})
	}
}

// signOf is the value of the field sign in a body.
func signOf(body string) string {
	f, err := parseFlat([]byte(body))
	if err != nil {
		panic(err)
	}
	return f["sign"]
}

func TestExplainCallbackOfWhatCannotBeRead(t *testing.T) {
	x := newGateway(t, "", nil).ExplainCallback([]byte(`{"a":{}}`))
	if x.Err == nil || x.Signed != "" || len(x.Keys) != 0 {
		t.Errorf("%+v", x)
	}
}

func TestWriteCallbackIsOneThatParseCallbackTakes(t *testing.T) {
	g := newGateway(t, "", nil)
	rec := refund.Record{Request: sample()}
	for event, want := range map[string]refund.Class{"success": refund.Succeeded, "failed": refund.Declined} {
		body, err := g.WriteCallback(account.Told{Refund: rec, Event: event})
		if err != nil {
			t.Fatal(err)
		}
		notice, err := g.ParseCallback(body)
		if err != nil || notice.Outcome.Class != want {
			t.Errorf("%s: %+v, %v", event, notice, err)
		}
		if news := refund.NewsOf(refund.Record{Request: rec.Request, Version: 1}, notice); news.Outcome.Class != want {
			t.Errorf("%s does not fit its own refund: %+v", event, news.Outcome)
		}
	}
	if _, err := g.WriteCallback(account.Told{Refund: rec, Event: "cancel"}); err == nil {
		t.Error("eftPay has no cancelled refund")
	}
	if _, err := g.WriteCallback(account.Told{Event: "success"}); err == nil {
		t.Error("a notification about nothing")
	}
}

func TestIdentity(t *testing.T) {
	if id := newGateway(t, "", nil).Identity(); id != "S0003469" {
		t.Errorf("%q", id)
	}
}
