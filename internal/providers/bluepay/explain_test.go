package bluepay

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/refund"
)

func TestExplainCallbackNamesTheChangeThatBrokeIt(t *testing.T) {
	g, _ := answering(t, "")
	param := `{"eventName":"payment.refund.success","refundStatus":"COMPLETE","mchRefundOrderId":"R1","originalTransactionId":"CU1",` +
		`"refundTransactionId":"9","refundAmount":10000,"refundReason":"a/b&c"}`
	envelope := func(param any, sign string) []byte {
		body, err := json.Marshal(map[string]any{"sign": sign, "param": param})
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	sign := func(key string) string {
		s, err := signature(privateKey(t, key), []byte(param))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	right := sign("gateway.pem")
	for _, c := range []struct {
		name, hint string
		body       []byte
		counts     bool
	}{
		{"right", "", envelope(param, right), true},
		{"slashes escaped", `with / for \/`, envelope(strings.ReplaceAll(param, "/", `\/`), right), false},
		{"HTML's signs escaped", "as they are", envelope(strings.ReplaceAll(param, "&", `\u0026`), right), false},
		{"a line end behind", "without the blanks around it", envelope(param+"\n", right), false},
		{"URL-safe", "plain Base64", envelope(param, strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(right)), false},
		{"our own key", "which is ours", envelope(param, sign("merchant.pem")), false},
		{"an object", "as an object", envelope(json.RawMessage(param), right), false},
		{"no Base64", "no Base64", envelope(param, "!"), false},
		{"another amount", "", envelope(strings.Replace(param, "10000", "20000", 1), right), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := g.ExplainCallback(c.body)
			if (x.Err == nil) != c.counts || len(x.Keys) == 0 || x.Keys[0].Matched != c.counts {
				t.Errorf("error %v, keys %v", x.Err, x.Keys)
			}
			if c.hint == "" && len(x.Hints) > 0 || c.hint != "" && !slices.ContainsFunc(x.Hints, func(h string) bool { return strings.Contains(h, c.hint) }) {
				t.Errorf("hints %q, want %q", x.Hints, c.hint)
			}
			if strings.Contains(fmt.Sprintf("%+v", x), "PRIVATE") {
				t.Error("shows a key")
			}
		})
	}
}

func TestWriteCallbackIsOneThatParseCallbackTakes(t *testing.T) {
	g, _ := answering(t, "")
	rec := refund.Record{Request: sample()}
	key := []byte(file(t, "gateway.pem"))
	for event, want := range map[string]refund.Class{"success": refund.Succeeded, "failed": refund.Declined, "cancel": refund.Declined} {
		body, err := g.WriteCallback(account.Told{Refund: rec, Event: event}, key)
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
	for name, told := range map[string]account.Told{"unknown event": {Refund: rec, Event: "late"}, "no refund": {Event: "success"}} {
		if _, err := g.WriteCallback(told, key); err == nil {
			t.Errorf("%s: written all the same", name)
		}
	}
	for _, other := range []string{"merchant.pem", "gateway_public.pem", "ec.pem"} {
		if _, err := g.WriteCallback(account.Told{Refund: rec, Event: "success"}, []byte(file(t, other))); err == nil {
			t.Errorf("signed by %s", other)
		}
	}
}

func TestIdentity(t *testing.T) {
	if g, _ := answering(t, ""); g.Identity() != "733b887a4a784708bb369524db5b6ded" {
		t.Errorf("%q", g.Identity())
	}
}
