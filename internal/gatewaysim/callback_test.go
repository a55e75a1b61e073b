package gatewaysim

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCallbackSchedule(t *testing.T) {
	virtual(t, nil, func(t *testing.T, c *shop, d *desk) {
		d.reply = func(int, string) (int, string) { return 503, "not now" }
		start := time.Now()
		c.eftApply("R1")
		pass(48 * time.Hour)
		got := c.sim.Deliveries("R1")
		if len(got) != 1+len(wechatSchedule) {
			t.Fatalf("%d tries, want %d", len(got), 1+len(wechatSchedule))
		}
		due := start.Add(time.Second) // SettleAfter
		for i, x := range got {
			if x.Try != i+1 || x.HTTPStatus != 503 || x.Acknowledged || x.Problem == "" || !x.Time.Equal(due) {
				t.Errorf("try %d: %+v, want at %v", i+1, x, due)
			}
			if x.GaveUp != (i == len(wechatSchedule)) {
				t.Errorf("try %d: gave up %v", i+1, x.GaveUp)
			}
			if i < len(wechatSchedule) {
				due = due.Add(wechatSchedule[i])
			}
		}
	})
}

func TestCallbackStopsOnceAcknowledged(t *testing.T) {
	virtual(t, func(cfg *Config) { cfg.CallbackScale = 1000 }, func(t *testing.T, c *shop, d *desk) {
		good := d.reply
		d.reply = func(n int, body string) (int, string) {
			if n < 3 {
				return 500, ""
			}
			return good(n, body)
		}
		c.blueRefund("B1", nil)
		pass(time.Second + 30*time.Millisecond) // 15 s and 15 s, a thousandth
		pass(48 * time.Hour)
		got := c.sim.Deliveries("B1")
		if len(got) != 3 || !got[2].Acknowledged || got[1].Acknowledged {
			t.Errorf("deliveries %+v, want the third acknowledged", got)
		}
	})
}

func TestReplies(t *testing.T) {
	stamp := time.Now().In(vendorZone).Format("20060102150405")
	signed := func(code, at string) string {
		f := map[string]value{"return_code": {kindString, code}, "time": {kindString, at}}
		b, _ := json.Marshal(map[string]string{"return_code": code, "time": at, "sign": eftpaySign(eftSecret, f, false)})
		return string(b)
	}
	for name, x := range map[string]struct {
		app    string
		word   bool
		status int
		reply  string
		ok     bool
	}{
		"signed":              {eftMerchant, false, 200, signed("success", stamp), true},
		"signed but 201":      {eftMerchant, false, 201, signed("success", stamp), false},
		"signed false":        {eftMerchant, false, 200, signed("false", stamp), false},
		"stale":               {eftMerchant, false, 200, signed("success", "20000101000000"), false},
		"unsigned":            {eftMerchant, false, 200, `{"return_code":"success","time":"` + stamp + `"}`, false},
		"the word for JSON":   {eftMerchant, false, 200, "success", false},
		"the word":            {eftMerchant, true, 200, "success\n", true},
		"JSON for the word":   {eftMerchant, true, 200, signed("success", stamp), false},
		"empty":               {eftMerchant, true, 200, "", false},
		"bluepay":             {blueApp, false, 200, `{"code":10000,"message":"Success"}`, true},
		"bluepay string code": {blueApp, false, 200, `{"code":"10000","message":"Success"}`, false},
		"bluepay other code":  {blueApp, false, 200, `{"code":21000,"message":"Success"}`, false},
		"bluepay lower case":  {blueApp, false, 200, `{"code":10000,"message":"success"}`, false},
		"bluepay 503":         {blueApp, false, 503, `{"code":10000,"message":"Success"}`, false},
		"bluepay empty":       {blueApp, false, 200, ``, false},
	} {
		c := open(t, func(cfg *Config) {
			cfg.EftPay[0].ReplyWord = x.word
			cfg.CallbackTransport = &desk{reply: func(int, string) (int, string) { return x.status, x.reply }}
		})
		d, err := c.sim.Notify(t.Context(), x.app, "R1", Notification{URL: shopURL})
		if err != nil || d.Acknowledged != x.ok || d.HTTPStatus != x.status || (d.Problem == "") != x.ok {
			t.Errorf("%s: %+v %v, want acknowledged %v", name, d, err, x.ok)
		}
	}
}

// verified tells which notifications a merchant would believe.
func (c *shop) verified(body string) (map[string]value, bool) {
	fields, err := parseFlat([]byte(body))
	if err != nil {
		c.t.Fatalf("notification %s: %v", body, err)
	}
	if fields["param"].text == "" {
		return fields, eftpayVerify(eftSecret, fields, false)
	}
	param, err := parseFlat([]byte(fields["param"].text))
	if err != nil {
		c.t.Fatalf("param %s: %v", fields["param"].text, err)
	}
	return param, bluepayVerify(&c.blue.GatewayKey.PublicKey, fields["param"].text, fields["sign"].text)
}

