package gatewaysim

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// virtual runs a test in virtual time, with a desk that acknowledges.
func virtual(t *testing.T, change func(*Config), test func(*testing.T, *shop, *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{reply: acknowledge(time.Now)}
		c := open(t, func(cfg *Config) {
			cfg.CallbackTransport = d
			if change != nil {
				change(cfg)
			}
		})
		test(t, c, d)
		c.sim.Close()
	})
}

func (c *shop) within(d time.Duration, path string, body []byte) (answer, time.Duration) {
	ctx, cancel := context.WithTimeout(c.t.Context(), d)
	defer cancel()
	start := time.Now()
	a := c.post(ctx, path, body)
	return a, time.Since(start)
}

func (c *shop) eftWithin(d time.Duration, no string) (answer, time.Duration) {
	return c.within(d, "/VMP/Servlet/JSAPIService.do", c.eft(eftRefundFields(no)))
}

func TestDelay(t *testing.T) {
	virtual(t, func(cfg *Config) { cfg.Delay = 200 * time.Millisecond }, func(t *testing.T, c *shop, _ *desk) {
		if err := c.sim.Script("R2", Step{Delay: 2 * time.Second}); err != nil {
			t.Fatal(err)
		}
		if a, took := c.eftWithin(time.Minute, "R1"); a.err != nil || took != 200*time.Millisecond {
			t.Errorf("took %v (%v), want 200ms", took, a.err)
		}
		if a, took := c.eftWithin(time.Minute, "R2"); a.err != nil || took != 2200*time.Millisecond {
			t.Errorf("took %v (%v), want 2.2s", took, a.err)
		}
		start := time.Now()
		c.eftQuery("R1")
		c.eftQuery("", "refund_no", "-")
		c.blueQuery(nil)
		if took := time.Since(start); took != 600*time.Millisecond {
			t.Errorf("three queries took %v, want 600ms", took)
		}
		// The caller gives up, the gateway goes on.
		if err := c.sim.Script("R3", Step{Delay: 10 * time.Second}); err != nil {
			t.Fatal(err)
		}
		if a, _ := c.eftWithin(time.Second, "R3"); !errors.Is(a.err, context.DeadlineExceeded) {
			t.Errorf("%v, want a deadline", a.err)
		}
		c.wantMoved(eftMerchant, "R3", 0, 0)
		pass(10 * time.Second)
		c.wantMoved(eftMerchant, "R3", 1, 1)
	})
}

func TestTimeOutBeforeAndAfter(t *testing.T) {
	virtual(t, nil, func(t *testing.T, c *shop, _ *desk) {
		for no, step := range map[string]Step{"before": TimeOutBefore(), "after": TimeOutAfter()} {
			if err := c.sim.Script(no, step); err != nil {
				t.Fatal(err)
			}
			if a, took := c.eftWithin(10*time.Second, no); !errors.Is(a.err, context.DeadlineExceeded) || took != 10*time.Second {
				t.Errorf("%s: %v after %v, want the client's deadline", no, a.err, took)
			}
		}
		pass(time.Hour)
		c.wantMoved(eftMerchant, "before", 0, 0)
		c.wantMoved(eftMerchant, "after", 1, 1)
		if a := c.eftQuery("before"); a.field("return_status") != "40" {
			t.Errorf("query of a lost call: %s, want 40", a.body)
		}
	})
}

