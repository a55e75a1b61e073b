//go:build unix

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/bench/internal/lab"
)

// cell is one kind of work and who does it.
type cell struct {
	name, title string
	contenders  []string
	refunds     int // of the backlog; 0: enough for the window
	merchants   int
	partitions  int
	delay       time.Duration
	inFlight    int
	kill        bool
	measure     func(context.Context, *runner, cell, string) (lab.Measure, error)
	goals       []goal
}

// base is whom the ratios are to.
func (c cell) base() string { return c.contenders[0] }

const (
	defaultInFlight = 512
	manyInFlight    = 2000
	merchants       = 20
	partitions      = 8
)

var (
	fast  = goal{who: "worker", what: "speed beside the floor's", of: speed, to: "floor", least: 0.90}
	cheap = goal{who: "worker", what: "CPU beside the floor's", of: cpu, to: "floor", most: 1.15}
	small = goal{who: "worker", what: "peak memory in MB", of: rss, most: 150}
)

// cells are all kinds of work.
func (o options) cells() []cell {
	pair, all := []string{"floor", "worker"}, []string{"floor", "worker", "naive", "watermill"}
	measureLarge := window
	if o.drain {
		measureLarge = drain
	}
	var cells []cell
	add := func(c cell) {
		c.merchants, c.partitions = orElse(c.merchants, merchants), orElse(c.partitions, partitions)
		c.inFlight = orElse(c.inFlight, defaultInFlight)
		c.refunds = orElse(c.refunds, o.enough(c))
		cells = append(cells, c)
	}
	for _, delay := range []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 200 * time.Millisecond, time.Second} {
		c := cell{name: fmt.Sprintf("gateway-%s", delay), title: fmt.Sprintf("gateway of %s", delay), contenders: all, delay: delay,
			measure: window, goals: []goal{fast, cheap, small}}
		if delay == 200*time.Millisecond {
			c.goals = append(c.goals, goal{who: "worker", what: "speed beside watermill's", of: speed, to: "watermill", least: 10})
		}
		add(c)
	}
	add(cell{name: "partitions-64", title: "gateway of 20ms, 64 partitions", contenders: pair, partitions: 64, delay: 20 * time.Millisecond,
		measure: window, goals: []goal{fast, cheap, small}})
	add(cell{name: "slow-64", title: "gateway of 200ms, 64 partitions", contenders: all, partitions: 64, delay: 200 * time.Millisecond,
		measure: window, goals: []goal{fast, cheap, small}})
	add(cell{name: "in-flight-2000", title: "gateway of 1s, 2,000 in flight", contenders: pair, delay: time.Second, inFlight: manyInFlight, measure: window,
		goals: []goal{{who: "worker", what: "refunds per second", of: speed, least: 0.95 * manyInFlight}, cheap, small}})
	add(cell{name: "alone", title: "one refund alone, gateway of 5ms", contenders: pair, refunds: o.samples, delay: 5 * time.Millisecond, measure: alone,
		goals: []goal{{who: "worker", what: "p99 beyond the floor's, in ms", of: p99, to: "floor", plus: true, most: 2}}})
	add(cell{name: "callbacks", title: "callbacks", contenders: []string{"callbacks", "notify-bridge"}, measure: callbacks,
		goals: []goal{{who: "notify-bridge", what: "speed beside its floor's", of: speed, to: "callbacks", least: 0.8}}})
	add(cell{name: "backlog-10k", title: "gateway of 20ms, a backlog of 10 k", contenders: pair, refunds: 10_000, delay: 20 * time.Millisecond, measure: drain,
		goals: []goal{small}})
	add(cell{name: "backlog-large", title: fmt.Sprintf("gateway of 20ms, a backlog of %d k", o.large/1000), contenders: pair, refunds: o.large,
		delay: 20 * time.Millisecond, measure: measureLarge,
		goals: []goal{{who: "worker", what: "CPU beside that at 10 k", of: cpu, cell: "backlog-10k", most: 1.1}, small}})
	add(cell{name: "merchants-many", title: fmt.Sprintf("gateway of 20ms, %d merchants", o.merchants), contenders: pair, merchants: o.merchants, delay: 20 * time.Millisecond, measure: window,
		goals: []goal{{who: "worker", what: "CPU beside that at 20 merchants", of: cpu, cell: "gateway-20ms", most: 1.2}, small}})
	add(cell{name: "kill", title: "one kill -9, gateway of 200ms", contenders: []string{"worker", "naive", "watermill"}, refunds: 2000, partitions: 64,
		delay: 200 * time.Millisecond, kill: true, measure: kill,
		goals: []goal{{who: "worker", what: "refunds lost, doubled or not told", of: harmed, most: 0.5}}})
	return cells
}