func TestSignaturesOfNotifications(t *testing.T) {
	c := open(t, func(cfg *Config) { cfg.SettleAfter = -1 })
	d := &desk{reply: acknowledge(time.Now)}
	c.sim.outbox.client.Transport = d
	c.eftApply("R1", "notify_url", "-")
	c.blueRefund("B1", map[string]any{"refundCallbackUrl": nil})
	for merchant, no := range map[string]string{eftMerchant: "R1", blueApp: "B1"} {
		for _, sign := range []Sign{SignTrue, SignBad, SignMissing, SignForeign, SignTampered} {
			got, err := c.sim.Notify(t.Context(), merchant, no, Notification{URL: shopURL, Sign: sign})
			if err != nil || got.Sign != sign || got.HTTPStatus != 200 {
				t.Fatalf("%s %s: %+v %v", no, sign, got, err)
			}
			all := d.bodies()
			fields, ok := c.verified(all[len(all)-1])
			if ok != (sign == SignTrue) {
				t.Errorf("%s with sign %q: verified %v", no, sign, ok)
			}
			amount := fields["return_amount"].text + fields["refundAmount"].text
			if (sign == SignTampered) != (amount == "1.01" || amount == "10100") {
				t.Errorf("%s with sign %q: amount %s", no, sign, amount)
			}
		}
	}
	if _, err := c.sim.Notify(t.Context(), eftMerchant, "R1", Notification{}); err == nil {
		t.Error("no address, and no error")
	}
	if _, err := c.sim.Notify(t.Context(), "nobody", "R1", Notification{URL: shopURL}); err == nil {
		t.Error("no such merchant, and no error")
	}
	if _, err := c.sim.Notify(t.Context(), eftMerchant, "R1", Notification{URL: shopURL, Sign: "x"}); err == nil {
		t.Error("no such sign, and no error")
	}
}

func TestForge(t *testing.T) {
	c := open(t, nil)
	d := &desk{reply: func(int, string) (int, string) { return http.StatusUnauthorized, "" }}
	c.sim.outbox.client.Transport = d
	for merchant, status := range map[string]string{eftMerchant: "TRADE_REFUND", blueApp: "COMPLETE"} {
		got, err := c.sim.Forge(t.Context(), merchant, "never", shopURL)
		if err != nil || got.HTTPStatus != 401 || got.Acknowledged || got.Status != status {
			t.Errorf("%s: %+v %v, want a 401 to %s", merchant, got, err, status)
		}
	}
	for _, body := range d.bodies() {
		if _, ok := c.verified(body); ok {
			t.Errorf("the forged %s verifies", body)
		}
	}
	c.wantMoved(eftMerchant, "never", 0, 0)
}

// A callback of a refund that was never requested here.
func TestNotifyOfAnUnknownRefund(t *testing.T) {
	c := open(t, nil)
	d := &desk{reply: acknowledge(time.Now)}
	c.sim.outbox.client.Transport = d
	n := Notification{URL: shopURL, Amount: 250, Fields: map[string]any{"out_trade_no": "o9", "total_fee": "5"}}
	if got, err := c.sim.Notify(t.Context(), eftMerchant, "R9", n); err != nil || !got.Acknowledged {
		t.Fatalf("%+v %v", got, err)
	}
	fields, ok := c.verified(d.bodies()[0])
	if !ok || fields["refund_no"].text != "R9" || fields["return_amount"].text != "2.5" || fields["out_trade_no"].text != "o9" || fields["trade_status"].text != "TRADE_REFUND" {
		t.Errorf("notification %v, verified %v", fields, ok)
	}
}

func TestShapesOfEftPay(t *testing.T) {
	c := open(t, func(cfg *Config) { cfg.SettleAfter = -1 })
	d := &desk{reply: acknowledge(time.Now)}
	c.sim.outbox.client.Transport = d
	c.eftApply("R1", "notify_url", "-")
	both := []string{"notify_type", "trade_type", "user_confirm_key", "transaction_id", "out_trade_no", "eftpay_trade_no", "total_fee",
		"return_amount", "refund_no", "trade_status", "gmt_payment", "tid", "time", "sign"}
	for shape, own := range map[Shape][]string{
		ShapeSeed:  {"trade_no", "eft_trade_no", "currency", "wallet"},
		ShapeJSAPI: {"paytype", "payment_type", "fee_type", "rate", "refund_trade_no", "scene_type"},
	} {
		if _, err := c.sim.Notify(t.Context(), eftMerchant, "R1", Notification{URL: shopURL, Shape: shape}); err != nil {
			t.Fatal(err)
		}
		all := d.bodies()
		fields, ok := c.verified(all[len(all)-1])
		if !ok || len(fields) != len(both)+len(own) {
			t.Errorf("%s: %v, verified %v, want %d fields", shape, fields, ok, len(both)+len(own))
		}
		for _, name := range append(both, own...) {
			if fields[name].text == "" {
				t.Errorf("%s: %s is missing", shape, name)
			}
		}
		if fields["trade_type"].text != "REFUND" {
			t.Errorf("%s: trade_type %s", shape, fields["trade_type"].text)
		}
	}
}

