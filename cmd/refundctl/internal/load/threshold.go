package load

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Threshold is one bound of a run, such as p99<2s or lost==0.
type Threshold struct {
	Metric, Op string
	bound      float64
	text       string
}

// Judged is a threshold and what was measured.
type Judged struct {
	Threshold string  `json:"threshold"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit,omitempty"` // ms of latencies
	OK        bool    `json:"ok"`
}

// metrics that a threshold may bound: latencies, then counts.
var (
	latencies = []string{"mean", "min", "p50", "p90", "p95", "p99", "p99.9", "max"}
	toPending = "pending." // before a latency: to the first PENDING, in place of the final status
	counts    = []string{"lost", "open", "dead", "failed", "rejected", "succeeded", "late", "errors", "sent", "rate", "broken"}
	form      = regexp.MustCompile(`^([a-z0-9.]+)\s*(<=|>=|==|<|>)\s*([0-9.]+[a-zµ]*)$`)
)

// ParseThresholds reads thresholds with commas between.
func ParseThresholds(text string) (all []Threshold, err error) {
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		parts := form.FindStringSubmatch(one)
		if parts == nil {
			return nil, fmt.Errorf("threshold %q is not of the form p99<2s or lost==0", one)
		}
		t := Threshold{Metric: parts[1], Op: parts[2], text: one}
		switch {
		case t.latency():
			d, err := time.ParseDuration(parts[3])
			if err != nil {
				return nil, fmt.Errorf("threshold %q: %s is a latency: want a duration such as 250ms or 2s", one, t.Metric)
			}
			t.bound = ms(d)
		case slices.Contains(counts, t.Metric):
			if t.bound, err = strconv.ParseFloat(parts[3], 64); err != nil {
				return nil, fmt.Errorf("threshold %q: %s is a number", one, t.Metric)
			}
		default:
			return nil, fmt.Errorf("threshold %q: %s is none of %s, nor a latency with pending. before it", one, t.Metric, strings.Join(append(slices.Clone(latencies), counts...), ", "))
		}
		all = append(all, t)
	}
	return all, nil
}

// Judge holds a result against thresholds and notes each in it. broken is how many
// promises the audit found broken. It says whether all are kept.
func (r *Result) Judge(thresholds []Threshold, broken int) bool {
	values := map[string]float64{
		"lost": float64(r.Lost), "open": float64(r.Open), "dead": float64(r.Dead), "failed": float64(r.Ended["FAILED"]),
		"rejected": float64(r.Ended["REJECTED"]), "succeeded": float64(r.Ended["SUCCEEDED"]), "late": float64(r.Late),
		"errors": float64(r.Errors), "sent": float64(r.Sent), "rate": r.Rate, "broken": float64(broken),
	}
	for before, l := range map[string]Latency{"": r.Latency, toPending: r.Pending} {
		if l.Count == 0 {
			continue // a latency of nothing is no proof of anything
		}
		for i, v := range []float64{l.Mean, l.Min, l.P50, l.P90, l.P95, l.P99, l.P999, l.Max} {
			values[before+latencies[i]] = v
		}
	}
	all := true
	for _, t := range thresholds {
		v, measured := values[t.Metric]
		ok := measured && t.holds(v)
		all = all && ok
		r.Thresholds = append(r.Thresholds, Judged{t.text, v, t.unit(), ok})
	}
	return all
}

// latency: it bounds one, not a count.
func (t Threshold) latency() bool {
	return slices.Contains(latencies, strings.TrimPrefix(t.Metric, toPending))
}

func (t Threshold) unit() string {
	if t.latency() {
		return "ms"
	}
	return ""
}

func (t Threshold) holds(v float64) bool {
	switch t.Op {
	case "<":
		return v < t.bound
	case "<=":
		return v <= t.bound
	case ">":
		return v > t.bound
	case ">=":
		return v >= t.bound
	}
	return v == t.bound
}
