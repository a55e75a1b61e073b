package gatewaysim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each answer, over a real socket and in process: what the client sees, and
// that the money moved all the same.
func TestAnswersOfTheTransport(t *testing.T) {
	cases := []struct {
		step Step
		see  func(answer) error
	}{
		{Step{Answer: Reset}, func(a answer) error {
			if !errors.Is(a.err, syscall.ECONNRESET) {
				return fmt.Errorf("error %v, want a reset", a.err)
			}
			return nil
		}},
		{Step{Answer: Hangup}, func(a answer) error {
			if !errors.Is(a.err, io.EOF) && !errors.Is(a.err, io.ErrUnexpectedEOF) {
				return fmt.Errorf("error %v, want an end of file", a.err)
			}
			return nil
		}},
		{Step{Answer: HTML}, func(a answer) error { return wantBody(a, 500, "<html>") }},
		{Step{Answer: HTML, HTTPStatus: 429}, func(a answer) error { return wantBody(a, 429, "<html>") }},
		{Step{HTTPStatus: 503}, func(a answer) error { return wantBody(a, 503, "{") }},
		{Step{Answer: Garbage}, func(a answer) error {
			if _, err := parseFlat(a.body); err == nil {
				return errors.New("garbage is JSON")
			}
			return wantBody(a, 200, "oops")
		}},
		{Step{Answer: Empty}, func(a answer) error {
			if len(a.body) != 0 {
				return fmt.Errorf("body %q, want none", a.body)
			}
			return wantBody(a, 200, "")
		}},
		{Step{Answer: Truncated}, func(a answer) error {
			if !errors.Is(a.err, io.ErrUnexpectedEOF) || len(a.body) == 0 {
				return fmt.Errorf("error %v after %d bytes, want an early end", a.err, len(a.body))
			}
			return nil
		}},
		{Step{Answer: Oversized}, func(a answer) error {
			if len(a.body) < oversize || !bytes.HasSuffix(a.body, []byte("}")) {
				return fmt.Errorf("%d bytes, want more than 8 MiB", len(a.body))
			}
			return wantBody(a, 200, "")
		}},
		{Step{Answer: Drip, Every: time.Microsecond}, func(a answer) error { return wantBody(a, 200, "{") }},
		{Step{Answer: Redirect}, func(a answer) error {
			if got := a.header.Get("Location"); got == "" {
				return errors.New("no Location")
			}
			return wantBody(a, 307, "")
		}},
	}
	for _, socket := range []bool{false, true} {
		for _, x := range cases {
			t.Run(fmt.Sprintf("socket=%v/%s%d", socket, x.step.Answer, x.step.HTTPStatus), func(t *testing.T) {
				c := open(t, nil)
				if socket {
					c.overSocket()
				}
				step := x.step
				step.Result = Succeed
				quiet := map[string]any{"refundCallbackUrl": nil}
				for _, no := range []string{"R1", "B1"} {
					if err := c.sim.Script(no, step); err != nil {
						t.Fatal(err)
					}
				}
				if err := x.see(c.eftRefund("R1")); err != nil {
					t.Errorf("eftpay: %v", err)
				}
				if err := x.see(c.blueRefund("B1", quiet)); err != nil {
					t.Errorf("bluepay: %v", err)
				}
				c.wantMoved(eftMerchant, "R1", 1, 1)
				c.wantMoved(blueApp, "B1", 10000, 1)
				if a := c.eftQuery("R1"); a.field("trade_status") != "TRADE_REFUND" {
					t.Errorf("the query afterwards: %s", a.body)
				}
			})
		}
	}
}

func wantBody(a answer, status int, part string) error {
	if a.err != nil || a.status != status || !strings.Contains(string(a.body), part) {
		return fmt.Errorf("HTTP %d %.80q %v, want %d with %q", a.status, a.body, a.err, status, part)
	}
	return nil
}

