package telemetry

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// GatewayState is what a merchant's guard does at this moment.
type GatewayState struct {
	Merchant             string
	Breaker              string // closed, half-open, open
	HeldByOperator, Held bool   // Held: by itself
	InFlight, Waiting    int
}

// PartitionState is where a partition of this worker stands.
type PartitionState struct {
	Topic     string
	Partition int
	Lag, Due  int64 // records
	DueFor    time.Duration
}

// Collect has states asked for at each scrape, so that a merchant or a partition
// that is gone leaves no series behind. Either may be nil.
func (m *Metrics) Collect(gateways func() []GatewayState, partitions func() []PartitionState) {
	m.Registry.MustRegister(&states{gateways: gateways, partitions: partitions})
}

// states is a prometheus.Collector of what is asked for when it is scraped.
type states struct {
	gateways   func() []GatewayState
	partitions func() []PartitionState
}

var (
	ofGateways   = []family{breakerState, held, slotsTaken, slotsAwaited}
	ofPartitions = []family{lag, due, oldestDue}
)

// collected families are those of a states.
func (f family) collected() bool {
	for _, one := range append(ofGateways[:len(ofGateways):len(ofGateways)], ofPartitions...) {
		if one.name == f.name {
			return true
		}
	}
	return false
}

func (f family) desc() *prometheus.Desc { return prometheus.NewDesc(f.name, f.help, f.names(), nil) }

// Describe implements prometheus.Collector.
func (s *states) Describe(out chan<- *prometheus.Desc) {
	if s.gateways != nil {
		for _, f := range ofGateways {
			out <- f.desc()
		}
	}
	if s.partitions != nil {
		for _, f := range ofPartitions {
			out <- f.desc()
		}
	}
}

// Collect implements prometheus.Collector.
func (s *states) Collect(out chan<- prometheus.Metric) {
	tell := func(f family, v float64, values ...string) {
		out <- prometheus.MustNewConstMetric(f.desc(), prometheus.GaugeValue, v, f.fits(values)...)
	}
	if s.gateways != nil {
		for _, g := range s.gateways() {
			for _, state := range breakerLabel.values {
				tell(breakerState, is(state == g.Breaker), g.Merchant, state)
			}
			tell(held, is(g.HeldByOperator), g.Merchant, "operator")
			tell(held, is(g.Held), g.Merchant, "itself")
			tell(slotsTaken, float64(g.InFlight), g.Merchant)
			tell(slotsAwaited, float64(g.Waiting), g.Merchant)
		}
	}
	if s.partitions != nil {
		for _, p := range s.partitions() {
			number := strconv.Itoa(p.Partition)
			tell(lag, float64(p.Lag), p.Topic, number)
			tell(due, float64(p.Due), p.Topic, number)
			tell(oldestDue, p.DueFor.Seconds(), p.Topic, number)
		}
	}
}

func is(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
