package load

import (
	"cmp"
	"math"
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
	pending []time.Duration // by message, to its first PENDING; 0: none
	latency []time.Duration // by message, to its ending; 0: not ended
	ended   map[refund.Status]int
	clock   []tally // by seconds of the clock
	done    int
	sent    int
	late    int
	errors  int
	dead    int
	recent  []time.Duration // latencies since the last Live
	looked  time.Time       // at the last Live, with what had been then
	before  tally
}

// tally is what happened in a second.
type tally struct{ sent, ended int }

// NewRecorder begins a run.
func NewRecorder(s Schedule, began time.Time) *Recorder {
	n := s.Count()
	return &Recorder{schedule: s, began: began, looked: began, pending: make([]time.Duration, n), latency: make([]time.Duration, n), ended: map[refund.Status]int{}}
}

// second is the tally of a time.
func (r *Recorder) second(at time.Time) *tally {
	i := max(0, int(at.Sub(r.began)/time.Second))
	for len(r.clock) <= i {
		r.clock = append(r.clock, tally{})
	}
	return &r.clock[i]
}

// Sent notes messages that were handed to Kafka at this time, from message first on.
func (r *Recorder) Sent(first, count int, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent += count
	r.second(at).sent += count
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

// since is a message's latency, from its intended time; never 0.
func (r *Recorder) since(i int, at time.Time) time.Duration {
	return max(at.Sub(r.began)-r.schedule.At(i), time.Microsecond)
}

// Pending notes that message i was announced to be called; only the first counts.
func (r *Recorder) Pending(i int, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i >= 0 && i < len(r.pending) && r.pending[i] == 0 {
		r.pending[i] = r.since(i, at)
	}
}

// Ended notes the final status of message i, or with StatusNone its dead letter;
// only the first counts. It says whether all messages have ended.
func (r *Recorder) Ended(i int, status refund.Status, at time.Time) (all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i < 0 || i >= len(r.latency) || r.latency[i] != 0 {
		return r.done == len(r.latency)
	}
	r.latency[i] = r.since(i, at)
	r.second(at).ended++
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
	Sent, Ended         int
	SentRate, EndedRate float64       // a second, since the last look
	P50, P99            time.Duration // of those that ended since then
}

// Live answers it.
func (r *Recorder) Live(now time.Time) Live {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.recent)
	l := Live{Sent: r.sent, Ended: r.done, P50: percentile(r.recent, 50), P99: percentile(r.recent, 99)}
	if seconds := now.Sub(r.looked).Seconds(); seconds > 0 {
		l.SentRate, l.EndedRate = float64(r.sent-r.before.sent)/seconds, float64(r.done-r.before.ended)/seconds
	}
	r.recent, r.looked, r.before = r.recent[:0], now, tally{r.sent, r.done}
	return l
}

// Result is a run's outcome. Latencies are in milliseconds, from the time at which a
// message was to be sent; of refunds that have not ended their age.
type Result struct {
	Run        string         `json:"run"`
	Began      time.Time      `json:"began"`
	Load       string         `json:"load"`    // in words
	Seconds    float64        `json:"seconds"` // from the first message's time to the last ending
	Planned    int            `json:"planned"`
	Sent       int            `json:"sent"`
	Late       int            `json:"late"`   // sent more than 100 ms after their time
	Errors     int            `json:"errors"` // not acknowledged by Kafka
	Ended      map[string]int `json:"ended"`  // by final status
	Dead       int            `json:"dead"`
	Open       int            `json:"open"`       // not ended when the test did
	Lost       int            `json:"lost"`       // of those: by the audit
	Rate       float64        `json:"rate"`       // refunds ended a second
	Pending    Latency        `json:"pending_ms"` // to the first PENDING
	Latency    Latency        `json:"latency_ms"` // to the final status, or the dead letter
	Thresholds []Judged       `json:"thresholds"`
	Audit      string         `json:"audit"`
	AuditOK    bool           `json:"audit_ok"`
	Timeline   []Second       `json:"timeline"`

	sorted, pending []time.Duration
}