func TestHangEndsWithTheClient(t *testing.T) {
	for _, socket := range []bool{false, true} {
		c := open(t, nil)
		arrived, ended := make(chan struct{}), make(chan struct{})
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(arrived)
			defer close(ended)
			c.sim.Handler().ServeHTTP(w, r)
		})
		c.http.Transport = InProcess(h, c.sim)
		if socket {
			server, err := c.sim.ListenWith("127.0.0.1:0", h)
			if err != nil {
				t.Fatal(err)
			}
			c.base, c.http.Transport = server.URL(), &http.Transport{DisableKeepAlives: true}
		}
		if err := c.sim.Script("R1", TimeOutAfter()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		a := c.post(ctx, "/VMP/Servlet/JSAPIService.do", c.eft(eftRefundFields("R1")))
		if !errors.Is(a.err, context.Canceled) {
			t.Errorf("socket %v: %v, want the client's own end", socket, a.err)
		}
		<-ended
		c.wantMoved(eftMerchant, "R1", 1, 1)
	}
}

// A client that follows the redirect pays, and pays twice where the first
// call did.
func TestRedirectCatchesAFollower(t *testing.T) {
	c := open(t, nil).overSocket()
	if err := c.sim.Script("R1", Step{Result: Succeed, Answer: Redirect}); err != nil {
		t.Fatal(err)
	}
	c.http.CheckRedirect = nil
	if a := c.eftRefund("R1"); a.field("return_status") != "00" {
		t.Fatalf("followed: %s", a.body)
	}
	c.wantMoved(eftMerchant, "R1", 2, 2)
}

func TestContentOfAnswers(t *testing.T) {
	c := open(t, nil)
	quiet := map[string]any{"refundCallbackUrl": nil}
	eft := func(step Step) answer {
		t.Helper()
		if err := c.sim.SetScript("R1", Script{Calls: []Step{step}}); err != nil {
			t.Fatal(err)
		}
		return c.eftRefund("R1")
	}
	blue := func(step Step) answer {
		t.Helper()
		if err := c.sim.SetScript("B1", Script{Calls: []Step{step}}); err != nil {
			t.Fatal(err)
		}
		return c.blueRefund("B1", quiet)
	}
	if a := eft(Step{Answer: Unsigned}); a.field("return_status") != "00" || a.field("sign") != "" {
		t.Errorf("unsigned: %s", a.body)
	}
	if a := eft(Step{Answer: BadSign}); len(a.field("sign")) != 64 || eftpayVerify(eftSecret, a.fields, false) {
		t.Errorf("badly signed: %s", a.body)
	}
	for name, x := range map[string]struct {
		step        Step
		field, want string
	}{
		"unknown status":    {Step{Answer: UnknownStatus}, "trade_status", "TRADE_MYSTERY"},
		"unknown code":      {Step{Answer: UnknownCode}, "return_status", "77"},
		"contradict":        {Step{Answer: Contradict}, "trade_status", "TRADE_FAIL"},
		"contradict a fail": {Step{Answer: Contradict, Result: Decline}, "trade_status", "TRADE_REFUND"},
		"other refund":      {Step{Answer: OtherRefund}, "refund_no", "XR1"},
		"other amount":      {Step{Answer: OtherAmount}, "transaction_amount", "1.01"},
		"status":            {Step{Status: "TRADE_FAILED"}, "trade_status", "TRADE_FAILED"},
		"code":              {Step{Code: "51"}, "return_status", "51"},
		"declined":          {Step{Result: Decline}, "trade_status", "TRADE_FAIL"},
		"cancelled":         {Step{Result: Cancel}, "trade_status", "TRADE_FAIL"},
		"field":             {Step{Fields: map[string]any{"new_field": "x"}}, "new_field", "x"},
		"field removed":     {Step{Fields: map[string]any{"tid": nil}}, "tid", ""},
		"number":            {Step{Fields: map[string]any{"total_fee": 10.5}}, "total_fee", "10.5"},
		"lost":              {Step{Result: Nothing}, "return_status", "51"},
	} {
		a := eft(x.step)
		if a.field(x.field) != x.want || !eftpayVerify(eftSecret, a.fields, false) {
			t.Errorf("%s: %s, want %s = %q, signed", name, a.body, x.field, x.want)
		}
	}
	if a := eft(Step{Code: "-13"}); a.field("return_status") != "-13" || a.field("sign") != "" {
		t.Errorf("negative code: %s, want it unsigned", a.body)
	}
	for name, x := range map[string]struct {
		step  Step
		field string
		want  any
	}{
		"unknown status": {Step{Answer: UnknownStatus}, "refundStatus", "MYSTERY"},
		"contradict":     {Step{Answer: Contradict, Result: Succeed}, "refundStatus", "FAILED"},
		"other refund":   {Step{Answer: OtherRefund}, "mchRefundOrderId", "XB1"},
		"other amount":   {Step{Answer: OtherAmount}, "refundAmount", 10100.0},
		"status":         {Step{Status: "COMPLETED"}, "refundStatus", "COMPLETED"},
		"failed":         {Step{Result: Fail}, "refundStatus", "FAILED"},
		"cancelled":      {Step{Result: Cancel}, "refundStatus", "CANCEL"},
		"field":          {Step{Fields: map[string]any{"refundAmount": "10000"}}, "refundAmount", "10000"},
	} {
		if a := blue(x.step); a.code != 10000 || a.data[x.field] != x.want {
			t.Errorf("%s: %s, want %s = %v", name, a.body, x.field, x.want)
		}
	}
	for code := range blueMessages {
		if a := blue(Respond(code)); fmt.Sprint(a.code) != code || a.data != nil {
			t.Errorf("code %s: %s", code, a.body)
		}
	}
	if a := blue(Step{Answer: UnknownCode}); a.code != 29999 {
		t.Errorf("unknown code: %s", a.body)
	}
	if a := blue(Step{Result: Decline}); a.code != 21402 {
		t.Errorf("declined: %s, want 21402", a.body)
	}
}

