package telemetry

import (
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/refundworker/refundworker/internal/refund"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const page = "../../docs/metrics.md"

func TestThePageIsTheCode(t *testing.T) {
	want := Page()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/metrics.md is not what the code has: go test ./internal/telemetry -update")
	}
}

var names = Names{Providers: []string{"eftpay"}, Topics: []string{"refund.requests", "refund.delay.10s"}, Delays: []string{"10s"}}

// exercised has every metric of a process, with something counted everywhere.
func exercised(t *testing.T, p Process) map[string]*dto.MetricFamily {
	t.Helper()
	m := NewMetrics(p, names)
	m.Collect(
		func() []GatewayState {
			return []GatewayState{{Merchant: "shop", Breaker: "half-open", Held: true, InFlight: 3, Waiting: 2}}
		},
		func() []PartitionState {
			return []PartitionState{{Topic: "refund.requests", Partition: 2, Lag: 7, Due: 5, DueFor: 1500 * time.Millisecond}}
		})
	began := time.Now()
	m.Event(refund.Record{Provider: "eftpay", FirstSeen: began, Last: refund.Event{Status: refund.StatusSucceeded, Source: refund.FromQuery, RecordedAt: began.Add(2 * time.Second)}})
	m.Event(refund.Record{Provider: "eftpay", FirstSeen: began, Last: refund.Event{Status: refund.StatusFailed, Source: refund.FromCallback, RecordedAt: began.Add(time.Hour), Correction: true}})
	m.Call(refund.CallReport{Provider: "eftpay", Kind: refund.QueryCall, Outcome: refund.Outcome{Class: refund.NotFound}, Took: time.Second})
	m.Waited(WaitsFor(refund.Wait{Code: refund.CodeOnHold}), time.Minute)
	m.InFlight(4)
	m.Delivered("refund.requests", "later")
	m.Claimed(refund.InDoubt)
	m.DeadLetter(refund.ReasonInvalid)
	m.Delayed(refund.CauseParked, "10s")
	m.Trouble("publish", errors.New("no leader"))
	m.Trouble("publish", &refund.Unavailable{Why: "loading"})
	m.Trouble("publish", &refund.Unavailable{Why: "being rebuilt", Closed: true}) // counted elsewhere
	m.Trouble("start: redis", errors.New("refused"))
	m.Trouble("holds", errors.New("no leader"))
	m.Trouble("something new", errors.New("x"))
	m.Rebuilding(1)
	m.RebuildProgress(10, 20)
	m.Rebuilt(false, 12, 3, time.Minute)
	m.Rebuilt(true, 0, 0, 0)
	m.RebuildFailed()
	m.Callback("eftpay", 401, "bad_signature", time.Millisecond)
	m.Callback("", 404, "no_merchant", time.Millisecond)
	m.Callback("eftpay", 299, "made up", time.Millisecond)
	m.Skew(ClockOfGateway, -3*time.Second)
	m.Reloaded("refused")
	gathered, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(gathered).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("names and units: %v, %v", problems, err)
	}
	all := map[string]*dto.MetricFamily{}
	for _, f := range gathered {
		if strings.HasPrefix(f.GetName(), "refund_") {
			all[f.GetName()] = f
		}
	}
	return all
}

// value of the series with all of these labels (name=value), or -1.
func value(f *dto.MetricFamily, labels ...string) float64 {
	for _, m := range f.GetMetric() {
		var has []string
		for _, l := range m.GetLabel() {
			has = append(has, l.GetName()+"="+l.GetValue())
		}
		if slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(has, l) }) {
			continue
		}
		switch {
		case m.Counter != nil:
			return m.GetCounter().GetValue()
		case m.Gauge != nil:
			return m.GetGauge().GetValue()
		default:
			return m.GetHistogram().GetSampleSum()
		}
	}
	return -1
}

