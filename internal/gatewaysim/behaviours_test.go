package gatewaysim

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"testing"
	"time"
)

// The table of the package doc is the table of the code.
func TestDocListsTheBehaviours(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^//\t(900\.\d\d)  (\S+) +(.+)$`).FindAllStringSubmatch(string(doc), -1)
	all := Behaviours()
	if len(lines) != len(all) {
		t.Fatalf("the doc lists %d behaviours, the code has %d", len(lines), len(all))
	}
	for i, b := range all {
		if amount := formatAmount(b.Amount, 2); lines[i][1] != fmt.Sprintf("%d.%02d", b.Amount/100, b.Amount%100) || lines[i][2] != b.Name || lines[i][3] != b.Text {
			t.Errorf("the doc says %q, the code %s %s %s", lines[i][0], amount, b.Name, b.Text)
		}
		for _, provider := range []string{ProviderEftPay, ProviderBluePay} {
			if err := b.Script(provider).Check(); err != nil {
				t.Errorf("%s: %v", b.Name, err)
			}
		}
	}
	if _, err := Named("no such"); err == nil {
		t.Error("a behaviour that is not there was found")
	}
}

// What each magic amount comes to once all is over, at each gateway: how
// much moved, and whether callbacks came.
func TestMagicAmounts(t *testing.T) {
	none := map[string]bool{"timeout_before": true, "reset_before": true, "error_before": true, "redirect": true, "decline": true,
		"fail_later": true, "cancel_later": true, "stuck": true, "settle_by_query": true, "system_error_before": true, "later": true}
	silent := map[string]bool{"timeout_before": true, "reset_before": true, "error_before": true, "redirect": true, "stuck": true,
		"settle_by_query": true, "system_error_before": true, "later": true, "callback_lost": true}
	acknowledged := map[string]int{"callback_doubled": 2, "callback_overtaken": 2, "callback_forged": 2, "callback_amount": 2}
	virtual(t, func(cfg *Config) { cfg.MagicAmounts = true }, func(t *testing.T, c *shop, _ *desk) {
		for i, b := range Behaviours() {
			eftNo, blueNo := fmt.Sprint("E", i), fmt.Sprint("B", i)
			c.within(10*time.Second, "/VMP/Servlet/JSAPIService.do", c.eft(eftRefundFields(eftNo), "transaction_amount", formatAmount(b.Amount, 2),
				"total_fee", "99999", "service", "service.wechat.jsapi.ApplyRefund", "notify_url", shopURL))
			param := c.param(blueNo, map[string]any{"refundAmount": b.Amount})
			c.blueWithin(10*time.Second, param)
			pass(time.Hour)
			want, times := b.Amount, 1
			if none[b.Name] {
				want, times = 0, 0
			}
			callbacks := 1
			if n, ok := acknowledged[b.Name]; ok {
				callbacks = n
			}
			if silent[b.Name] {
				callbacks = 0
			}
			c.wantMoved(eftMerchant, eftNo, want, times)
			c.wantMoved(blueApp, blueNo, want, times)
			for provider, no := range map[string]string{ProviderEftPay: eftNo, ProviderBluePay: blueNo} {
				expected := callbacks
				if b.Name == "decline" && provider == ProviderBluePay {
					expected = 0 // refused by a code: there is no refund to tell of
				}
				if got := len(c.sim.Deliveries(no)); got != expected {
					t.Errorf("%s at %s: %d callbacks, want %d", b.Name, provider, got, expected)
				}
			}
		}
		c.wantRefusals(0)
	})
}

func TestBehavioursByQuery(t *testing.T) {
	virtual(t, func(cfg *Config) { cfg.MagicAmounts = true }, func(t *testing.T, c *shop, _ *desk) {
		send := func(name string) string {
			b, err := Named(name)
			if err != nil {
				t.Fatal(err)
			}
			c.within(10*time.Second, "/VMP/Servlet/JSAPIService.do", c.eft(eftRefundFields(name), "transaction_amount", formatAmount(b.Amount, 2), "total_fee", "99999"))
			return name
		}
		no := send("settle_by_query")
		for i, want := range []string{"TRADE_PROCESSING", "TRADE_REFUND", "TRADE_REFUND"} {
			if a := c.eftQuery(no); a.field("trade_status") != want {
				t.Errorf("settle_by_query, query %d: %s, want %s", i+1, a.body, want)
			}
		}
		no = send("reverse")
		if a := c.eftQuery(no); a.field("trade_status") != "TRADE_FAIL" {
			t.Errorf("reverse: %s", a.body)
		}
		c.wantMoved(eftMerchant, no, 0, 2)
		no = send("query_fails")
		for i := range 3 {
			if a := c.eftQuery(no); a.err == nil && a.status == 200 && a.field("return_status") != "" {
				t.Errorf("query_fails, query %d: %s", i+1, a.body)
			}
		}
		if a := c.eftQuery(no); a.field("trade_status") != "TRADE_REFUND" {
			t.Errorf("query_fails, then: %s", a.body)
		}
	})
}

