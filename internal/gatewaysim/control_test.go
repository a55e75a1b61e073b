package gatewaysim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func ask(t *testing.T, h http.Handler, method, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	b, _ := io.ReadAll(w.Body)
	return w.Code, string(b)
}

func TestControl(t *testing.T) {
	c := open(t, nil)
	c.sim.outbox.client.Transport = &desk{reply: acknowledge(time.Now)}
	h := c.sim.Control()
	command := `{"scripts":{"R1":{"calls":[{"code":"51","result":"succeed","delay":"1ms","fields":{"x":1}},{"result":"process","times":-1}],
		"queries":[{"answer":"html","http_status":502}],"notifications":[{"sign":"foreign","once":true,"after":"1s"}]}}}`
	if code, body := ask(t, h, "POST", "/control", command); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	sc := c.sim.ScriptOf("R1")
	if len(sc.Calls) != 2 || sc.Calls[0].Code != "51" || sc.Calls[0].Delay != time.Millisecond || sc.Calls[0].Result != Succeed ||
		sc.Calls[1].Times != -1 || sc.Queries[0].HTTPStatus != 502 || sc.Notifications[0].After != time.Second || !sc.Notifications[0].Once {
		t.Errorf("script %+v", sc)
	}
	// What is shown can be sent again.
	code, shown := ask(t, h, "GET", "/control", "")
	var view struct {
		Scripts    map[string]json.RawMessage
		Behaviours []string
		Refusing   *bool
	}
	if err := json.Unmarshal([]byte(shown), &view); err != nil || code != 200 || len(view.Scripts) != 1 || len(view.Behaviours) != len(behaviours) || view.Refusing == nil {
		t.Fatalf("GET /control: %d %v %s", code, err, shown)
	}
	again, _ := json.Marshal(map[string]any{"scripts": map[string]json.RawMessage{"R2": view.Scripts["R1"]}})
	if code, body := ask(t, h, "POST", "/control", string(again)); code != 200 || fmt.Sprint(c.sim.ScriptOf("R2")) != fmt.Sprint(c.sim.ScriptOf("R1")) {
		t.Errorf("sent again: %d %s", code, body)
	}
	if a := c.eftRefund("R1"); a.field("return_status") != "51" || a.field("x") != "1" {
		t.Errorf("scripted call: %s", a.body)
	}
	command = `{"sales":[{"merchant":"S0003469","order":"o7","total":700,"paid_at":"2024-07-31T16:37:40+08:00"}],"generator":{"seed":3,"rates":{"decline":1000}},
		"notify":[{"merchant":"S0003469","refund_no":"R1","notification":{"url":"http://us.example/x","sign":"bad"}}]}`
	code, body := ask(t, h, "POST", "/control", command)
	var out struct{ Deliveries []Delivery }
	if err := json.Unmarshal([]byte(body), &out); code != 200 || err != nil || len(out.Deliveries) != 1 || out.Deliveries[0].Sign != SignBad || out.Deliveries[0].RefundNo != "R1" {
		t.Errorf("POST: %d %s", code, body)
	}
	if a := c.eftQuery("", "refund_no", "-", "out_trade_no", "o7"); a.field("original_amount") != "7" {
		t.Errorf("registered sale: %s", a.body)
	}
	if a := c.eftRefund("R3"); a.field("trade_status") != "TRADE_FAIL" {
		t.Errorf("generated: %s", a.body)
	}
	if err := c.sim.Script("R4", Step{Result: Process}); err != nil {
		t.Fatal(err)
	}
	c.eftRefund("R4")
	if code, body := ask(t, h, "POST", "/control", `{"settle":[{"merchant":"S0003469","refund_no":"R4","result":"succeed"}]}`); code != 200 {
		t.Errorf("settle: %d %s", code, body)
	}
	c.wantMoved(eftMerchant, "R4", 1, 1)
	if code, body := ask(t, h, "POST", "/control", "{}"); code != 200 {
		t.Errorf("an empty command: %d %s", code, body)
	}
}

func TestControlErrors(t *testing.T) {
	c := open(t, nil)
	for name, command := range map[string]string{
		"not JSON":       "{",
		"two documents":  "{}{}",
		"unknown field":  `{"script":{}}`,
		"unknown step":   `{"scripts":{"R1":{"calls":[{"reply":"x"}]}}}`,
		"unknown answer": `{"scripts":{"R1":{"calls":[{"answer":"x"}]}}}`,
		"bad delay":      `{"scripts":{"R1":{"calls":[{"delay":"soon"}]}}}`,
		"bad rate":       `{"generator":{"rates":{"x":1}}}`,
		"bad merchant":   `{"sales":[{"merchant":"x","order":"o"}]}`,
		"bad settle":     `{"settle":[{"merchant":"S0003469","refund_no":"R9","result":"succeed"}]}`,
		"bad notify":     `{"notify":[{"merchant":"S0003469","refund_no":"R9"}]}`,
	} {
		if code, body := ask(t, c.sim.Control(), "POST", "/control", command); code != 400 || body == "" {
			t.Errorf("%s: %d %q, want 400 and a reason", name, code, body)
		}
	}
}

func TestLinesOfTheControlPage(t *testing.T) {
	c := open(t, nil)
	c.sim.outbox.client.Transport = &desk{reply: acknowledge(time.Now)}
	c.eftRefund("R1")
	c.eftRefund("R2", "total_fee", "x")
	if _, err := c.sim.Forge(t.Context(), eftMerchant, "R1", shopURL); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/ledger": `"refund_no":"R1"`, "/callbacks": `"sign":"foreign"`, "/refusals": `total_fee`, "/healthz": "ok"} {
		code, body := ask(t, c.sim.Control(), "GET", path, "")
		if code != 200 || strings.Count(body, "\n") != 1 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q, want one line with %s", path, code, body, want)
		}
	}
	var e Entry
	_, body := ask(t, c.sim.Control(), "GET", "/ledger", "")
	if err := json.Unmarshal([]byte(body), &e); err != nil || e.Amount != 1 || e.Merchant != eftMerchant || e.Order == "" || e.Calls != 1 {
		t.Errorf("ledger line %s: %+v %v", body, e, err)
	}
}

func TestControlRefuses(t *testing.T) {
	virtual(t, nil, func(t *testing.T, c *shop, _ *desk) {
		if code, _ := ask(t, c.sim.Control(), "POST", "/control", `{"refuse_for":"10s"}`); code != 200 {
			t.Fatalf("HTTP %d", code)
		}
		if a := c.eftRefund("R1"); a.err == nil {
			t.Error("answered")
		}
		if _, body := ask(t, c.sim.Control(), "GET", "/control", ""); !strings.Contains(body, `"refusing": true`) {
			t.Errorf("GET /control: %s", body)
		}
		pass(10 * time.Second)
		if a := c.eftRefund("R1"); a.err != nil {
			t.Error(a.err)
		}
	})
}
