package gatewaysim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBluePayRefund(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{reply: acknowledge(time.Now)}
		c := open(t, func(cfg *Config) { cfg.CallbackTransport = d })
		a := c.blueRefund("refund488455057142", nil)
		if a.status != 200 || a.code != 10000 || a.data["mchRefundOrderId"] != "refund488455057142" || a.data["refundStatus"] != "PENDING" ||
			a.data["refundAmount"] != 10000.0 || a.data["refundTransactionId"] == "" {
			t.Fatalf("answer %s", a.body)
		}
		if want := time.Now().In(vendorZone).Format("2006-01-02 15:04:05"); a.data["refundCreateTime"] != want {
			t.Errorf("refundCreateTime %v, want %s", a.data["refundCreateTime"], want)
		}
		c.wantMoved(blueApp, "refund488455057142", 0, 0)
		if q := c.blueQuery(nil); len(q.list) != 1 || q.list[0]["refundStatus"] != "PENDING" || q.list[0]["refundReturnTime"] != "" {
			t.Errorf("list before the end: %s", q.body)
		}
		pass(time.Second)
		c.wantMoved(blueApp, "refund488455057142", 10000, 1)
		q := c.blueQuery(map[string]any{"originalTransactionId": nil, "refundTransactionId": a.data["refundTransactionId"]})
		if len(q.list) != 1 || q.list[0]["refundStatus"] != "COMPLETE" || q.list[0]["originalTransactionId"] != "CU518563189147832780" {
			t.Errorf("look-up by refundTransactionId after the end: %s", q.body)
		}
		if e := c.sim.Ledger()[0]; e.Currency != "THB" || e.RefundID != a.data["refundTransactionId"] || e.Queries != 2 || e.Order != "CU518563189147832780" {
			t.Errorf("ledger entry %+v", e)
		}
		got := c.sim.Deliveries("refund488455057142")
		if len(got) != 1 || !got[0].Acknowledged {
			t.Fatalf("deliveries %+v", got)
		}
		var envelope map[string]string
		if err := json.Unmarshal([]byte(d.bodies()[0]), &envelope); err != nil || len(envelope) != 2 {
			t.Fatalf("notification %s: %v, want sign and param alone", d.bodies()[0], err)
		}
		if !bluepayVerify(&c.blue.GatewayKey.PublicKey, envelope["param"], envelope["sign"]) {
			t.Error("the notification is not signed with the gateway's key over param")
		}
		for _, part := range []string{`"eventName":"payment.refund.success"`, `"refundStatus":"COMPLETE"`, `"refundReason":"testRefund"`, `"refundAmount":10000`} {
			if !strings.Contains(envelope["param"], part) {
				t.Errorf("param has no %s: %s", part, envelope["param"])
			}
		}
		c.wantRefusals(0)
		c.sim.Close()
	})
}