func TestScriptedCallbacks(t *testing.T) {
	virtual(t, func(cfg *Config) { cfg.MagicAmounts = true }, func(t *testing.T, c *shop, d *desk) {
		ns := []Notification{
			{Sign: SignForeign, Once: true},
			{Amount: 2, Once: true},
			{RefundNo: "other", Once: true},
			{},
			{},
			{After: time.Second, Status: "TRADE_PROCESSING", Once: true},
			{After: time.Hour, Fields: map[string]any{"trade_type": nil}},
			{Skip: true},
		}
		if err := c.sim.ScriptNotifications("R1", ns...); err != nil {
			t.Fatal(err)
		}
		c.eftApply("R1")
		pass(time.Second)
		if got := len(d.bodies()); got != 5 {
			t.Fatalf("%d callbacks at the end, want 5", got)
		}
		pass(time.Second)
		if got := len(d.bodies()); got != 6 {
			t.Fatalf("%d callbacks a second later, want 6", got)
		}
		if f, _ := c.verified(d.bodies()[5]); f["trade_status"].text != "TRADE_PROCESSING" {
			t.Errorf("the overtaken one says %s", f["trade_status"].text)
		}
		pass(time.Hour)
		if f, ok := c.verified(d.bodies()[6]); !ok || f["trade_type"].text != "" {
			t.Errorf("the late one: %v, want it without trade_type", f)
		}
		seen := map[string]int{}
		for _, body := range d.bodies()[:5] {
			f, ok := c.verified(body)
			switch {
			case !ok:
				seen["forged"]++
			case f["return_amount"].text == "0.02":
				seen["amount"]++
			case f["refund_no"].text == "other":
				seen["other"]++
			default:
				seen["true"]++
			}
		}
		if seen["forged"] != 1 || seen["amount"] != 1 || seen["other"] != 1 || seen["true"] != 2 {
			t.Errorf("callbacks %v", seen)
		}
	})
}

func TestCallbackBeforeTheAnswer(t *testing.T) {
	virtual(t, func(cfg *Config) { cfg.MagicAmounts = true }, func(t *testing.T, c *shop, d *desk) {
		answered := false
		good := d.reply
		d.reply = func(n int, body string) (int, string) {
			if answered {
				t.Error("the callback came after the answer")
			}
			return good(n, body)
		}
		b, err := Named("callback_first")
		if err != nil {
			t.Fatal(err)
		}
		a := c.blueRefund("B1", map[string]any{"refundAmount": b.Amount})
		answered = true
		if a.data["refundStatus"] != "COMPLETE" || len(d.bodies()) != 1 {
			t.Errorf("answer %s after %d callbacks", a.body, len(d.bodies()))
		}
		pass(time.Hour)
		if len(d.bodies()) != 1 {
			t.Errorf("%d callbacks, want 1", len(d.bodies()))
		}
	})
}

func TestEventNames(t *testing.T) {
	virtual(t, nil, func(t *testing.T, c *shop, d *desk) {
		for _, x := range []struct {
			no     string
			result Result
			event  string
		}{{"S", Succeed, "payment.refund.success"}, {"F", Fail, "payment.refund.failed"}, {"C", Cancel, "payment.refund.cancel"}} {
			if err := c.sim.Script(x.no, Step{Result: x.result, SettleAfter: time.Second}); err != nil {
				t.Fatal(err)
			}
			c.blueRefund(x.no, nil)
			pass(time.Second)
			all := d.bodies()
			if f, ok := c.verified(all[len(all)-1]); !ok || f["eventName"].text != x.event {
				t.Errorf("%s: eventName %s, want %s", x.no, f["eventName"].text, x.event)
			}
		}
		if err := c.sim.ScriptNotifications("X", Notification{Event: "payment.refund.failed"}); err != nil {
			t.Fatal(err)
		}
		c.blueRefund("X", nil)
		pass(time.Second)
		all := d.bodies()
		if f, _ := c.verified(all[len(all)-1]); f["eventName"].text != "payment.refund.failed" || f["refundStatus"].text != "COMPLETE" {
			t.Errorf("event and status that disagree: %v", f)
		}
	})
}

func TestReverseIsNotified(t *testing.T) {
	virtual(t, nil, func(t *testing.T, c *shop, d *desk) {
		c.blueRefund("B1", nil)
		pass(time.Second)
		if err := c.sim.Settle(blueApp, "B1", Reverse); err != nil {
			t.Fatal(err)
		}
		pass(0)
		if all := c.sim.Deliveries("B1"); len(all) != 2 || all[0].Status != "COMPLETE" || all[1].Status != "FAILED" {
			t.Errorf("deliveries %+v, want COMPLETE, then FAILED", all)
		}
	})
}

func TestCallbackTimeout(t *testing.T) {
	virtual(t, func(cfg *Config) { cfg.CallbackSchedule = []time.Duration{} }, func(t *testing.T, c *shop, d *desk) {
		c.sim.outbox.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		c.eftApply("R1")
		pass(12 * time.Second)
		got := c.sim.Deliveries("R1")
		if len(got) != 1 || got[0].HTTPStatus != 0 || !strings.Contains(got[0].Problem, "10s") || !got[0].GaveUp {
			t.Errorf("deliveries %+v, want one without a reply within 10s", got)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