func TestMagicAmountsAreOffByDefault(t *testing.T) {
	c := open(t, nil)
	if a := c.eftRefund("R1", "transaction_amount", "900.17"); a.field("trade_status") == "TRADE_FAIL" {
		t.Errorf("declined: %s", a.body)
	}
}

func TestGenerator(t *testing.T) {
	g := &Generator{Seed: 7, Rates: map[string]int{"timeout_after": 300, "query_fails": 100, "callback_doubled": 200}}
	count := map[string]int{}
	for i := range 5000 {
		no := fmt.Sprint("R", i)
		sc := g.Script(ProviderEftPay, "S1", no)
		if again := g.Script(ProviderEftPay, "S1", no); fmt.Sprint(again) != fmt.Sprint(sc) {
			t.Fatalf("%s got %v, then %v", no, sc, again)
		}
		if len(sc.Calls) > 0 {
			count["calls"]++
		}
		if len(sc.Queries) > 0 {
			count["queries"]++
		}
		if len(sc.Notifications) > 0 {
			count["notifications"]++
		}
	}
	// 30% or 10% of what is left; 10%; 20%, each of 5000 within 5 sigma.
	for part, want := range map[string]int{"calls": 1850, "queries": 500, "notifications": 1000} {
		if got := count[part]; got < want-170 || got > want+170 {
			t.Errorf("%d scripts have %s, want about %d", got, part, want)
		}
	}
	// To change one rate leaves the others' refunds as they are.
	more := maps.Clone(g.Rates)
	more["drip"] = 500
	other := &Generator{Seed: 7, Rates: more}
	for i := range 200 {
		no := fmt.Sprint("R", i)
		if a, b := g.Script(ProviderEftPay, "S1", no), other.Script(ProviderEftPay, "S1", no); len(a.Notifications) != len(b.Notifications) {
			t.Errorf("%s: another rate changed its callbacks", no)
		}
	}
	if a, b := g.Script(ProviderEftPay, "S1", "x"), (&Generator{Seed: 8, Rates: g.Rates}); a.Check() != nil || b.Check() != nil {
		t.Error("a generated script is not valid")
	}
}

func TestGeneratorOfTheSim(t *testing.T) {
	c := open(t, func(cfg *Config) { cfg.Generator = &Generator{Rates: map[string]int{"decline": 1000}} })
	if a := c.eftRefund("R1"); a.field("trade_status") != "TRADE_FAIL" {
		t.Errorf("generated: %s, want TRADE_FAIL", a.body)
	}
	quiet := map[string]any{"refundCallbackUrl": nil}
	if a := c.blueRefund("R1", quiet); a.code != 21402 {
		t.Errorf("generated for another merchant under the same number: %s, want 21402", a.body)
	}
	if err := c.sim.Script("R1", Step{}); err != nil {
		t.Fatal(err)
	}
	if a := c.eftRefund("R1"); a.field("trade_status") != "TRADE_REFUND" {
		t.Errorf("scripted after it was generated: %s", a.body)
	}
	if err := c.sim.Script("R2", Step{}); err != nil {
		t.Fatal(err)
	}
	if a := c.eftRefund("R2"); a.field("trade_status") != "TRADE_REFUND" {
		t.Errorf("scripted: %s, the script should win", a.body)
	}
	if err := c.sim.SetGenerator(&Generator{Rates: map[string]int{"x": 1}}); err == nil {
		t.Error("an unknown rate was taken")
	}
	if err := c.sim.SetGenerator(nil); err != nil {
		t.Fatal(err)
	}
	if a := c.eftRefund("R3"); a.field("trade_status") != "TRADE_REFUND" {
		t.Errorf("without a generator: %s", a.body)
	}
}
