package load

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/refund"
)

func TestScheduleIsOpenAndInOrder(t *testing.T) {
	for _, c := range []struct {
		schedule Schedule
		count    int
		at       map[int]time.Duration
	}{
		{Schedule{From: 10, To: 10, For: 2 * time.Second}, 20, map[int]time.Duration{0: 0, 1: 100 * time.Millisecond, 19: 1900 * time.Millisecond}},
		{Schedule{From: 100, To: 300, For: 10 * time.Second}, 2000, map[int]time.Duration{0: 0, 750: 5 * time.Second, 2000: 10 * time.Second}},
		{Schedule{From: 300, To: 100, For: 10 * time.Second}, 2000, map[int]time.Duration{1250: 5 * time.Second, 2000: 10 * time.Second}},
		{Schedule{From: 100, To: 100, For: time.Minute, Most: 7}, 7, nil},
	} {
		if got := c.schedule.Count(); got != c.count || c.schedule.Check() != nil {
			t.Errorf("%+v: %d messages, %v", c.schedule, got, c.schedule.Check())
		}
		for i, want := range c.at {
			if got := c.schedule.At(i); (got - want).Abs() > time.Microsecond {
				t.Errorf("%+v: message %d at %s, want %s", c.schedule, i, got, want)
			}
		}
	}
	for _, wrong := range []Schedule{{}, {From: 1, To: 0, For: time.Second}, {From: 1, To: 1}, {From: math.Inf(1), To: 1, For: 1}, {From: math.NaN(), To: 1, For: 1}, {From: 1e9, To: 1e9, For: time.Hour}} {
		if wrong.Check() == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := Schedule{From: rapid.Float64Range(0.1, 5000).Draw(t, "from"), To: rapid.Float64Range(0.1, 5000).Draw(t, "to"), For: time.Duration(rapid.Int64Range(1e6, 1e11).Draw(t, "for"))}
		n := s.Count()
		if n == 0 {
			return
		}
		i := rapid.IntRange(0, n-1).Draw(t, "i")
		if at := s.At(i); at < 0 || at > s.For+time.Millisecond || i > 0 && at < s.At(i-1) {
			t.Fatalf("message %d of %d at %s, before it %s, of %s", i, n, at, s.At(max(0, i-1)), s.For)
		}
	})
}

