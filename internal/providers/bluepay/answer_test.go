package bluepay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/refund"
)

// refundData is a good answer of 5.1 to sample with this status.
func refundData(status string) string {
	return fmt.Sprintf(`{"code":10000,"message":"Success","data":{"mchRefundOrderId":"refund488455057142","refundTransactionId":"1818566685947728",`+
		`"refundCreateTime":"2024-07-31 16:37:40","refundAmount":10000,"refundStatus":%q}}`, status)
}

func refunding(t testing.TB, w *wire, r refund.Request) refund.Outcome {
	t.Helper()
	call, err := on(t, w, merchant(block(""))).Sign(r)
	if err != nil {
		t.Fatal(err)
	}
	return call(context.Background())
}

func querying(t testing.TB, w *wire, rec refund.Record) refund.Outcome {
	t.Helper()
	return on(t, w, merchant(block(""))).Query(context.Background(), rec)
}

// What each code of the vendor may mean, transcribed from its tables and the
// rules of the wallets behind it, apart from the table of the code.
var expected = map[refund.Class][]string{
	refund.Unknown:       {"21000", "21011", "21023", "21007", "21015", "21407", "21401", "29999", "abc", "0"},
	refund.Misconfigured: {"21001", "21002", "21003", "21004", "21005", "21016", "21008", "21009"},
	refund.NotSent:       {"21020", "21014", "21408", "21409"},
	refund.Declined:      {"21006", "21010", "21402", "21403", "21404", "21405", "21406"},
}

func TestEachCode(t *testing.T) {
	seen := map[string]bool{}
	for class, list := range expected {
		for _, code := range list {
			seen[code] = true
			for _, form := range []string{`{"code":%s,"message":"words","data":null}`, `{"code":"%s","message":"words"}`} {
				if !digits(code) {
					form = `{"code":"%s","message":"words"}`
				}
				w := &wire{body: fmt.Sprintf(form, code)}
				o := refunding(t, w, sample())
				if o.Class != class || o.Code != code || o.Message != "words" || o.Hold {
					t.Errorf("refund answered %s: %+v, want class %s", code, o, class)
				}
				q := querying(t, w, refund.Record{Request: sample()})
				if q.Class != refund.Unknown || q.Code != code || q.RetryAfter != 0 || q.Hold != (class == refund.Misconfigured) || q.Outage != o.Outage {
					t.Errorf("query answered %s: %+v, want unknown, hold=%v", code, q, class == refund.Misconfigured)
				}
			}
		}
	}
	for code := range codes {
		if !seen[code] {
			t.Errorf("code %s of the table is expected nowhere", code)
		}
	}
	for _, code := range []string{"21000", "21011"} {
		if !toCall(code, "").Outage || toCall(code, "").Message == "" {
			t.Errorf("%s is an outage, and says so in words", code)
		}
	}
}

func TestEachStatus(t *testing.T) {
	for status, want := range map[string]refund.Class{
		"PENDING": refund.Pending, "COMPLETE": refund.Succeeded, "COMPLETED": refund.Succeeded, "FAILED": refund.Declined,
		"CANCEL": refund.Declined, "CANCELED": refund.Declined, "CANCELLED": refund.Declined,
		"": refund.Unknown, "complete": refund.Unknown, "REFUNDED": refund.Unknown,
	} {
		o := refunding(t, &wire{body: refundData(status)}, sample())
		if o.Class != want || o.ProviderStatus != status {
			t.Errorf("refundStatus %q: %+v, want class %s", status, o, want)
		}
		q := querying(t, &wire{body: list(entry{status: status})}, refund.Record{Request: sample()})
		if q.Class != want || q.ProviderStatus != status {
			t.Errorf("queried refundStatus %q: %+v, want class %s", status, q, want)
		}
	}
	o := refunding(t, &wire{body: refundData("COMPLETE")}, sample())
	at := time.Date(2024, 7, 31, 8, 37, 40, 0, time.UTC)
	if o.ProviderRefundID != "1818566685947728" || !o.OccurredAt.Equal(at) || o.Code != "" || o.Message != "" {
		t.Errorf("succeeded: %+v, want refund id 1818566685947728 at %s and no error", o, at)
	}
}

