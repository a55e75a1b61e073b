//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/bench/internal/lab"
)

// cell is one kind of work and who does it.
type cell struct {
	name, title string
	contenders  []string
	refunds     int // of the backlog
	merchants   int
	partitions  int
	delay       time.Duration
	inFlight    int
	measure     func(context.Context, *runner, cell, string) (lab.Measure, error)
	// against names the cell and contender that the ratios are to; the floor of the same cell unless set.
	against string
	goals   []goal
}

// goal is what a contender is to reach, as a ratio or in milliseconds.
type goal struct {
	contender string
	of        string // per_second, cpu, p99
	least     float64
	most      float64
}

const (
	defaultInFlight = 512
	large           = 2000
)

// cells are all kinds of work.
func (o options) cells() []cell {
	pair := []string{"floor", "worker"}
	all := []string{"floor", "worker", "naive", "watermill"}
	fast := []goal{{contender: "worker", of: "per_second", least: 0.90}, {contender: "worker", of: "cpu", most: 1.15}}
	// enough requests for warm-up and window, at what the gateway or the machine allows
	enough := func(delay time.Duration, inFlight int) int {
		rate := min(float64(o.most), float64(inFlight)/delay.Seconds())
		return int(rate*(warmFor(o.warm, delay)+o.window+2*time.Second).Seconds()*1.1) + 2*inFlight
	}
	var cells []cell
	for _, delay := range []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 200 * time.Millisecond, time.Second} {
		c := cell{name: fmt.Sprintf("gateway-%s", delay), title: fmt.Sprintf("gateway of %s, 512 in flight, 8 partitions", delay),
			contenders: all, merchants: 20, partitions: 8, delay: delay, inFlight: defaultInFlight, measure: window, goals: fast}
		cells = append(cells, c)
	}
	cells = append(cells,
		cell{name: "partitions-64", title: "gateway of 20ms, 512 in flight, 64 partitions", contenders: all, merchants: 20, partitions: 64,
			delay: 20 * time.Millisecond, inFlight: defaultInFlight, measure: window, goals: fast},
		cell{name: "slow-64", title: "gateway of 200ms, 512 in flight, 64 partitions", contenders: all, merchants: 20, partitions: 64,
			delay: 200 * time.Millisecond, inFlight: defaultInFlight, measure: window, goals: fast},
		cell{name: "in-flight-2000", title: "gateway of 1s, 2,000 in flight, 8 partitions", contenders: pair, merchants: 20, partitions: 8,
			delay: time.Second, inFlight: large, measure: window, goals: fast},
		cell{name: "backlog-10k", title: "gateway of 20ms, a backlog of 10 k", contenders: pair, refunds: 10_000, merchants: 20, partitions: 8,
			delay: 20 * time.Millisecond, inFlight: defaultInFlight, measure: drain},
		cell{name: "backlog-large", title: fmt.Sprintf("gateway of 20ms, a backlog of %d k", o.large/1000), contenders: pair, refunds: o.large, merchants: 20, partitions: 8,
			delay: 20 * time.Millisecond, inFlight: defaultInFlight, measure: window, against: "backlog-10k",
			goals: []goal{{contender: "worker", of: "cpu", most: 1.1}}},
		cell{name: "merchants-10000", title: "gateway of 20ms, 10,000 merchants", contenders: pair, merchants: 10_000, partitions: 8,
			delay: 20 * time.Millisecond, inFlight: defaultInFlight, measure: window, against: "gateway-20ms",
			goals: []goal{{contender: "worker", of: "cpu", most: 1.2}}},
	)
	for i := range cells {
		if cells[i].refunds == 0 {
			cells[i].refunds = enough(cells[i].delay, cells[i].inFlight)
		}
	}
	return cells
}

// chosen are those that -only and -contenders name.
func (o options) chosen() (chosen []cell) {
	for _, c := range o.cells() {
		if o.only != "" && !slices.ContainsFunc(strings.Split(o.only, ","), func(p string) bool { return strings.HasPrefix(c.name, p) }) {
			continue
		}
		if o.contenders != "" {
			c.contenders = slices.DeleteFunc(c.contenders, func(name string) bool { return !slices.Contains(strings.Split(o.contenders, ","), name) })
			for _, extra := range strings.Split(o.contenders, ",") {
				if !slices.Contains(c.contenders, extra) && extra == "profiled" {
					c.contenders = append(c.contenders, extra)
				}
			}
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
	return s.Window(ctx, warmFor(r.o.warm, c.delay), r.o.window)
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
