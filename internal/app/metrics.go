package app

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/refundworker/refundworker/internal/bridge"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/refund"
)

// metrics are what worker and bridge count. Labels are closed sets.
type metrics struct {
	registry *prometheus.Registry

	events     *prometheus.CounterVec
	calls      *prometheus.HistogramVec
	troubles   *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	dead       *prometheus.CounterVec
	delayed    *prometheus.CounterVec
	inFlight   prometheus.Gauge
	lag        *prometheus.GaugeVec
	overdue    *prometheus.GaugeVec
	callbacks  *prometheus.CounterVec
	refused    *prometheus.CounterVec
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		events:   counter("refund_events_total", "Status events recorded.", "status", "source"),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "refund_gateway_call_duration_seconds", Help: "Calls and queries at gateways by what they brought.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"provider", "kind", "class"}),
		troubles:   counter("refund_step_failures_total", "Steps at Redis or Kafka that failed and are tried again.", "step"),
		deliveries: counter("refund_deliveries_total", "Deliveries by what became of them.", "topic", "verdict"),
		dead:       counter("refund_dead_letters_total", "Dead letters written.", "reason"),
		delayed:    counter("refund_delayed_total", "Messages written to delay topics.", "cause", "delay"),
		inFlight:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "refund_in_flight", Help: "Deliveries being worked on."}),
		lag:        gauge("refund_lag_records", "Offsets not committed; on delay topics most of them wait for their time.", "topic", "partition"),
		overdue:    gauge("refund_overdue_seconds", "How long the oldest message of a delay topic that could run has been due.", "topic", "partition"),
		callbacks:  counter("refund_callbacks_total", "Callbacks by answer and outcome.", "provider", "code", "outcome"),
		refused:    counter("refund_slots_refused_total", "Calls that had to wait in a delay topic.", "code"),
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.events, m.calls, m.troubles, m.deliveries, m.dead, m.delayed, m.inFlight, m.lag, m.overdue, m.callbacks, m.refused)
	return m
}

func (m *metrics) event(rec refund.Record) {
	m.events.WithLabelValues(string(rec.Last.Status), string(rec.Last.Source)).Inc()
}

func (m *metrics) call(r refund.CallReport) {
	kind := "refund"
	if r.Kind == refund.QueryCall {
		kind = "query"
	}
	m.calls.WithLabelValues(r.Provider, kind, string(r.Outcome.Class)).Observe(r.Took.Seconds())
}

func (m *metrics) callback(r bridge.Report) {
	m.callbacks.WithLabelValues(r.Provider, strconv.Itoa(r.Code), string(r.Outcome)).Inc()
}

// consumer are the hooks of the consumer.
func (m *metrics) consumer() consumer.Metrics {
	return consumer.Metrics{
		Delivered:  func(topic, verdict string) { m.deliveries.WithLabelValues(topic, verdict).Inc() },
		DeadLetter: func(reason consumer.Reason) { m.dead.WithLabelValues(string(reason)).Inc() },
		Delayed: func(cause consumer.Cause, delay time.Duration) {
			m.delayed.WithLabelValues(string(cause), consumer.DelayName(delay)).Inc()
		},
		InFlight: func(n int) { m.inFlight.Set(float64(n)) },
		Lag: func(topic string, partition int, offsets int64) {
			m.lag.WithLabelValues(topic, strconv.Itoa(partition)).Set(float64(offsets))
		},
		Overdue: func(topic string, partition int, late time.Duration) {
			m.overdue.WithLabelValues(topic, strconv.Itoa(partition)).Set(late.Seconds())
		},
	}
}
