package gatewaysim

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// The reason of the ledger: a client that pays twice is seen.
func TestSameNumberTwiceMovesMoneyTwice(t *testing.T) {
	c := open(t, func(cfg *Config) { cfg.SettleAfter = -1 })
	for range 2 {
		c.eftRefund("R1")
		c.blueRefund("B1", map[string]any{"refundCallbackUrl": nil})
	}
	c.wantMoved(eftMerchant, "R1", 2, 2)
	c.wantMoved(blueApp, "B1", 20000, 2)
	ledger := c.sim.Ledger()
	if len(ledger) != 4 || ledger[0].Call != 1 || ledger[1].Call != 2 || ledger[0].RefundID == ledger[1].RefundID {
		t.Errorf("ledger %+v, want two movements each, by calls 1 and 2", ledger)
	}
	if q := c.blueQuery(nil); len(q.list) != 2 {
		t.Errorf("5.2 lists %s, want both payments", q.body)
	}
}

func TestOvershootIsSeenUnlessChecked(t *testing.T) {
	for _, check := range []bool{false, true} {
		c := open(t, func(cfg *Config) { cfg.CheckTotals = check })
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() { c.eftRefund(fmt.Sprint("R", i), "transaction_amount", "4.00") })
		}
		wg.Wait()
		var sum int64
		for _, e := range c.sim.Ledger() {
			sum += e.Amount
		}
		if want := map[bool]int64{false: 1600, true: 800}[check]; sum != want {
			t.Errorf("check %v: %d moved of a total of 1001, want %d", check, sum, want)
		}
	}
}

func TestCheckTotals(t *testing.T) {
	c := open(t, func(cfg *Config) { cfg.CheckTotals = true })
	if a := c.eftRefund("R1", "transaction_amount", "10.02"); a.field("return_status") != "00" || a.field("trade_status") != "TRADE_FAIL" {
		t.Errorf("over the total: %s, want 00 and TRADE_FAIL", a.body)
	}
	if a := c.eftRefund("R2", "transaction_amount", "10.01"); a.field("trade_status") != "TRADE_CLOSED" {
		t.Errorf("the total: %s, want TRADE_CLOSED", a.body)
	}
	if a := c.eftRefund("R3", "total_fee", "20.00"); a.field("return_status") != "-4" {
		t.Errorf("another total_fee: %s, want -4", a.body)
	}
	// What is still open counts.
	if err := c.sim.Script("P1", Step{Result: Process}); err != nil {
		t.Fatal(err)
	}
	other := []string{"out_trade_no", "second", "transaction_amount", "6"}
	c.eftRefund("P1", other...)
	if a := c.eftRefund("P2", other...); a.field("trade_status") != "TRADE_FAIL" {
		t.Errorf("beside an open refund: %s, want TRADE_FAIL", a.body)
	}
}

func TestIdempotent(t *testing.T) {
	c := open(t, func(cfg *Config) { cfg.Idempotent, cfg.SettleAfter = true, -1 })
	first := c.eftRefund("R1")
	second := c.eftRefund("R1")
	if second.field("refund_trade_no") != first.field("refund_trade_no") || second.field("trade_status") != "TRADE_REFUND" {
		t.Errorf("repeat: %s, want the first answer", second.body)
	}
	if a := c.eftRefund("R1", "transaction_amount", "0.02"); a.field("return_status") != "41" || a.field("trade_status") != "" {
		t.Errorf("another amount: %s, want 41", a.body)
	}
	c.wantMoved(eftMerchant, "R1", 1, 1)
	// A refund that failed may be tried again under its number.
	if err := c.sim.Script("R2", Step{Result: Decline}); err != nil {
		t.Fatal(err)
	}
	c.eftRefund("R2")
	if a := c.eftRefund("R2"); a.field("trade_status") != "TRADE_REFUND" {
		t.Errorf("again after a failure: %s", a.body)
	}
	quiet := map[string]any{"refundCallbackUrl": nil}
	c.blueRefund("B1", quiet)
	if a := c.blueRefund("B1", quiet); a.code != 21407 {
		t.Errorf("repeat: %s, want 21407", a.body)
	}
	c.wantMoved(blueApp, "B1", 10000, 1)
	if r, _ := c.sim.Refund(blueApp, "B1"); r.Calls != 2 {
		t.Errorf("%d calls, want 2", r.Calls)
	}
}

func TestKnownSalesOnly(t *testing.T) {
	c := open(t, func(cfg *Config) { cfg.KnownSalesOnly = true })
	if a := c.eftRefund("R1"); a.field("return_status") != "-6" {
		t.Errorf("unknown sale: %s, want -6", a.body)
	}
	if err := c.sim.RegisterSale(eftMerchant, Sale{Order: "rrn_1686280006045"}); err != nil {
		t.Fatal(err)
	}
	if a := c.eftRefund("R1"); a.field("return_status") != "00" {
		t.Errorf("registered sale: %s", a.body)
	}
	if err := c.sim.RegisterSale("nobody", Sale{Order: "x"}); err == nil {
		t.Error("a sale of an unknown merchant was registered")
	}
	if err := c.sim.RegisterSale(eftMerchant, Sale{}); err == nil {
		t.Error("a sale without an order was registered")
	}
}

