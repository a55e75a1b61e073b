package load

import (
	"slices"
	"sync"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// LateAfter is how long after its intended time a message counts as sent late: the
// load test itself, or Kafka, was too slow.
const LateAfter = 100 * time.Millisecond

// Recorder keeps what happened to each message. Safe for concurrent use.
type Recorder struct {
	schedule Schedule
	began    time.Time

	mu      sync.Mutex
	latency []time.Duration // by message; 0: not ended
	ended   map[refund.Status]int
	done    int
	sent    int
	late    int
	errors  int
	dead    int
	recent  []time.Duration // since the last Live
}

// NewRecorder begins a run.
func NewRecorder(s Schedule, began time.Time) *Recorder {
	return &Recorder{schedule: s, began: began, latency: make([]time.Duration, s.Count()), ended: map[refund.Status]int{}}
}

// Sent notes messages that were handed to Kafka at this time, from message first on.
func (r *Recorder) Sent(first, count int, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent += count
	for i := first; i < first+count; i++ {
		if at.Sub(r.began)-r.schedule.At(i) > LateAfter {
			r.late++
		}
	}
}

// Failed notes messages that Kafka did not acknowledge.
func (r *Recorder) Failed(count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors += count
}

// Ended notes the final status of message i, or with StatusNone its dead letter;
// only the first counts. It says whether all messages have ended.
func (r *Recorder) Ended(i int, status refund.Status, at time.Time) (all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i < 0 || i >= len(r.latency) || r.latency[i] != 0 {
		return r.done == len(r.latency)
	}
	r.latency[i] = max(at.Sub(r.began)-r.schedule.At(i), time.Microsecond)
	r.done++
	if status == refund.StatusNone {
		r.dead++
	} else {
		r.ended[status]++
	}
	r.recent = append(r.recent, r.latency[i])
	return r.done == len(r.latency)
}

// Live is one look at a run under way.
type Live struct {
	Sent, Ended int
	P50, P99    time.Duration // of those that ended since the last look
}

// Live answers it.
func (r *Recorder) Live() Live {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.recent)
	l := Live{Sent: r.sent, Ended: r.done, P50: percentile(r.recent, 50), P99: percentile(r.recent, 99)}
	r.recent = r.recent[:0]
	return l
}

// Result is a run's outcome. Latencies are in milliseconds.
type Result struct {
	Run        string         `json:"run"`
	Began      time.Time      `json:"began"`
	Seconds    float64        `json:"seconds"` // from the first message's time to the last ending
	Planned    int            `json:"planned"`
	Sent       int            `json:"sent"`
	Late       int            `json:"late"`   // sent more than 100 ms after their time
	Errors     int            `json:"errors"` // not acknowledged by Kafka
	Ended      map[string]int `json:"ended"`  // by final status
	Dead       int            `json:"dead"`
	Open       int            `json:"open"` // not ended when the test did
	Lost       int            `json:"lost"` // of those: by the audit
	Rate       float64        `json:"rate"` // refunds ended a second
	Latency    Latency        `json:"latency_ms"`
	Thresholds []Judged       `json:"thresholds"`
	Audit      string         `json:"audit"`
	AuditOK    bool           `json:"audit_ok"`
	Seconds1   []Second       `json:"timeline"`

	sorted []time.Duration
}

// Latency from the intended time to the final status, in milliseconds.
type Latency struct {
	Mean float64 `json:"mean"`
	Min  float64 `json:"min"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// Second is one second of the run, by intended times.
type Second struct {
	Second int     `json:"second"`
	Sent   int     `json:"sent"`  // that were to be sent in it
	Ended  int     `json:"ended"` // of those
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
}

// Result answers what the run came to.
func (r *Recorder) Result(run string) *Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &Result{Run: run, Began: r.began.UTC(), Planned: len(r.latency), Sent: r.sent, Late: r.late, Errors: r.errors, Dead: r.dead,
		Open: r.sent - r.done, Ended: map[string]int{}, Thresholds: []Judged{}}
	for status, n := range r.ended {
		out.Ended[string(status)] = n
	}
	var lastEnd, sum time.Duration
	var second []time.Duration
	flush := func() {
		if n := len(out.Seconds1); n > 0 {
			s := &out.Seconds1[n-1]
			slices.Sort(second)
			s.Ended, s.P50, s.P99, s.Max = len(second), ms(percentile(second, 50)), ms(percentile(second, 99)), ms(percentile(second, 100))
			second = second[:0]
		}
	}
	for i, latency := range r.latency[:min(r.sent, len(r.latency))] {
		at := r.schedule.At(i)
		for len(out.Seconds1) <= int(at/time.Second) {
			flush()
			out.Seconds1 = append(out.Seconds1, Second{Second: len(out.Seconds1)})
		}
		out.Seconds1[len(out.Seconds1)-1].Sent++
		if latency > 0 {
			second = append(second, latency)
			out.sorted = append(out.sorted, latency)
			sum += latency
			lastEnd = max(lastEnd, at+latency)
		}
	}
	flush()
	slices.Sort(out.sorted)
	out.Seconds = lastEnd.Seconds()
	if lastEnd > 0 {
		out.Rate = float64(len(out.sorted)) / lastEnd.Seconds()
	}
	if n := len(out.sorted); n > 0 {
		out.Latency = Latency{Mean: ms(sum / time.Duration(n)), Min: ms(out.sorted[0])}
	}
	for p, into := range map[float64]*float64{50: &out.Latency.P50, 90: &out.Latency.P90, 95: &out.Latency.P95, 99: &out.Latency.P99, 99.9: &out.Latency.P999, 100: &out.Latency.Max} {
		*into = ms(percentile(out.sorted, p))
	}
	return out
}

// percentile of sorted values: the least one that at least p percent do not exceed.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(float64(len(sorted))*p/100+0.9999999) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