func TestScriptsOfQueries(t *testing.T) {
	c := open(t, func(cfg *Config) { cfg.CallbackTransport = &desk{reply: acknowledge(time.Now)} })
	for _, no := range []string{"R1", "B1"} {
		sc := Script{Calls: []Step{{Result: Process}}, Queries: []Step{{}, {Result: Nothing}, {Result: Succeed}, {Result: Nothing}, {Answer: Contradict}, {Result: Reverse}}}
		if err := c.sim.SetScript(no, sc); err != nil {
			t.Fatal(err)
		}
	}
	c.eftRefund("R1")
	c.blueRefund("B1", nil)
	for i, want := range []string{"TRADE_PROCESSING", "", "TRADE_REFUND", "", "TRADE_FAIL", "TRADE_FAIL", "TRADE_FAIL"} {
		if a := c.eftQuery("R1"); a.field("trade_status") != want {
			t.Errorf("eftpay query %d: %s, want %q", i+1, a.body, want)
		}
	}
	for i, want := range []string{"PENDING", "", "COMPLETE", "", "FAILED", "FAILED", "FAILED"} {
		a := c.blueQuery(nil)
		got := ""
		if len(a.list) == 1 {
			got = fmt.Sprint(a.list[0]["refundStatus"])
		}
		if got != want {
			t.Errorf("bluepay query %d: %s, want %q", i+1, a.body, want)
		}
	}
	c.wantMoved(eftMerchant, "R1", 0, 2)
	c.wantMoved(blueApp, "B1", 0, 2)
	// Query B's second status goes with the first.
	if err := c.sim.ScriptQueries("R1", Step{Answer: Contradict}, Step{Code: "51"}, Step{Answer: UnknownStatus}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"SUCCESS", "", "TRADE_MYSTERY"} {
		if a := c.eftQueryB("R1"); a.field("refund_status") != want {
			t.Errorf("query B %d: %s, want %q", i+1, a.body, want)
		}
	}
	if err := c.sim.ScriptQueries("B1", Step{Code: "21000"}, Step{Answer: UnknownCode}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{21000, 29999, 10000} {
		if a := c.blueQuery(nil); a.code != want {
			t.Errorf("bluepay query: %s, want %d", a.body, want)
		}
	}
}

func TestStepsAreUsedUp(t *testing.T) {
	c := open(t, nil)
	if err := c.sim.Script("R1", Step{Code: "51", Times: 2}, Respond("52"), Step{}, Forever(Respond("53"))); err != nil {
		t.Fatal(err)
	}
	// A call that breaks the page uses none up.
	c.eftRefund("R1", "total_fee", "-")
	for i, want := range []string{"51", "51", "52", "00", "53", "53", "53"} {
		if a := c.eftRefund("R1"); a.field("return_status") != want {
			t.Errorf("call %d: %s, want %s", i+1, a.body, want)
		}
	}
	if left := c.sim.ScriptOf("R1"); len(left.Calls) != 1 || left.Calls[0].Times != -1 {
		t.Errorf("left %+v, want the step that lasts", left)
	}
	// One merchant's alone goes before everybody's.
	if err := c.sim.Script(eftMerchant+"/R1", Respond("54")); err != nil {
		t.Fatal(err)
	}
	if a := c.eftRefund("R1"); a.field("return_status") != "54" {
		t.Errorf("merchant's own script: %s, want 54", a.body)
	}
	if err := c.sim.Script(blueApp+"/R5", Respond("21000")); err != nil {
		t.Fatal(err)
	}
	if a := c.eftRefund("R5"); a.field("return_status") != "00" {
		t.Errorf("another merchant's script: %s, want 00", a.body)
	}
	for _, bad := range []Script{
		{Calls: []Step{{Result: "win"}}}, {Calls: []Step{{Answer: "shrug"}}}, {Calls: []Step{{Result: Reverse}}},
		{Queries: []Step{{Result: Decline}}}, {Queries: []Step{{LandAfter: 1}}}, {Calls: []Step{{HTTPStatus: 42}}},
		{Notifications: []Notification{{Sign: "x"}}}, {Notifications: []Notification{{Shape: "x"}}},
	} {
		if err := c.sim.SetScript("R2", bad); err == nil {
			t.Errorf("script %+v was taken", bad)
		}
	}
}

func TestRefuseAndAccept(t *testing.T) {
	for _, socket := range []bool{false, true} {
		c := open(t, nil)
		if socket {
			c.overSocket()
		}
		if a := c.eftRefund("R1"); a.err != nil {
			t.Fatal(a.err)
		}
		c.sim.Refuse()
		c.http.CloseIdleConnections() // which Refuse broke: their EOF is not what this is about
		if a := c.eftRefund("R2"); !errors.Is(a.err, syscall.ECONNREFUSED) {
			t.Errorf("socket %v: %v, want refused", socket, a.err)
		}
		if err := c.sim.Accept(); err != nil {
			t.Fatal(err)
		}
		if a := c.eftRefund("R3"); a.err != nil {
			t.Errorf("socket %v: %v after Accept", socket, a.err)
		}
		c.wantMoved(eftMerchant, "R2", 0, 0)
	}
}

func TestServerAddresses(t *testing.T) {
	c := open(t, func(cfg *Config) { cfg.Prefix = "gw/VMP/" })
	server, err := c.sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if got := server.EftPayURL(); got != server.URL()+"/gw/VMP" || c.sim.Prefix() != "/gw/VMP" {
		t.Errorf("EftPayURL %s", got)
	}
	if _, err := c.sim.Listen(server.Addr()); err == nil {
		t.Error("the address was taken twice")
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if response, err := http.Get(server.URL()); err == nil {
		response.Body.Close()
		t.Error("answers after Shutdown")
	}
	c.sim.Close()
	if _, err := c.sim.Listen("127.0.0.1:0"); err == nil {
		t.Error("listens after Close")
	}
}
