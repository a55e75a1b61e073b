package telemetry

import (
	"cmp"
	"errors"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/refundworker/refundworker/internal/refund"
)

// What a delivery may wait for.
const (
	WaitsForWork    = "work"    // a place in this worker
	WaitsForGateway = "gateway" // which is down
	WaitsForLimit   = "limit"   // rate, slots, order interval
	WaitsForHold    = "hold"    // an operator's, or refused settings
)

// Clocks that are compared with ours.
const (
	ClockOfKafka   = "kafka"
	ClockOfRedis   = "redis"
	ClockOfGateway = "gateway"
)

// Names are words of the configuration that labels take.
type Names struct {
	Providers []string
	Topics    []string // requests and delays
	Delays    []string
}

// Metrics are what one process counts. Its methods are safe for use by several
// goroutines and never block.
type Metrics struct {
	Registry *prometheus.Registry

	counters   map[string]*prometheus.CounterVec
	gauges     map[string]*prometheus.GaugeVec
	histograms map[string]*prometheus.HistogramVec
}

// NewMetrics makes the metrics of a process, with a registry of their own. What
// Gather collects at each scrape is added by Collect.
func NewMetrics(p Process, names Names) *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(), counters: map[string]*prometheus.CounterVec{},
		gauges: map[string]*prometheus.GaugeVec{}, histograms: map[string]*prometheus.HistogramVec{},
	}
	m.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	known := map[string][]string{
		providerLabel.name: names.Providers, topicLabel.name: names.Topics, delayLabel.name: names.Delays,
	}
	for _, f := range families {
		if f.madeBy(p) && !f.collected() {
			m.register(f, known)
		}
	}
	version, goVersion := buildVersion()
	m.set(build, 1, version, goVersion)
	m.Loaded(time.Now())
	return m
}

func (m *Metrics) register(f family, known map[string][]string) {
	switch f.kind {
	case counter:
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: f.name, Help: f.help}, f.names())
		m.Registry.MustRegister(vec)
		m.counters[f.name] = vec
		for _, values := range f.closed(known) {
			vec.WithLabelValues(values...)
		}
	case gauge:
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: f.name, Help: f.help}, f.names())
		m.Registry.MustRegister(vec)
		m.gauges[f.name] = vec
	case histogram:
		vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: f.name, Help: f.help, Buckets: f.buckets}, f.names())
		m.Registry.MustRegister(vec)
		m.histograms[f.name] = vec
		for _, values := range f.closed(known) {
			vec.WithLabelValues(values...)
		}
	}
}

func (m *Metrics) add(f family, n float64, values ...string) {
	if vec := m.counters[f.name]; vec != nil {
		vec.WithLabelValues(f.fits(values)...).Add(n)
	}
}

func (m *Metrics) set(f family, v float64, values ...string) {
	if vec := m.gauges[f.name]; vec != nil {
		vec.WithLabelValues(f.fits(values)...).Set(v)
	}
}

func (m *Metrics) observe(f family, d time.Duration, values ...string) {
	if vec := m.histograms[f.name]; vec != nil {
		vec.WithLabelValues(f.fits(values)...).Observe(d.Seconds())
	}
}

// Event counts a refund's new event.
func (m *Metrics) Event(rec refund.Record) {
	m.add(events, 1, string(rec.Last.Status), rec.Provider, string(rec.Last.Source))
	if rec.Last.Status.Final() && !rec.Last.Correction && !rec.FirstSeen.IsZero() {
		m.observe(timeToFinal, max(0, rec.Last.RecordedAt.Sub(rec.FirstSeen)), rec.Provider)
	}
}

// Call counts a call or a query at a gateway.
func (m *Metrics) Call(r refund.CallReport) {
	m.observe(calls, r.Took, r.Provider, KindName(r.Kind), string(r.Outcome.Class))
}

// KindName is refund or query.
func KindName(k refund.CallKind) string {
	if k == refund.QueryCall {
		return "query"
	}
	return "refund"
}

// Claimed counts what the store answered to a claim or a resend.
func (m *Metrics) Claimed(answer refund.ClaimAnswer) { m.add(claims, 1, answers[answer]) }

