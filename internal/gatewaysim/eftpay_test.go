package gatewaysim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEftPayDirectRefund(t *testing.T) {
	c := open(t, nil)
	a := c.eftRefund("201901010011")
	want := map[string]string{"return_status": "00", "return_char": "", "out_trade_no": "rrn_1686280006045",
		"trade_status": "TRADE_REFUND", "user_confirm_key": eftMerchant, "paytype": "WeChat", "refund_no": "201901010011",
		"transaction_amount": "0.01", "total_fee": "10.01", "payment_type": "WECHATCN", "tid": "tid_3378"}
	for k, v := range want {
		if got := a.field(k); got != v {
			t.Errorf("%s = %q, want %q", k, got, v)
		}
	}
	if !eftpayVerify(eftSecret, a.fields, false) {
		t.Error("the answer is not signed")
	}
	for _, k := range []string{"eftpay_trade_no", "refund_trade_no"} {
		if n := len(a.field(k)); n == 0 || n > 28 {
			t.Errorf("%s has %d characters, want 1 to 28", k, n)
		}
	}
	// The rest of the order closes the trade; answers print no zeros.
	if got := c.eftRefund("R2", "transaction_amount", "10.00").field("trade_status"); got != "TRADE_CLOSED" {
		t.Errorf("full refund: trade_status %q, want TRADE_CLOSED", got)
	}
	if got := c.eftQuery("R2").field("transaction_amount"); got != "10" {
		t.Errorf("transaction_amount %q, want 10", got)
	}
	c.wantMoved(eftMerchant, "201901010011", 1, 1)
	c.wantMoved(eftMerchant, "R2", 1000, 1)
	ledger := c.sim.Ledger()
	if len(ledger) != 2 {
		t.Fatalf("%d ledger entries, want 2", len(ledger))
	}
	e := ledger[1]
	if e.Order != "rrn_1686280006045" || e.Merchant != eftMerchant || e.Provider != "eftpay" || e.Currency != "HKD" ||
		e.Amount != 1000 || e.Calls != 1 || e.Queries != 1 || e.Call != 1 || e.Time.IsZero() || e.RefundID == "" {
		t.Errorf("ledger entry %+v", e)
	}
	c.wantRefusals(0)
}

func TestEftPayAlipayAndExtraService(t *testing.T) {
	c := open(t, func(cfg *Config) {
		cfg.EftPay[0].Services = map[string]Service{"service.alipayplus.jsapi.Refund": {Paytype: "Alipay"}}
	})
	for _, service := range []string{"service.alipay.jsapi.Refund", "service.alipayplus.jsapi.Refund"} {
		a := c.eftRefund("A"+service[8:14]+fmt.Sprint(len(service)), "service", service, "paytype", "Alipay", "payment_type", "ALIPAYHK")
		if a.field("trade_status") != "TRADE_REFUND" {
			t.Errorf("%s: %s", service, a.body)
		}
	}
}