// Every metric of the table is there in its processes and no other is, each label
// has a value of its set alone, and what is counted arrives.
func TestMetrics(t *testing.T) {
	for _, p := range []Process{Worker, Bridge} {
		all := exercised(t, p)
		for _, f := range families {
			if got := all[f.name]; (got != nil) != (f.madeBy(p) || f.collected()) {
				t.Errorf("%s: %s is there: %v", p, f.name, got != nil)
			} else if got != nil {
				checkLabels(t, f, got)
			}
			delete(all, f.name)
		}
		for name := range all {
			t.Errorf("%s: %s is not in the table", p, name)
		}
	}
	all := exercised(t, Worker)
	for _, row := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"refund_events_total", []string{"status=SUCCEEDED", "provider=eftpay", "source=query"}, 1},
		{"refund_events_total", []string{"status=PENDING", "provider=eftpay", "source=worker"}, 0}, // begins at 0
		{"refund_time_to_final_seconds", []string{"provider=eftpay"}, 2},                           // the correction is none
		{"refund_gateway_call_duration_seconds", []string{"kind=query", "class=not_found"}, 1},
		{"refund_wait_seconds", []string{"cause=hold"}, 60},
		{"refund_claims_total", []string{"answer=in_doubt"}, 1},
		{"refund_part_errors_total", []string{"part=kafka", "step=publish"}, 1},
		{"refund_part_errors_total", []string{"part=redis", "step=publish"}, 1},
		{"refund_part_errors_total", []string{"part=redis", "step=start"}, 1},
		{"refund_part_errors_total", []string{"part=kafka", "step=holds"}, 1},
		{"refund_part_errors_total", []string{"part=kafka", "step=other"}, 1},
		{"refund_breaker_state", []string{"merchant=shop", "state=half-open"}, 1},
		{"refund_breaker_state", []string{"merchant=shop", "state=closed"}, 0},
		{"refund_merchant_held", []string{"merchant=shop", "by=itself"}, 1},
		{"refund_merchant_held", []string{"merchant=shop", "by=operator"}, 0},
		{"refund_due_records", []string{"topic=refund.requests", "partition=2"}, 5},
		{"refund_lag_records", []string{"topic=refund.requests", "partition=2"}, 7},
		{"refund_oldest_due_seconds", []string{"topic=refund.requests", "partition=2"}, 1.5},
		{"refund_rebuild_restored_records_total", nil, 12},
		{"refund_rebuilds_total", []string{"result=failed"}, 1},
		{"refund_rebuild_duration_seconds", nil, 60},
		{"refund_clock_skew_seconds", []string{"clock=gateway"}, -3},
		{"refund_config_reloads_total", []string{"result=refused"}, 1},
		{"refund_dead_letters_total", []string{"reason=conflict"}, 0},
	} {
		if got := value(all[row.name], row.labels...); got != row.want {
			t.Errorf("%s%v is %v, want %v", row.name, row.labels, got, row.want)
		}
	}
	all = exercised(t, Bridge)
	if got := value(all["refund_callbacks_total"], "provider=eftpay", "code=200", "outcome=mismatched"); got != 0 { // an alert waits for its first
		t.Errorf("the mismatched ones begin at %v, not at 0", got)
	}
	if got := value(all["refund_callbacks_total"], "provider=none", "code=404", "outcome=no_merchant"); got != 1 {
		t.Errorf("callbacks of nobody: %v", got)
	}
	if got := value(all["refund_callbacks_total"], "code=other", "outcome=other"); got != 1 {
		t.Errorf("a value outside of its set: %v", got)
	}
}

func checkLabels(t *testing.T, f family, got *dto.MetricFamily) {
	t.Helper()
	for _, m := range got.GetMetric() {
		if len(m.GetLabel()) != len(f.labels) {
			t.Errorf("%s has %d labels, the table %d", f.name, len(m.GetLabel()), len(f.labels))
			return
		}
		for _, pair := range m.GetLabel() {
			i := slices.IndexFunc(f.labels, func(l label) bool { return l.name == pair.GetName() })
			if i < 0 || f.labels[i].values != nil && pair.GetValue() != other && !slices.Contains(f.labels[i].values, pair.GetValue()) {
				t.Errorf("%s: %s=%q is not in the table", f.name, pair.GetName(), pair.GetValue())
			}
		}
	}
}

// A series for each claim that the store may answer, and for each class.
func TestTheSetsAreWhole(t *testing.T) {
	for answer := refund.Yours; answer <= refund.Missing; answer++ {
		if answers[answer] == "" {
			t.Errorf("answer %d has no word", answer)
		}
	}
	for code, want := range map[string]string{
		refund.CodeGatewayDown: WaitsForGateway, refund.CodeRateLimited: WaitsForLimit, refund.CodeOnHold: WaitsForHold, refund.CodeMisconfigured: WaitsForHold,
	} {
		if got := WaitsFor(refund.Wait{Code: code}); got != want {
			t.Errorf("%s waits for %s, want %s", code, got, want)
		}
	}
}