// Latency of many, in milliseconds.
type Latency struct {
	Count int     `json:"count"`
	Mean  float64 `json:"mean"`
	Min   float64 `json:"min"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	Max   float64 `json:"max"`
}

// Second is one second of the run.
type Second struct {
	Second   int     `json:"second"`
	Sent     int     `json:"sent"`      // in it
	Ended    int     `json:"ended"`     // in it
	UnderWay int     `json:"under_way"` // at its end
	Due      int     `json:"due"`       // that were to be sent in it
	P50      float64 `json:"p50_ms"`    // of those that were to be sent in it
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
}

// Result answers what the run came to until a time. Refunds that have not ended by
// then count with their age: to leave them out would hide the slowest.
func (r *Recorder) Result(run string, at time.Time) *Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &Result{Run: run, Began: r.began.UTC(), Load: r.schedule.String(), Planned: len(r.latency), Sent: r.sent, Late: r.late, Errors: r.errors, Dead: r.dead,
		Open: r.sent - r.done, Ended: map[string]int{}, Thresholds: []Judged{}}
	for status, n := range r.ended {
		out.Ended[string(status)] = n
	}
	sent := min(r.sent, len(r.latency))
	var lastEnd time.Duration
	for i, latency := range r.latency[:sent] {
		lastEnd = max(lastEnd, r.schedule.At(i)+latency)
		out.sorted = append(out.sorted, cmp.Or(latency, r.since(i, at)))
		if latency == 0 || r.pending[i] > 0 { // what was refused before any call has none
			out.pending = append(out.pending, cmp.Or(r.pending[i], r.since(i, at)))
		}
	}
	out.Latency, out.Pending = latencyOf(out.sorted), latencyOf(out.pending)
	out.Seconds = ms(lastEnd) / 1000
	if lastEnd > 0 {
		out.Rate = math.Round(100*float64(r.done)/lastEnd.Seconds()) / 100
	}
	out.Timeline = r.timeline(sent, at)
	return out
}

// timeline is the run by seconds: what happened in each by the clock, and what became
// of those that were to be sent in it.
func (r *Recorder) timeline(sent int, at time.Time) []Second {
	var all []Second
	grow := func(second int) *Second {
		for len(all) <= second {
			all = append(all, Second{Second: len(all)})
		}
		return &all[second]
	}
	underWay := 0
	for i, t := range r.clock {
		s := grow(i)
		underWay += t.sent - t.ended
		s.Sent, s.Ended, s.UnderWay = t.sent, t.ended, underWay
	}
	var latencies []time.Duration
	for i := 0; i < sent; {
		second := int(r.schedule.At(i) / time.Second)
		s := grow(second)
		latencies = latencies[:0]
		for ; i < sent && int(r.schedule.At(i)/time.Second) == second; i++ {
			s.Due++
			latencies = append(latencies, cmp.Or(r.latency[i], r.since(i, at)))
		}
		slices.Sort(latencies)
		s.P50, s.P99, s.Max = ms(percentile(latencies, 50)), ms(percentile(latencies, 99)), ms(percentile(latencies, 100))
	}
	return all
}

// latencyOf sorts what it is given.
func latencyOf(all []time.Duration) Latency {
	slices.Sort(all)
	l := Latency{Count: len(all)}
	if l.Count == 0 {
		return l
	}
	var sum time.Duration
	for _, one := range all {
		sum += one
	}
	l.Mean, l.Min = ms(sum/time.Duration(l.Count)), ms(all[0])
	for p, into := range map[float64]*float64{50: &l.P50, 90: &l.P90, 95: &l.P95, 99: &l.P99, 99.9: &l.P999, 100: &l.Max} {
		*into = ms(percentile(all, p))
	}
	return l
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
