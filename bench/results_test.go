//go:build unix

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/bench/internal/lab"
)

func at(round int, perSecond, cpu float64) lab.Measure {
	return lab.Measure{Round: round, PerSecond: perSecond, CPU: cpu, P99: cpu, PeakRSS: 100}
}

// Ratios are between runs of one round, whatever failed in others, and the median
// is of the ratios.
func TestRatiosAreOfOneRound(t *testing.T) {
	c := cell{name: "x", title: "a <cell>", contenders: []string{"floor", "worker"}, goals: []goal{
		fast, cheap, {who: "worker", what: "p99 beyond the floor's", of: p99, to: "floor", plus: true, most: 2},
		{who: "worker", what: "CPU beside another cell's", of: cpu, cell: "y", most: 1.1},
		{who: "naive", what: "speed", of: speed, least: 1},
	}}
	r := results{Cells: []result{
		{cell: c, Name: c.name, Title: c.title, Measures: map[string][]lab.Measure{
			"floor":  {at(1, 1000, 100), at(2, 2000, 200), at(3, 4000, 50)},
			"worker": {at(2, 1900, 201), at(3, 400, 60)}, // its first round failed
		}},
		{cell: cell{name: "y", contenders: []string{"worker"}}, Name: "y", Measures: map[string][]lab.Measure{"worker": {at(2, 1, 100), at(3, 1, 30)}}},
	}}
	r.describe(options{}, time.Minute)
	if got := r.Cells[0].Speed["worker"]; got != (0.95+0.1)/2 {
		t.Errorf("speed %v", got)
	}
	want := []judged{
		{"worker's speed beside the floor's at least 0.9", 0.525, false},
		{"worker's CPU beside the floor's at most 1.15", 1.103, true},
		{"worker's p99 beyond the floor's at most 2", 5.5, false},
		{"worker's CPU beside another cell's at most 1.1", 2.005, false},
	}
	if len(r.Cells[0].Goals) != len(want) {
		t.Fatalf("%+v", r.Cells[0].Goals)
	}
	for i, g := range r.Cells[0].Goals {
		if g.Goal != want[i].Goal || g.Met != want[i].Met || g.Reached < want[i].Reached-0.002 || g.Reached > want[i].Reached+0.002 {
			t.Errorf("%+v, want %+v", g, want[i])
		}
	}
	if table := r.markdown(); !strings.Contains(table, "|  | worker | 0.53 | 1.10 |") {
		t.Errorf("%s", table)
	}
	if svg := r.svg(); !strings.Contains(svg, "a &lt;cell&gt;") || !strings.Contains(svg, "worker 0.53, CPU 1.10") {
		t.Errorf("%s", svg)
	}
}