// An answer that is not surely about our refund and amount says nothing.
func TestAnswersThatProveNothing(t *testing.T) {
	good := refundData("COMPLETE")
	change := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the answer", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, body := range map[string]string{
		"another refund":      change("refund488455057142", "refund488455057143"),
		"another payment":     change(`"refundCreateTime"`, `"originalTransactionId":"CU1","refundCreateTime"`),
		"another amount":      change("10000,\"refundS", "10001,\"refundS"),
		"a fraction":          change("10000,\"refundS", "10000.0,\"refundS"),
		"an exponent":         change("10000,\"refundS", "1e4,\"refundS"),
		"a negative amount":   change("10000,\"refundS", "-10000,\"refundS"),
		"a signed amount":     change("10000,\"refundS", "\"+10000\",\"refundS"),
		"amount zero":         change("10000,\"refundS", "0,\"refundS"),
		"no amount":           change(`"refundAmount":10000,`, ""),
		"null for the amount": change("10000,\"refundS", "null,\"refundS"),
		"an amount too large": change("10000,\"refundS", "99999999999999999999,\"refundS"),
		"no number":           change(`"mchRefundOrderId":"refund488455057142",`, ""),
		"a repeated status":   change(`"refundStatus"`, `"refundStatus":"COMPLETE","refundStatus"`),
		"a repeated code":     change(`{"code":10000`, `{"code":10000,"code":21406`),
		"keys in other case":  strings.ReplaceAll(good, "refundStatus", "RefundStatus"),
		"a status object":     change(`"COMPLETE"`, `{"a":1}`),
		"data null":           `{"code":10000,"message":"Success","data":null}`,
		"no data":             `{"code":10000,"message":"Success"}`,
		"data a list":         `{"code":10000,"data":[]}`,
		"no code":             change(`"code":10000,`, ""),
		"code null":           change(`10000,"mess`, `null,"mess`),
		"code a fraction":     change(`10000,"mess`, `10000.0,"mess`),
		"code negative":       change(`10000,"mess`, `-10000,"mess`),
		"HTML":                "<html><body>10000</body></html>",
		"nothing":             "",
		"cut":                 good[:len(good)-1],
		"something behind":    good + "{}",
		"a list":              "[" + good + "]",
		"not UTF-8":           change("Success", "\xff"),
		"nested deeply":       change(`"Success"`, strings.Repeat("[", 50)+strings.Repeat("]", 50)),
	} {
		if o := refunding(t, &wire{body: body}, sample()); o.Class != refund.Unknown || o.Hold {
			t.Errorf("%s: %+v, want unknown", name, o)
		}
	}
}

func TestHTTPStatusesThatAreNotOKProveNothing(t *testing.T) {
	for _, status := range []int{201, 204, 400, 401, 403, 404, 405, 408, 429, 500, 502, 503, 504} {
		for _, body := range []string{refundData("COMPLETE"), `{"code":21406,"message":"x"}`, `{"code":21001}`, "<html>"} {
			w := &wire{status: status, body: body}
			hold := strings.Contains(body, "21001")
			outage := status != 429 && !hold
			for what, o := range map[string]refund.Outcome{"refund": refunding(t, w, sample()), "query": querying(t, w, refund.Record{Request: sample()})} {
				if o.Class != refund.Unknown || o.Outage != outage || o.Hold != hold || !strings.Contains(o.Message, fmt.Sprint(status)) {
					t.Errorf("%s, HTTP %d %s: %+v, want unknown, outage=%v, hold=%v", what, status, body, o, outage, hold)
				}
			}
		}
	}
}

// Paused between signing and sending: the old time is refused, our settings are
// well. Refused although it left at once: they are not.
func TestAStaleCallIsSignedAnew(t *testing.T) {
	for _, code := range []string{"21008", "21009"} {
		for waited, want := range map[time.Duration]refund.Class{0: refund.Misconfigured, fresh: refund.Misconfigured, fresh + time.Second: refund.NotSent} {
			g := on(t, &wire{body: `{"code":` + code + `}`}, merchant(block("")))
			call, err := g.Sign(sample())
			if err != nil {
				t.Fatal(err)
			}
			g.now = func() time.Time { return signedAt.Add(waited) }
			if o := call(context.Background()); o.Class != want || o.Code != code {
				t.Errorf("%s, %s after signing: %+v, want %s", code, waited, o, want)
			}
		}
	}
}