// Waited notes how long a delivery was made to wait for one of the WaitsFor.
func (m *Metrics) Waited(cause string, d time.Duration) { m.observe(waits, d, cause) }

// WaitsFor says what a merchant's wait is for.
func WaitsFor(w refund.Wait) string {
	switch w.Code {
	case refund.CodeGatewayDown:
		return WaitsForGateway
	case refund.CodeOnHold, refund.CodeMisconfigured:
		return WaitsForHold
	}
	return WaitsForLimit
}

// Trouble counts a failed step at Redis or Kafka. A merchant that is closed until it
// is rebuilt is no failure of theirs: the rebuilds have metrics of their own.
func (m *Metrics) Trouble(step string, err error) {
	part := "kafka"
	step, of, named := strings.Cut(step, ": ")
	var away *refund.Unavailable
	ofStore := errors.As(err, &away)
	switch {
	case ofStore && away.Closed:
		return
	case ofStore, of == "redis":
		part = "redis"
	case named:
	case step == "claim", step == "resend", step == "record", step == "published", step == "load", step == "look":
		part = "redis"
	}
	m.add(partErrors, 1, part, step)
}

// Delivered counts what became of a delivery.
func (m *Metrics) Delivered(topic, verdict string) { m.add(deliveries, 1, topic, verdict) }

// DeadLetter counts a dead letter.
func (m *Metrics) DeadLetter(reason refund.Reason) { m.add(deadLetters, 1, string(reason)) }

// Delayed counts a message written to a delay topic.
func (m *Metrics) Delayed(cause refund.Cause, delay string) {
	m.add(delayed, 1, string(cause), delay)
}

// InFlight is how many deliveries are being worked on.
func (m *Metrics) InFlight(n int) { m.set(inFlight, float64(n)) }

// Callback counts a callback's answer. An empty provider is none.
func (m *Metrics) Callback(provider string, code int, outcome string, took time.Duration) {
	if provider == "" {
		provider = "none"
	}
	m.add(callbacks, 1, provider, strconv.Itoa(code), outcome)
	m.observe(callbackTime, took, provider, strconv.Itoa(code))
}

// Rebuilding is how many merchants are being rebuilt here.
func (m *Metrics) Rebuilding(merchants int) { m.set(rebuilding, float64(merchants)) }

// RebuildProgress is how far the scan of the status topic has come.
func (m *Metrics) RebuildProgress(read, of int64) {
	m.set(scanned, float64(read))
	m.set(toScan, float64(of))
}

// Rebuilt counts a merchant that is open again, or for the first time.
func (m *Metrics) Rebuilt(isNew bool, records, open int64, took time.Duration) {
	if isNew {
		m.add(rebuilds, 1, "new")
		return
	}
	m.add(rebuilds, 1, "rebuilt")
	m.observe(rebuildTime, took)
	m.add(restored, float64(records))
	m.add(restoredOpen, float64(open))
}

// RebuildFailed counts a rebuild that begins again.
func (m *Metrics) RebuildFailed() { m.add(rebuilds, 1, "failed") }

// Skew is how far one of the Clocks is ahead of ours.
func (m *Metrics) Skew(clock string, ahead time.Duration) { m.set(skew, ahead.Seconds(), clock) }

// Reloaded counts a SIGHUP: applied, unchanged or refused.
func (m *Metrics) Reloaded(result string) { m.add(reloads, 1, result) }

// Loaded is when the configuration in use was read.
func (m *Metrics) Loaded(at time.Time) { m.set(lastReload, float64(at.Unix())) }

// version is set by the linker where there is no repository to read it from, as in
// the Dockerfile.
var version string

// buildVersion is the module's version, or the commit where it was built from a
// working tree.
func buildVersion() (ours, goVersion string) {
	ours, goVersion = cmp.Or(version, "unknown"), runtime.Version()
	info, ok := debug.ReadBuildInfo()
	if !ok || version != "" {
		return ours, goVersion
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version, goVersion
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			ours = s.Value
		}
	}
	return ours, goVersion
}