// Each line breaks one rule of the vendor's tables.
func TestBluePayValidation(t *testing.T) {
	cases := []struct {
		name   string
		change map[string]any
		code   int
	}{
		{"no original", map[string]any{"originalTransactionId": nil}, 21002},
		{"empty original", map[string]any{"originalTransactionId": ""}, 21002},
		{"original as a number", map[string]any{"originalTransactionId": 5}, 21002},
		{"original with a dash", map[string]any{"originalTransactionId": "a-b"}, 21002},
		{"no id", map[string]any{"mchRefundOrderId": nil}, 21002},
		{"id with a dash", map[string]any{"mchRefundOrderId": "a-b"}, 21002},
		{"id of 33", map[string]any{"mchRefundOrderId": strings.Repeat("a", 33)}, 21002},
		{"id of 32", map[string]any{"mchRefundOrderId": strings.Repeat("a", 32)}, 10000},
		{"no amount", map[string]any{"refundAmount": nil}, 21002},
		{"amount as a string", map[string]any{"refundAmount": "10000"}, 21002},
		{"amount with decimals", map[string]any{"refundAmount": json.Number("100.00")}, 21002},
		{"amount in exponent form", map[string]any{"refundAmount": json.Number("1e4")}, 21002},
		{"amount zero", map[string]any{"refundAmount": 0}, 21406},
		{"amount negative", map[string]any{"refundAmount": -1}, 21406},
		{"no reason, no address", map[string]any{"refundReason": nil, "refundCallbackUrl": nil}, 10000},
		{"reason too long", map[string]any{"refundReason": strings.Repeat("x", 257)}, 21002},
		{"address relative", map[string]any{"refundCallbackUrl": "www.test.com"}, 21002},
		{"unknown field", map[string]any{"amount": 1}, 21002},
		{"no timestamp", map[string]any{"timestamp": nil}, 21008},
		{"timestamp as a string", map[string]any{"timestamp": fmt.Sprint(time.Now().Unix())}, 21008},
		{"timestamp in milliseconds", map[string]any{"timestamp": time.Now().UnixMilli()}, 21008},
		{"timestamp ahead", map[string]any{"timestamp": time.Now().Add(6 * time.Minute).Unix()}, 21008},
		{"timestamp too old", map[string]any{"timestamp": time.Now().Add(-6 * time.Minute).Unix()}, 21009},
	}
	for i, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			c := open(t, func(cfg *Config) { cfg.CallbackTransport = &desk{reply: acknowledge(time.Now)} })
			a := c.blueRefund(fmt.Sprint("R", i), x.change)
			if a.code != x.code || a.status != 200 {
				t.Fatalf("code %d, want %d: %s", a.code, x.code, a.body)
			}
			if n := len(c.sim.Refunds()); (n == 1) != (x.code == 10000) {
				t.Errorf("%d refunds were taken", n)
			}
			want := 1
			if x.code == 10000 {
				want = 0
			}
			c.wantRefusals(want)
		})
	}
}

func TestBluePayEnvelope(t *testing.T) {
	c := open(t, nil)
	raw, _ := json.Marshal(c.param("R1", nil))
	param := string(raw)
	good := map[string]string{}
	if err := json.Unmarshal(c.envelope(param), &good); err != nil {
		t.Fatal(err)
	}
	with := func(k, v string) string {
		m := map[string]string{"appId": good["appId"], "sign": good["sign"], "param": good["param"]}
		m[k] = v
		b, _ := json.Marshal(m)
		return string(b)
	}
	for name, x := range map[string]struct {
		body string
		code int
	}{
		"not JSON":            {"x", 21002},
		"no sign":             {with("sign", ""), 21002},
		"wrong sign":          {with("sign", spoil(good["sign"])), 21001},
		"sign of other bytes": {with("param", param+" "), 21001},
		"unknown appId":       {with("appId", "nobody"), 21003},
		"a field more":        {with("extra", "1"), 21002},
		"param as an object":  {fmt.Sprintf(`{"appId":%q,"sign":%q,"param":%s}`, blueApp, good["sign"], param), 21002},
		"param not JSON":      {string(c.envelope("x")), 21002},
		"a key twice":         {string(c.envelope(`{"timestamp":1,"timestamp":1}`)), 21002},
		"nested":              {string(c.envelope(`{"timestamp":{}}`)), 21002},
	} {
		if a := c.blueRaw("/open-api/payment/refund", []byte(x.body)); a.code != x.code {
			t.Errorf("%s: %s, want %d", name, a.body, x.code)
		}
	}
	if n := len(c.sim.Refunds()); n != 0 {
		t.Errorf("%d refunds were taken, want none", n)
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://sim/open-api/payment/refund", nil)
	if response, err := c.http.Do(r); err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v %v, want 405", response, err)
	} else {
		response.Body.Close()
	}
}

func TestBluePayMilliseconds(t *testing.T) {
	c := open(t, func(cfg *Config) { cfg.BluePay[0].Milliseconds = true })
	if a := c.blueRefund("R1", map[string]any{"timestamp": time.Now().UnixMilli(), "refundCallbackUrl": nil}); a.code != 10000 {
		t.Errorf("milliseconds: %s", a.body)
	}
	if a := c.blueRefund("R1", nil); a.code != 21009 {
		t.Errorf("seconds where milliseconds are expected: %s, want 21009", a.body)
	}
}

