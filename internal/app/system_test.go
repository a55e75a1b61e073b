package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/sandbox"
)

// scraped are the series of a process's /metrics: by name and labels, as written.
type scraped map[string]float64

func scrape(t *testing.T, admin string) scraped {
	t.Helper()
	text := get(t, "http://"+admin+"/metrics")
	all := scraped{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "refund_") {
			series, number, _ := strings.Cut(strings.TrimSpace(line), " ")
			v, err := strconv.ParseFloat(number, 64)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			all[series] = v
		}
	}
	return all
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// eventually looks every 50 ms, for at most 20 seconds.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func eftPay(no, amount string) string {
	return fmt.Sprintf(`{"refund_no":%q,"merchant":%q,"order_no":"order-%s","amount":%q,"order_amount":"1000.00","currency":"HKD","method":"WeChat","wallet":"WECHATCN"}`,
		no, sandbox.EftPay, no, amount)
}

// What worker and bridge count of a few refunds is what happened.
func TestMetricsOfASystem(t *testing.T) {
	s := sandbox.Start(t)
	cfg, err := app.Load(s.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	s.Behave(sandbox.EftPay, "D1", "decline")
	s.Publish(eftPay("R1", "1.00"))
	s.Publish(eftPay("D1", "1.00"))
	s.Publish("no JSON")
	s.Publish(`{"refund_no":"B1","merchant":"` + sandbox.BluePay + `","transaction_id":"CU1","amount":"5.00","order_amount":"5.00","currency":"THB"}`)
	s.Await(sandbox.EftPay, "R1")
	s.Await(sandbox.EftPay, "D1")
	s.Await(sandbox.BluePay, "B1") // by callback
	s.AwaitDeadLetter(1)

	var worker, bridge scraped
	want := map[string]float64{
		`refund_events_total{provider="eftpay",source="worker",status="PENDING"}`:   2, // that of the claims
		`refund_events_total{provider="eftpay",source="worker",status="SUCCEEDED"}`: 1,
		`refund_events_total{provider="eftpay",source="worker",status="FAILED"}`:    1,
		`refund_events_total{provider="bluepay",source="worker",status="PENDING"}`:  1,
		`refund_claims_total{answer="yours"}`:                                       3,
		`refund_claims_total{answer="in_doubt"}`:                                    0,
		`refund_dead_letters_total{reason="undecodable"}`:                           1,
		`refund_time_to_final_seconds_count{provider="eftpay"}`:                     2,
		`refund_breaker_state{merchant="` + sandbox.EftPay + `",state="closed"}`:    1,
		`refund_merchant_held{by="operator",merchant="` + sandbox.BluePay + `"}`:    0,
		`refund_rebuilds_total{result="failed"}`:                                    0,
	}
	eventually(t, "the worker's counters", func() bool {
		worker = scrape(t, cfg.Worker.Admin)
		for series, v := range want {
			if worker[series] != v {
				return false
			}
		}
		return true
	})
	if n := worker[`refund_gateway_call_duration_seconds_count{class="declined",kind="refund",provider="eftpay"}`]; n != 1 {
		t.Errorf("%v declined calls", n)
	}
	if n := worker[`refund_wait_seconds_count{cause="work"}`]; n < 3 {
		t.Errorf("%v deliveries waited for work", n)
	}
	bridge = scrape(t, cfg.Bridge.Admin)
	if bridge[`refund_callbacks_total{code="200",outcome="changed",provider="bluepay"}`] != 1 ||
		bridge[`refund_events_total{provider="bluepay",source="callback",status="SUCCEEDED"}`] != 1 {
		t.Errorf("the bridge counts %v", bridge)
	}
	lags := 0
	for series := range worker {
		if strings.HasPrefix(series, "refund_due_records{") {
			lags++
		}
		if strings.HasPrefix(series, "refund_callbacks") {
			t.Errorf("the worker has %s", series)
		}
	}
	if lags < 4+3 { // four partitions of requests, and delays
		t.Errorf("%d partitions", lags)
	}
}