// Each line breaks one rule of the vendor's tables.
func TestEftPayValidation(t *testing.T) {
	long := strings.Repeat("x", 257)
	cases := []struct {
		name string
		set  []string
		code string
	}{
		{"bad signature", []string{"sign", strings.Repeat("0", 64)}, "-3"},
		{"no signature", []string{"sign", "-"}, ""}, // signed by the helper: accepted
		{"empty signature", []string{"sign", ""}, "-3"},
		{"unknown merchant", []string{"user_confirm_key", "nobody"}, "-2"},
		{"unknown service", []string{"service", "service.wechat.jsapi.Refunds"}, "-13"},
		{"no service", []string{"service", "-"}, "-13"},
		{"no amount", []string{"transaction_amount", "-"}, "-4"},
		{"amount zero", []string{"transaction_amount", "0.00"}, "-4"},
		{"amount with three decimals", []string{"transaction_amount", "0.010"}, "-4"},
		{"amount with sign", []string{"transaction_amount", "+1"}, "-4"},
		{"amount negative", []string{"transaction_amount", "-0.01"}, "-4"},
		{"amount with space", []string{"transaction_amount", " 1"}, "-4"},
		{"amount without whole part", []string{"transaction_amount", ".5"}, "-4"},
		{"amount without decimals", []string{"transaction_amount", "5."}, "-4"},
		{"amount in exponent form", []string{"transaction_amount", "1e1"}, "-4"},
		{"amount too long", []string{"transaction_amount", "123456.78"}, "-4"},
		{"amount of other digits", []string{"transaction_amount", "١"}, "-4"},
		{"amount of 8", []string{"transaction_amount", "12345.67", "total_fee", "99999.99"}, ""},
		{"no total", []string{"total_fee", "-"}, "-4"},
		{"total with comma", []string{"total_fee", "10,01"}, "-4"},
		{"order too long", []string{"out_trade_no", long[:29]}, "-4"},
		{"order of 28", []string{"out_trade_no", long[:28]}, ""},
		{"no order", []string{"out_trade_no", ""}, "-4"},
		{"refund number too long", []string{"refund_no", long[:29]}, "-4"},
		{"no refund number", []string{"refund_no", "-"}, "-4"},
		{"paytype of another service", []string{"paytype", "Alipay", "payment_type", "ALIPAYCN"}, "-4"},
		{"paytype in lower case", []string{"paytype", "wechat"}, "-4"},
		{"wallet of another paytype", []string{"payment_type", "ALIPAYCN"}, "-4"},
		{"no wallet", []string{"payment_type", "-"}, "-4"},
		{"terminal too long", []string{"tid", long[:21]}, "-4"},
		{"no terminal, no reason", []string{"tid", "-", "refund_desc", "-"}, ""},
		{"reason too long", []string{"refund_desc", long}, "-4"},
		{"reason of 256 runes", []string{"refund_desc", strings.Repeat("退", 256)}, ""},
		{"notify_url too long", []string{"notify_url", "http://x/" + long[:240]}, "-4"},
		{"notify_url relative", []string{"notify_url", "/callback"}, "-4"},
		{"notify_url of another scheme", []string{"notify_url", "ftp://x/y"}, "-4"},
		{"unknown field", []string{"amount", "1"}, "-4"},
		{"no time", []string{"time", "-"}, "-4"},
		{"time in another form", []string{"time", "2023-06-09 11:06:46"}, "-4"},
		{"time with milliseconds", []string{"time", "20230609110646.5"}, "-4"},
	}
	for i, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			c := open(t, nil)
			a := c.eftRefund(fmt.Sprint("R", i), x.set...)
			want := x.code
			if want == "" {
				want = "00"
			}
			if got := a.field("return_status"); got != want || a.status != 200 {
				t.Fatalf("return_status %q, want %q: %s", got, want, a.body)
			}
			signed := eftpayVerify(eftSecret, a.fields, false)
			if signed != (x.code == "") {
				t.Errorf("signed: %v, but only a status of 00 or above is", signed)
			}
			if n := len(c.sim.Ledger()); (n == 1) != (x.code == "") {
				t.Errorf("%d movements", n)
			}
			if list, _ := c.sim.Refusals(); x.code != "" && (len(list) != 1 || list[0].Code != x.code || list[0].Reason == "") {
				t.Errorf("refusals %v", list)
			}
		})
	}
}

func TestEftPayHTTPValidation(t *testing.T) {
	c := open(t, nil)
	raw := func(body string) answer { return c.eftSend("/VMP/Servlet/JSAPIService.do", []byte(body)) }
	for name, body := range map[string]string{
		"array":            `[]`,
		"empty":            ``,
		"not UTF-8":        "{\"a\":\"\xff\"}",
		"key twice":        `{"service":"a","service":"b"}`,
		"nested":           `{"service":{"a":"b"}}`,
		"bytes after it":   `{"service":"a"} x`,
		"number for a key": fmt.Sprintf(`{"user_confirm_key":%q,"transaction_amount":0.01}`, eftMerchant),
	} {
		if got := raw(body).field("return_status"); got != "-1" {
			t.Errorf("%s: return_status %q, want -1", name, got)
		}
	}
	if a := raw(`{"x":"` + strings.Repeat("y", maxRequest) + `"}`); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("over 64 KiB: HTTP %d, want 413", a.status)
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://sim/VMP/Servlet/JSAPIService.do", nil)
	if response, err := c.http.Do(r); err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v %v, want 405", response, err)
	} else {
		response.Body.Close()
	}
	response, err := c.http.Post("http://sim/VMP/Servlet/JSAPIService.do", "application/x-www-form-urlencoded", strings.NewReader("a=b"))
	if err != nil || response.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a form: %v %v, want 415", response, err)
	} else {
		response.Body.Close()
	}
}

func TestEftPayTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, nil)
		at := func(d time.Duration, zone *time.Location) answer {
			return c.eftRefund("R1", "time", time.Now().Add(d).In(zone).Format("20060102150405"))
		}
		for _, d := range []time.Duration{0, 5 * time.Minute, -5 * time.Minute} {
			if got := at(d, vendorZone).field("return_status"); got != "00" {
				t.Errorf("time off by %v: return_status %q, want 00", d, got)
			}
		}
		for _, d := range []time.Duration{5*time.Minute + time.Second, -5*time.Minute - time.Second, 24 * time.Hour} {
			a := at(d, vendorZone)
			if a.field("return_status") != "12" || !eftpayVerify(eftSecret, a.fields, false) {
				t.Errorf("time off by %v: %s, want 12, signed", d, a.body)
			}
		}
		if got := at(0, time.UTC).field("return_status"); got != "12" {
			t.Errorf("time in UTC: return_status %q, want 12", got)
		}
		c.wantMoved(eftMerchant, "R1", 3, 3)
		c.sim.Close()
	})
}

func TestEftPayWalletOfTheSale(t *testing.T) {
	c := open(t, nil)
	c.eftRefund("R1")
	a := c.eftRefund("R2", "payment_type", "WECHATHK")
	if a.field("return_status") != "-5" {
		t.Errorf("another wallet than the sale's: %s, want -5", a.body)
	}
	c.wantMoved(eftMerchant, "R2", 0, 0)
}

func TestEftPayNotifyPorts(t *testing.T) {
	c := open(t, func(cfg *Config) { cfg.NotifyPorts = true })
	if got := c.eftApply("R1", "notify_url", "https://us.example:8443/x").field("return_status"); got != "-4" {
		t.Errorf("port 8443: return_status %q, want -4", got)
	}
	for _, u := range []string{"https://us.example:443/x", "http://us.example:80/x", "https://us.example/x"} {
		if got := c.eftApply("R1", "notify_url", u).field("return_status"); got != "00" {
			t.Errorf("%s: return_status %q, want 00", u, got)
		}
	}
}