func TestBluePayQuery(t *testing.T) {
	c := open(t, func(cfg *Config) { cfg.SettleAfter = -1 })
	quiet := map[string]any{"refundCallbackUrl": nil}
	if a := c.blueQuery(nil); a.code != 10000 || a.list == nil || len(a.list) != 0 {
		t.Errorf("nothing known: %s, want 10000 and an empty list", a.body)
	}
	first := c.blueRefund("R1", quiet)
	c.blueRefund("R2", quiet)
	a := c.blueQuery(nil)
	if len(a.list) != 2 || a.list[0]["mchRefundOrderId"] != "R1" || a.list[1]["mchRefundOrderId"] != "R2" {
		t.Errorf("list: %s, want R1 and R2", a.body)
	}
	if a := c.blueQuery(map[string]any{"originalTransactionId": "other", "refundTransactionId": first.data["refundTransactionId"]}); len(a.list) != 0 {
		t.Errorf("an id under another original: %s, want nothing", a.body)
	}
	if a := c.blueQuery(map[string]any{"originalTransactionId": nil}); a.code != 21002 {
		t.Errorf("neither id: %s, want 21002", a.body)
	}
	if a := c.blueQuery(map[string]any{"mchRefundOrderId": "R1"}); a.code != 21002 {
		t.Errorf("look-up by mchRefundOrderId: %s, want 21002", a.body)
	}
	if a := c.blueQuery(map[string]any{"timestamp": time.Now().Add(-time.Hour).Unix()}); a.code != 21009 {
		t.Errorf("old timestamp: %s, want 21009", a.body)
	}
	if r, _ := c.sim.Refund(blueApp, "R2"); r.Queries != 1 || r.Status != "COMPLETE" {
		t.Errorf("R2 is %+v, want 1 query", r)
	}
}

func TestBluePayQueryShapes(t *testing.T) {
	c := open(t, func(cfg *Config) {
		cfg.BluePay[0].OneAsObject, cfg.BluePay[0].NotFoundCode = true, 21006
	})
	if a := c.blueQuery(nil); a.code != 21006 || a.list != nil || a.data != nil {
		t.Errorf("nothing known: %s, want 21006 without data", a.body)
	}
	c.blueRefund("R1", map[string]any{"refundCallbackUrl": nil})
	if a := c.blueQuery(nil); a.data["mchRefundOrderId"] != "R1" {
		t.Errorf("one refund: %s, want an object", a.body)
	}
	c.blueRefund("R2", map[string]any{"refundCallbackUrl": nil})
	if a := c.blueQuery(nil); len(a.list) != 2 {
		t.Errorf("two refunds: %s, want a list", a.body)
	}
}

func TestBluePayRulesOfTheOriginal(t *testing.T) {
	quiet := map[string]any{"refundCallbackUrl": nil}
	c := open(t, func(cfg *Config) { cfg.KnownSalesOnly, cfg.OnePending, cfg.CheckTotals = true, true, true })
	if a := c.blueRefund("R1", quiet); a.code != 21006 {
		t.Errorf("unknown original: %s, want 21006", a.body)
	}
	if a := c.blueQuery(nil); a.code != 21006 {
		t.Errorf("query of an unknown original: %s, want 21006", a.body)
	}
	sale := Sale{Order: "CU518563189147832780", Total: 15000, PaidAt: time.Now().Add(-59 * 24 * time.Hour)}
	if err := c.sim.RegisterSale(blueApp, sale); err != nil {
		t.Fatal(err)
	}
	if a := c.blueRefund("R1", quiet); a.code != 10000 {
		t.Errorf("first refund: %s", a.body)
	}
	if a := c.blueRefund("R2", quiet); a.code != 21409 {
		t.Errorf("while R1 is pending: %s, want 21409", a.body)
	}
	if err := c.sim.Settle(blueApp, "R1", Succeed); err != nil {
		t.Fatal(err)
	}
	if a := c.blueRefund("R2", quiet); a.code != 21010 {
		t.Errorf("over the total: %s, want 21010", a.body)
	}
	sale.PaidAt = sale.PaidAt.Add(-2 * 24 * time.Hour)
	if err := c.sim.RegisterSale(blueApp, sale); err != nil {
		t.Fatal(err)
	}
	if a := c.blueRefund("R3", quiet); a.code != 21403 {
		t.Errorf("after 61 days: %s, want 21403", a.body)
	}
}