func TestLandLate(t *testing.T) {
	virtual(t, nil, func(t *testing.T, c *shop, d *desk) {
		for _, no := range []string{"R1", "B1"} {
			if err := c.sim.Script(no, LandLate(45*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		if a, _ := c.eftWithin(10*time.Second, "R1"); !errors.Is(a.err, context.DeadlineExceeded) {
			t.Errorf("%v, want a deadline", a.err)
		}
		pass(34 * time.Second)
		c.wantMoved(eftMerchant, "R1", 0, 0)
		if a := c.eftQuery("R1"); a.field("return_status") != "40" {
			t.Errorf("query before it landed: %s, want 40", a.body)
		}
		pass(time.Second)
		c.wantMoved(eftMerchant, "R1", 1, 1)
		if a := c.eftQuery("R1"); a.field("trade_status") != "TRADE_REFUND" {
			t.Errorf("query after it landed: %s", a.body)
		}
		// An answer may be had at once, all the same.
		if err := c.sim.Script("R2", Step{LandAfter: time.Minute, Answer: HTML}); err != nil {
			t.Fatal(err)
		}
		if a, took := c.eftWithin(time.Second, "R2"); a.status != 500 || took != 0 {
			t.Errorf("HTTP %d after %v, want 500 at once", a.status, took)
		}
		pass(time.Minute)
		c.wantMoved(eftMerchant, "R2", 1, 1)
		// The first call lands after a second one: two payments, to be seen.
		if err := c.sim.Script("R3", Step{LandAfter: time.Minute, Answer: Reset}); err != nil {
			t.Fatal(err)
		}
		c.eftRefund("R3")
		c.eftRefund("R3")
		pass(time.Minute)
		c.wantMoved(eftMerchant, "R3", 2, 2)
	})
}

func TestLateLandingOfAnIdempotentGateway(t *testing.T) {
	virtual(t, func(cfg *Config) { cfg.Idempotent = true }, func(t *testing.T, c *shop, _ *desk) {
		if err := c.sim.Script("R1", Step{LandAfter: time.Minute, Answer: Reset}); err != nil {
			t.Fatal(err)
		}
		c.eftRefund("R1")
		c.eftRefund("R1")
		pass(time.Minute)
		c.wantMoved(eftMerchant, "R1", 1, 1)
	})
}

func TestDripOutlastsADeadline(t *testing.T) {
	virtual(t, nil, func(t *testing.T, c *shop, _ *desk) {
		if err := c.sim.Script("R1", Step{Answer: Drip}); err != nil {
			t.Fatal(err)
		}
		a, took := c.eftWithin(9500*time.Millisecond, "R1")
		if !errors.Is(a.err, context.DeadlineExceeded) || took != 9500*time.Millisecond || len(a.body) != 10 {
			t.Errorf("%v after %v with %d bytes, want the deadline in mid-body", a.err, took, len(a.body))
		}
		c.wantMoved(eftMerchant, "R1", 1, 1)
	})
}

func TestSettleLater(t *testing.T) {
	virtual(t, nil, func(t *testing.T, c *shop, _ *desk) {
		for no, step := range map[string]Step{
			"S": {Result: Succeed, SettleAfter: time.Hour}, "F": {Result: Fail, SettleAfter: time.Hour},
			"C": {Result: Cancel, SettleAfter: time.Hour}, "P": {Result: Process},
		} {
			if err := c.sim.Script(no, step); err != nil {
				t.Fatal(err)
			}
			if a := c.blueRefund(no, nil); a.data["refundStatus"] != "PENDING" {
				t.Errorf("%s: %s, want PENDING", no, a.body)
			}
		}
		pass(time.Hour - time.Second)
		if n := len(c.sim.Ledger()) + len(c.sim.Deliveries("")); n != 0 {
			t.Errorf("%d movements and callbacks before the hour", n)
		}
		pass(time.Second)
		for no, want := range map[string]string{"S": "COMPLETE", "F": "FAILED", "C": "CANCEL", "P": "PENDING"} {
			r, _ := c.sim.Refund(blueApp, no)
			if r.Status != want || (r.Moved == 10000) != (no == "S") {
				t.Errorf("%s: %+v, want %s", no, r, want)
			}
			if got := c.sim.Deliveries(no); (len(got) == 1) != (no != "P") {
				t.Errorf("%s: deliveries %+v", no, got)
			}
		}
	})
}

func TestRefuseFor(t *testing.T) {
	virtual(t, nil, func(t *testing.T, c *shop, _ *desk) {
		c.sim.RefuseFor(time.Minute)
		pass(59 * time.Second)
		if a := c.eftRefund("R1"); a.err == nil {
			t.Error("answered within the minute")
		}
		pass(time.Second)
		if a := c.eftRefund("R1"); a.err != nil {
			t.Errorf("%v after the minute", a.err)
		}
	})
}

func TestNothingHappensAfterClose(t *testing.T) {
	virtual(t, nil, func(t *testing.T, c *shop, d *desk) {
		c.eftApply("R1")
		if err := c.sim.Script("R2", LandLate(time.Minute)); err != nil {
			t.Fatal(err)
		}
		hung := make(chan error)
		go func() { hung <- c.eftRefund("R2").err }()
		synctest.Wait()
		c.sim.Close()
		if err := <-hung; err == nil {
			t.Error("the hanging call was answered")
		}
		pass(time.Hour)
		if len(c.sim.Ledger()) != 0 || len(d.bodies()) != 0 {
			t.Error("money moved or a callback was sent after Close")
		}
		if a := c.eftRefund("R3"); a.err == nil {
			t.Error("a call was answered after Close")
		}
	})
}