func TestSettle(t *testing.T) {
	c := open(t, nil)
	if err := c.sim.Script("R1", Step{Result: Process}); err != nil {
		t.Fatal(err)
	}
	if err := c.sim.Settle(eftMerchant, "R1", Succeed); err == nil {
		t.Error("a refund that was never called was settled")
	}
	if a := c.eftRefund("R1"); a.field("trade_status") != "TRADE_PROCESSING" {
		t.Errorf("answer %s, want TRADE_PROCESSING", a.body)
	}
	if err := c.sim.Settle(eftMerchant, "R1", Reverse); err == nil {
		t.Error("an open refund was taken back")
	}
	for _, result := range []Result{Succeed, Reverse} {
		if err := c.sim.Settle(eftMerchant, "R1", result); err != nil {
			t.Errorf("settle as %s: %v", result, err)
		}
	}
	c.wantMoved(eftMerchant, "R1", 0, 2)
	if got := c.sim.Ledger()[1].Amount; got != -1 {
		t.Errorf("taken back: %d, want -1", got)
	}
	if a := c.eftQuery("R1"); a.field("trade_status") != "TRADE_FAIL" {
		t.Errorf("query %s, want TRADE_FAIL", a.body)
	}
	if err := c.sim.Settle(eftMerchant, "R1", Succeed); err == nil {
		t.Error("a refund that had ended was settled again")
	}
}

func TestAmounts(t *testing.T) {
	for _, x := range []struct {
		text     string
		exponent int
		want     int64
		printed  string
	}{{"0.01", 2, 1, "0.01"}, {"100", 2, 10000, "100"}, {"540.20", 2, 54020, "540.2"}, {"0.1", 2, 10, "0.1"}, {"99999999", 2, 9999999900, "99999999"},
		{"7", 0, 7, "7"}, {"70", 0, 70, "70"}, {"1.5", 1, 15, "1.5"}} {
		got, err := parseAmount(x.text, x.exponent)
		if err != nil || got != x.want || formatAmount(got, x.exponent) != x.printed {
			t.Errorf("%s with %d decimals: %d %v, printed %s", x.text, x.exponent, got, err, formatAmount(got, x.exponent))
		}
	}
	if _, err := parseAmount("1.5", 0); err == nil {
		t.Error("a decimal of a currency that has none was taken")
	}
}

func TestConfigErrorsNameTheMerchant(t *testing.T) {
	for name, cfg := range map[string]Config{
		"secret":   {EftPay: []EftPayMerchant{{UserConfirmKey: "S1"}}},
		"13":       {EftPay: []EftPayMerchant{{UserConfirmKey: "1234567890123", Secret: "x"}}},
		"twice":    {EftPay: []EftPayMerchant{{UserConfirmKey: "S1", Secret: "x"}, {UserConfirmKey: "S1", Secret: "x"}}},
		"decimals": {EftPay: []EftPayMerchant{{UserConfirmKey: "S1", Secret: "x", Exponent: 3}}},
		"shape":    {EftPay: []EftPayMerchant{{UserConfirmKey: "S1", Secret: "x", Shape: "round"}}},
		"app":      {BluePay: []BluePayMerchant{{}}},
		"keys":     {BluePay: []BluePayMerchant{{AppID: "a"}}},
		"gateway":  {BluePay: []BluePayMerchant{{AppID: "a", MerchantKey: keys().MerchantKey}}},
		"rates":    {Generator: &Generator{Rates: map[string]int{"timeout": 1}}},
		"rate":     {Generator: &Generator{Rates: map[string]int{"timeout_after": 1001}}},
	} {
		if sim, err := New(cfg); err == nil {
			sim.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// A clock of one's own drives everything.
func TestInjectedClock(t *testing.T) {
	clock := &manualClock{now: time.Date(2024, 7, 31, 8, 37, 40, 0, time.UTC)}
	c := open(t, func(cfg *Config) { cfg.Clock = clock })
	if a := c.blueRefund("R1", map[string]any{"refundCallbackUrl": nil}); a.data["refundCreateTime"] != "2024-07-31 16:37:40" {
		t.Errorf("refundCreateTime %v, want 2024-07-31 16:37:40", a.data["refundCreateTime"])
	}
	c.wantMoved(blueApp, "R1", 0, 0)
	clock.advance(time.Second)
	c.wantMoved(blueApp, "R1", 10000, 1)
	if got := c.sim.Ledger()[0].Time; !got.Equal(clock.Now()) {
		t.Errorf("moved at %v, want %v", got, clock.Now())
	}
}

// manualClock moves only when it is told to, and calls what is due from
// there.
type manualClock struct {
	mu  sync.Mutex
	now time.Time
	due []*manualTimer
}

type manualTimer struct {
	clock *manualClock
	at    time.Time
	f     func()
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) AfterFunc(d time.Duration, f func()) Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &manualTimer{c, c.now.Add(d), f}
	c.due = append(c.due, t)
	return t
}

func (t *manualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	stopped := t.f != nil
	t.f = nil
	return stopped
}

func (c *manualClock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var run []func()
	for _, t := range c.due {
		if t.f != nil && !t.at.After(c.now) {
			run, t.f = append(run, t.f), nil
		}
	}
	c.mu.Unlock()
	for _, f := range run {
		f()
	}
}