func TestEftPayQueries(t *testing.T) {
	c := open(t, nil)
	if err := c.sim.ScriptQueries("lost", Step{}); err != nil {
		t.Fatal(err)
	}
	if a := c.eftQuery("lost"); a.field("return_status") != "40" || a.field("trade_status") != "" || !eftpayVerify(eftSecret, a.fields, false) {
		t.Errorf("query A for an unknown refund: %s, want 40, signed", a.body)
	}
	if a := c.eftQueryB("lost"); a.field("return_status") != "40" {
		t.Errorf("query B for an unknown refund: %s, want 40", a.body)
	}
	sent := c.eftRefund("R1")
	a := c.eftQuery("R1")
	for k, v := range map[string]string{"trade_status": "TRADE_REFUND", "extra_trade_no": "R1", "trade_type": "REFUND",
		"out_trade_no": "rrn_1686280006045", "original_amount": "10.01", "transaction_amount": "0.01", "currency": "HKD",
		"eftpay_trade_no": sent.field("eftpay_trade_no")} {
		if a.field(k) != v {
			t.Errorf("query A: %s = %q, want %q", k, a.field(k), v)
		}
	}
	b := c.eftQueryB("R1")
	if b.field("trade_status") != "TRADE_REFUND" || b.field("refund_status") != "SUCCESS" || b.field("refund_no") != "R1" {
		t.Errorf("query B: %s", b.body)
	}
	byTrade := []string{"querytype", "EFT_TRADE", "out_trade_no", "-", "eft_trade_no", sent.field("eftpay_trade_no")}
	if b := c.eftQueryB("R1", byTrade...); b.field("refund_status") != "SUCCESS" {
		t.Errorf("query B by eft_trade_no: %s", b.body)
	}
	byTrade[5] = "E1"
	if b := c.eftQueryB("R1", byTrade...); b.field("return_status") != "40" {
		t.Errorf("query B by an unknown eft_trade_no: %s, want 40", b.body)
	}
	if a := c.eftQuery("R1", "out_trade_no", "another"); a.field("return_status") != "40" {
		t.Errorf("query of another order: %s, want 40", a.body)
	}
	// Without refund_no the answer is the sale's, and names no refund.
	if a := c.eftQuery("", "refund_no", "-"); a.field("trade_status") != "TRADE_SUCCESS" || a.field("extra_trade_no") != "" {
		t.Errorf("query of the sale: %s", a.body)
	}
	if a := c.eftQuery("", "refund_no", "-", "out_trade_no", "another"); a.field("return_status") != "-6" {
		t.Errorf("query of an unknown sale: %s, want -6", a.body)
	}
	if err := c.sim.RegisterSale(eftMerchant, Sale{Order: "another", Total: 5, Paytype: "WeChat", Wallet: "WECHATCN", Status: "TRADE_CLOSED"}); err != nil {
		t.Fatal(err)
	}
	if a := c.eftQuery("", "refund_no", "-", "out_trade_no", "another"); a.field("trade_status") != "TRADE_CLOSED" || a.field("original_amount") != "0.05" {
		t.Errorf("query of a registered sale: %s", a.body)
	}
	for name, set := range map[string][]string{"querytype": {"querytype", "EFT"}, "wallet": {"payment_type", "x"}, "extra": {"service", "x"}, "order": {"out_trade_no", "-"}} {
		if a := c.eftQuery("R1", set...); a.field("return_status") != "-4" {
			t.Errorf("query A with a bad %s: %s, want -4", name, a.body)
		}
	}
	for name, set := range map[string][]string{"querytype": {"querytype", "EFT"}, "refund_no": {"refund_no", "-"}, "order": {"out_trade_no", "-"}, "trade": {"querytype", "EFT_TRADE"}} {
		if a := c.eftQueryB("R1", set...); a.field("return_status") != "-4" {
			t.Errorf("query B with a bad %s: %s, want -4", name, a.body)
		}
	}
	r, _ := c.sim.Refund(eftMerchant, "R1")
	if r.Queries != 5 || r.Calls != 1 || r.Status != "TRADE_REFUND" || r.Total != 1001 {
		t.Errorf("refund %+v, want 5 valid queries and 1 call", r)
	}
}

func TestEftPayApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{reply: acknowledge(time.Now)}
		c := open(t, func(cfg *Config) { cfg.CallbackTransport = d })
		if a := c.eftApply("R1"); a.field("trade_status") != "APPLY_SUCCESS" {
			t.Errorf("answer to the application: %s", a.body)
		}
		if a := c.eftQueryB("R1"); a.field("trade_status") != "APPLY_SUCCESS" || a.field("refund_status") != "PROCESSING" {
			t.Errorf("query before the end: %s", a.body)
		}
		c.wantMoved(eftMerchant, "R1", 0, 0)
		pass(time.Second)
		c.wantMoved(eftMerchant, "R1", 1, 1)
		if a := c.eftQuery("R1"); a.field("trade_status") != "TRADE_REFUND" {
			t.Errorf("query after the end: %s", a.body)
		}
		if got := c.sim.Deliveries("R1"); len(got) != 1 || !got[0].Acknowledged || got[0].Status != "TRADE_REFUND" {
			t.Errorf("deliveries %+v, want one that is acknowledged", got)
		}
		// notify_url has its effect only here.
		c.eftRefund("R2", "notify_url", shopURL)
		synctest.Wait()
		if got := c.sim.Deliveries("R2"); len(got) != 0 {
			t.Errorf("a direct refund was notified: %+v", got)
		}
		c.sim.Close()
	})
}