// enough requests for warm-up and window, at what the gateway or the machine allows.
func (o options) enough(c cell) int {
	rate := float64(o.most)
	if c.delay > 0 {
		rate = min(float64(o.most), float64(c.inFlight)/c.delay.Seconds())
	}
	return int(rate*(warmFor(o.warm, c.delay)+o.window+2*time.Second).Seconds()*1.1) + 2*c.inFlight
}

func orElse(n, other int) int {
	if n == 0 {
		return other
	}
	return n
}

func harmed(m lab.Measure) float64 { return float64(m.Lost + m.Twice + m.Untold) }

// chosen are those that -only and -contenders name.
func (o options) chosen() (chosen []cell) {
	for _, c := range o.cells() {
		if o.only != "" && !slices.ContainsFunc(strings.Split(o.only, ","), func(p string) bool { return strings.HasPrefix(c.name, p) }) {
			continue
		}
		if slices.Contains(c.contenders, "worker") {
			c.contenders = append(slices.Clone(c.contenders), slices.Sorted(maps.Keys(o.also))...)
		}
		if o.contenders != "" {
			c.contenders = slices.DeleteFunc(slices.Clone(c.contenders), func(name string) bool { return !slices.Contains(strings.Split(o.contenders, ","), name) })
		}
		if len(c.contenders) > 0 {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// warmFor lets the pipeline fill.
func warmFor(warm, delay time.Duration) time.Duration { return max(warm, 3*delay) }

// window measures a contender in the midst of its work.
func window(ctx context.Context, r *runner, c cell, contender string) (lab.Measure, error) {
	s, err := r.open(ctx, c, contender)
	if err != nil {
		return lab.Measure{}, err
	}
	defer s.End()
	m, err := s.Window(ctx, warmFor(r.o.warm, c.delay), r.o.window)
	if err == nil && contender == "profiled" {
		err = r.keepProfiles(s, c)
	}
	return m, err
}

// drain measures a contender from the first refund to the last.
func drain(ctx context.Context, r *runner, c cell, contender string) (lab.Measure, error) {
	s, err := r.open(ctx, c, contender)
	if err != nil {
		return lab.Measure{}, err
	}
	defer s.End()
	return s.Drain(ctx)
}

// alone measures one refund after the other on a topic of its own.
func alone(ctx context.Context, r *runner, c cell, contender string) (lab.Measure, error) {
	b, err := r.lab.Fill(ctx, 0, c.merchants, c.partitions)
	if err != nil {
		return lab.Measure{}, err
	}
	defer r.lab.Drop(ctx, b.Topic)
	s, err := r.lab.Open(ctx, lab.SceneOptions{Contender: contender, Backlog: b, Delay: c.delay, InFlight: c.inFlight})
	if err != nil {
		return lab.Measure{}, err
	}
	defer s.End()
	return s.Alone(ctx, r.o.samples)
}

// callbacks measures those who take callbacks. There are no requests, only refunds
// that are open.
func callbacks(ctx context.Context, r *runner, c cell, contender string) (lab.Measure, error) {
	b, err := r.lab.Fill(ctx, 0, c.merchants, c.partitions)
	if err != nil {
		return lab.Measure{}, err
	}
	defer r.lab.Drop(ctx, b.Topic)
	b.Refunds = c.refunds
	if contender == c.base() { // as many as it may take: they cost it one SET each, and the product a claim
		b.Refunds *= 3
	}
	s, err := r.lab.Open(ctx, lab.SceneOptions{Contender: contender, Backlog: b, InFlight: c.inFlight})
	if err != nil {
		return lab.Measure{}, err
	}
	defer s.End()
	return s.Callbacks(ctx, r.o.warm, r.o.window)
}

// kill counts what one kill -9 does.
func kill(ctx context.Context, r *runner, c cell, contender string) (lab.Measure, error) {
	b, err := r.backlog(ctx, c)
	if err != nil {
		return lab.Measure{}, err
	}
	s, err := r.lab.Open(ctx, lab.SceneOptions{Contender: contender, Backlog: b, Delay: c.delay, InFlight: c.inFlight, Quick: true})
	if err != nil {
		return lab.Measure{}, err
	}
	defer s.End()
	return s.KillNine(ctx)
}
