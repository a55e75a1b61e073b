//go:build unix

package main

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	got := parse("goos: linux\nBenchmarkSign-2   \t  1000\t  2150 ns/op\t 2952 B/op\t 22 allocs/op\nBenchmark/miniredis/claim-2 \t 7 \t 12.5 ns/op \t 3 things\nPASS\n")
	want := []result{{name: "BenchmarkSign", operations: 1000, bytes: 2952, allocs: 22}, {name: "Benchmark/miniredis/claim", operations: 7}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// What must fail the check, and what a noisy machine does.
func TestGrown(t *testing.T) {
	for name, row := range map[string]struct {
		p    paired
		want int
	}{
		"the same":         {paired{before: result{allocs: 10, bytes: 100}, after: result{allocs: 10, bytes: 100}, cpu: []float64{0.8, 1, 1, 1.9}}, 0},
		"one more of ten":  {paired{before: result{allocs: 10, bytes: 100}, after: result{allocs: 11, bytes: 100}, cpu: []float64{1}}, 1},
		"one more of none": {paired{after: result{allocs: 1, bytes: 16}, cpu: []float64{1}}, 1},
		"larger ones":      {paired{before: result{allocs: 1, bytes: 1000}, after: result{allocs: 1, bytes: 1100}, cpu: []float64{1}}, 1},
		"slower":           {paired{cpu: []float64{0.99, 1.05, 1.2, 1.2, 1.3}}, 1},
		"noise":            {paired{cpu: []float64{0.6, 0.9, 1.2, 1.2, 1.3}}, 0},
		"a little slower":  {paired{cpu: []float64{1.05, 1.06, 1.07}}, 0},
	} {
		if got := row.p.grown(); len(got) != row.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