func TestTrueMoneyTakesPartialRefundsTheNextDay(t *testing.T) {
	refusal := &wire{body: `{"code":21405,"message":"no partial refund"}`}
	midnight := 8*time.Hour + 22*time.Minute + 21*time.Second // from 2024-07-31 16:37:39 +08:00 to 01:00 less five minutes
	for _, c := range []struct {
		method, wallet string
		class          refund.Class
	}{
		{"", "", refund.Declined}, {"WeChat", "", refund.Declined}, {"WECHAT_JS_URL", "", refund.Declined},
		{"TrueMoney", "", refund.NotSent}, {"TRUEMONEY_URL", "", refund.NotSent}, {"", "TRUEMONEY_DYNAMIC_QR", refund.NotSent},
	} {
		r := sample()
		r.Method, r.Wallet = c.method, c.wallet
		o := refunding(t, refusal, r)
		if o.Class != c.class || o.Code != "21405" {
			t.Errorf("%q/%q: %+v, want %s", c.method, c.wallet, o, c.class)
		}
		if o.Class == refund.NotSent && (o.RetryAfter <= 7*time.Hour || o.RetryAfter > midnight) {
			t.Errorf("come back in %s, want just after midnight in +08:00", o.RetryAfter)
		}
	}
}

func TestACallSendsOnce(t *testing.T) {
	w := &wire{body: refundData("COMPLETE")}
	call, err := on(t, w, merchant(block(""))).Sign(sample())
	if err != nil {
		t.Fatal(err)
	}
	if o := call(context.Background()); o.Class != refund.Succeeded {
		t.Errorf("first: %+v", o)
	}
	if o := call(context.Background()); o.Class != refund.Unknown || len(w.got) != 1 {
		t.Errorf("made again: %+v with %d requests, want unknown and 1", o, len(w.got))
	}
}

// Whatever is answered, a refund call never says NotFound and a query never says
// that nothing was sent; both keep what they show short.
func TestAnyAnswerStaysWithinItsClasses(t *testing.T) {
	ofCall := []refund.Class{refund.Pending, refund.Succeeded, refund.Declined, refund.NotSent, refund.Unknown, refund.Misconfigured}
	ofQuery := []refund.Class{refund.Pending, refund.Succeeded, refund.Declined, refund.Unknown, refund.NotFound}
	rapid.Check(t, func(rt *rapid.T) {
		body := anyAnswer().Draw(rt, "answer")
		w := &wire{body: body, status: rapid.SampledFrom([]int{200, 200, 200, 429, 500}).Draw(rt, "status")}
		check := func(o refund.Outcome, allowed []refund.Class) {
			if !slices.Contains(allowed, o.Class) || len(o.Code) > 300 || len(o.Message) > 300 || len(o.ProviderStatus) > 300 {
				rt.Errorf("%s answered: %+v", body, o)
			}
		}
		check(refunding(t, w, sample()), ofCall)
		check(querying(t, w, refund.Record{Request: sample()}), ofQuery)
	})
}

// anyAnswer makes answers of the vendor's words in all combinations.
func anyAnswer() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		code := rapid.SampledFrom(append([]string{"10000", "10000", "10000", `"10000"`, "29999", "null", "{}"}, keys(codes)...)).Draw(t, "code")
		object := func(label string) string {
			pick := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label+name) }
			return fmt.Sprintf(`{"mchRefundOrderId":%s,"originalTransactionId":%s,"refundAmount":%s,"refundStatus":%s,"failedMessage":%q}`,
				pick("no", `"refund488455057142"`, `"refund488455057142"`, `"other"`, "null", "7"),
				pick("original", `"CU518563189147832780"`, `"CU1"`, "null"),
				pick("amount", "10000", "10000", `"10000"`, "1", "null", "1.5"),
				pick("status", `"PENDING"`, `"COMPLETE"`, `"FAILED"`, `"CANCELED"`, `"NEW"`, "null", "[]"),
				rapid.String().Draw(t, label+"message"))
		}
		data := rapid.SampledFrom([]string{"null", "[]", "object", "list", "\"\"", "7"}).Draw(t, "data")
		switch data {
		case "object":
			data = object("data ")
		case "list":
			data = "[" + object("first ") + "," + object("second ") + "]"
		}
		return fmt.Sprintf(`{"code":%s,"message":%q,"data":%s}`, code, rapid.String().Draw(t, "message"), data)
	})
}

func keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