func TestFreshNumbers(t *testing.T) {
	thb := refund.Currency{Code: "THB", Exponent: 2}
	request := func(no, order, transaction string) refund.Request {
		return refund.Request{Key: refund.Key{Merchant: "m", RefundNo: no}, OrderNo: order, TransactionID: transaction, Amount: refund.Money{Minor: 5, Currency: thb},
			Trace: refund.Trace{Parent: "old"}, RequestedAt: time.Now()}
	}
	s := NewSource([]refund.Request{request("1", "A", ""), request("2", "B", "T"), request("3", "A", "")})
	n := NewNames(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	numbers, orders := map[string]int{}, map[string][]int{}
	for i := range 3000 {
		r := s.Fresh(n, i)
		if at, ok := n.Index(r.RefundNo); !ok || at != i {
			t.Fatalf("%s is %d, %v", r.RefundNo, at, ok)
		}
		if r.Amount.Minor != 5 || r.Trace.Parent != "" || !r.RequestedAt.IsZero() || (r.TransactionID != "") != (i%3 == 1) {
			t.Fatalf("%+v", r)
		}
		if len(r.RefundNo) > 28 || len(r.OrderNo) > 28 || strings.ContainsFunc(r.RefundNo+r.OrderNo, func(c rune) bool { return !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z') }) {
			t.Fatalf("%s of %s fits not every gateway", r.RefundNo, r.OrderNo)
		}
		numbers[r.RefundNo]++
		orders[r.OrderNo] = append(orders[r.OrderNo], i)
	}
	if len(numbers) != 3000 || len(orders) != 2000 {
		t.Errorf("%d numbers of %d orders", len(numbers), len(orders))
	}
	for order, members := range orders {
		if len(members) == 2 && members[1] != members[0]+2 {
			t.Errorf("order %s has %v", order, members)
		}
	}
	if _, ours := n.Index("LOTHERR1"); ours {
		t.Error("another run's number is taken for ours")
	}
}

// afterwards is when the runs of this file are over.
var afterwards = time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)

// run is a recorder of n messages, one a millisecond, message i ending after i+1 ms.
func run(n int) *Recorder {
	began := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	s := Schedule{From: 1000, To: 1000, For: time.Hour, Most: n}
	r := NewRecorder(s, began)
	for i := range n {
		at := began.Add(s.At(i))
		r.Sent(i, 1, at)
		r.Ended(i, refund.StatusSucceeded, at.Add(time.Duration(i+1)*time.Millisecond))
	}
	return r
}

func TestPercentilesAreExact(t *testing.T) {
	got := run(1000).Result("L1", afterwards)
	want := Latency{Count: 1000, Mean: 500.5, Min: 1, P50: 500, P90: 900, P95: 950, P99: 990, P999: 999, Max: 1000}
	if got.Latency != want {
		t.Errorf("%+v, want %+v", got.Latency, want)
	}
	if got.Sent != 1000 || got.Open != 0 || got.Ended["SUCCEEDED"] != 1000 || math.Abs(got.Seconds-1.999) > 0.001 || len(got.Timeline) != 2 {
		t.Errorf("%+v", got)
	}
	if one := run(1).Result("L1", afterwards).Latency; one.P50 != 1 || one.P999 != 1 {
		t.Errorf("of one: %+v", one)
	}
	if none := run(0).Result("L1", afterwards).Latency; none != (Latency{}) {
		t.Errorf("of none: %+v", none)
	}
}

// A load test that stalls must not hide it: the latency counts from the intended
// time.
func TestAStallIsNotHidden(t *testing.T) {
	began := time.Now()
	s := Schedule{From: 100, To: 100, For: time.Second}
	r := NewRecorder(s, began)
	stalled := began.Add(5 * time.Second)
	r.Sent(0, 100, stalled)
	for i := range 100 {
		r.Ended(i, refund.StatusSucceeded, stalled.Add(time.Millisecond))
	}
	got := r.Result("L1", afterwards)
	if got.Late != 100 || got.Latency.Min < 4000 || got.Latency.Max < 5000 {
		t.Errorf("late %d, %+v", got.Late, got.Latency)
	}
}

// Refunds that have not ended count with their age, to the final status and to
// PENDING.
func TestOpenOnesAreNotLeftOut(t *testing.T) {
	began := afterwards.Add(-time.Minute)
	r := NewRecorder(Schedule{From: 10, To: 10, For: time.Second}, began)
	r.Sent(0, 10, began)
	for i := range 8 {
		r.Pending(i, began.Add(time.Second))
		r.Ended(i, refund.StatusSucceeded, began.Add(time.Second))
	}
	r.Pending(8, began.Add(time.Second))
	got := r.Result("L1", afterwards)
	if got.Open != 2 || got.Latency.P90 < 59_000 || got.Pending.P90 > 1000 || got.Pending.Max < 59_000 || got.Latency.Count != 10 || got.Seconds != 1 || got.Rate != 8 {
		t.Errorf("%+v", got)
	}
	if bounds, _ := ParseThresholds("p99<2s"); got.Judge(bounds, 0) {
		t.Error("a bound is kept although two have not ended")
	}
}

func TestOnlyTheFirstEndingCounts(t *testing.T) {
	r := run(2)
	if !r.Ended(0, refund.StatusFailed, time.Now()) || r.Ended(-1, refund.StatusFailed, time.Now()) != true {
		t.Error("all have ended")
	}
	if got := r.Result("L1", afterwards); got.Ended["FAILED"] != 0 || got.Ended["SUCCEEDED"] != 2 {
		t.Errorf("%+v", got.Ended)
	}
	now := time.Date(2026, 11, 22, 10, 0, 1, 0, time.UTC)
	live := r.Live(now)
	if live.Ended != 2 || live.P99 != 2*time.Millisecond || r.Live(now).P99 != 0 {
		t.Errorf("%+v", live)
	}
}

func TestThresholds(t *testing.T) {
	for text, want := range map[string]bool{
		"p99<2s": true, "p99<990ms": false, "p99<=990ms": true, "max>=1s,lost==0": true, "lost==1": false, "succeeded==1000, rate>100": true,
		"p99.9<1s": true, "broken==0": false, "": true,
	} {
		thresholds, err := ParseThresholds(text)
		if err != nil {
			t.Fatal(err)
		}
		result := run(1000).Result("L1", afterwards)
		if got := result.Judge(thresholds, 3); got != want || len(result.Thresholds) != len(thresholds) {
			t.Errorf("%s: %v, %+v", text, got, result.Thresholds)
		}
	}
	nothing := run(0).Result("L1", afterwards)
	if bounds, _ := ParseThresholds("p99<2s"); nothing.Judge(bounds, 0) {
		t.Error("a run without a latency kept a bound on it")
	}
	for _, wrong := range []string{"p99", "p99<2", "lost==2s", "speed>1", "p99<<2s", "p99 is 2s"} {
		if _, err := ParseThresholds(wrong); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

func TestPageAndDistribution(t *testing.T) {
	r := run(5000).Result("L1", afterwards)
	bounds, _ := ParseThresholds("p99<1ms,lost==0")
	r.Judge(bounds, 0)
	r.Audit, r.AuditOK = "audit: all <kept>", true
	var text bytes.Buffer
	if err := r.WritePage(&text); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"Load test L1", "missed", "<polyline", "99.9 %", "&lt;kept&gt;", "5\u202f000</b>"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	for _, no := range []string{"<script", "NaN", "Inf", "http-equiv=\"refresh", "ZgotmplZ"} {
		if strings.Contains(text.String(), no) {
			t.Errorf("the page has %q", no)
		}
	}
	text.Reset()
	if err := run(0).Result("L1", afterwards).WritePage(&text); err != nil {
		t.Error(err)
	}
	text.Reset()
	if err := r.WriteHGRM(&text); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(text.String(), "\n")
	var value, p float64
	var count int
	last := lines[len(lines)-5]
	if _, err := fmt.Sscan(last, &value, &p, &count); err != nil || value != 5000 || p != 1 || count != 5000 {
		t.Errorf("%v: the last line is %q", err, last)
	}
	if !strings.Contains(text.String(), "#[Max     =     5000.000, Total count    =         5000]") {
		t.Error(text.String()[text.Len()-300:])
	}
}
