//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/refundworker/refundworker/bench/internal/flame"
	"github.com/refundworker/refundworker/bench/internal/lab"
)

// runner runs cells, round by round.
type runner struct {
	o        options
	lab      *lab.Lab
	log      io.Writer
	backlogs map[string]*lab.Backlog
}

// rounds runs every cell in every round, the contenders in turn: who is first moves
// on with each round. What fails is reported at the end, and the others go on.
func (r *runner) rounds(ctx context.Context, cells []cell) (results, error) {
	var all results
	var failed error
	for _, c := range cells {
		all.Cells = append(all.Cells, result{cell: c, Name: c.name, Title: c.title, Measures: map[string][]lab.Measure{}})
	}
	for round := range r.o.rounds {
		for i, c := range cells {
			turn := slices.Clone(c.contenders)
			for range round % len(turn) {
				turn = append(turn[1:], turn[0])
			}
			for _, contender := range turn {
				began := time.Now()
				m, err := c.measure(ctx, r, c, contender)
				if ctx.Err() != nil {
					return all, ctx.Err()
				}
				if err != nil {
					failed = fmt.Errorf("%s, %s: %w", c.name, contender, err)
					fmt.Fprintln(r.log, failed)
					continue
				}
				m.Round = round + 1
				all.Cells[i].Measures[contender] = append(all.Cells[i].Measures[contender], m)
				fmt.Fprintf(r.log, "%d/%d %-18s %-10s %7.0f/s  %6.0f us CPU (Kafka %.0f, Redis %.0f, gateway %.0f)  %4.0f MB  Redis %.0f B  Kafka %.0f B  p50 %.2f p99 %.2f ms  load %.1f  took %s\n",
					round+1, r.o.rounds, c.name, contender, m.PerSecond, m.CPU, m.KafkaCPU, m.RedisCPU, m.GatewayCPU, m.PeakRSS, m.RedisBytes, m.KafkaBytes,
					m.P50, m.P99, m.Load, time.Since(began).Round(100*time.Millisecond))
			}
			if round == r.o.rounds-1 {
				r.forget(ctx, cells[i+1:], c)
			}
		}
	}
	return all, failed
}

// open is a fresh scene; the backlog is filled once.
func (r *runner) open(ctx context.Context, c cell, contender string) (*lab.Scene, error) {
	b, err := r.backlog(ctx, c)
	if err != nil {
		return nil, err
	}
	return r.lab.Open(ctx, lab.SceneOptions{Contender: contender, Backlog: b, Delay: c.delay, InFlight: c.inFlight})
}

func backlogName(c cell) string { return fmt.Sprintf("%d/%d/%d", c.refunds, c.merchants, c.partitions) }

func (r *runner) backlog(ctx context.Context, c cell) (*lab.Backlog, error) {
	name := backlogName(c)
	if b := r.backlogs[name]; b != nil {
		return b, nil
	}
	b, err := r.lab.Fill(ctx, c.refunds, c.merchants, c.partitions)
	if err == nil {
		r.backlogs[name] = b
	}
	return b, err
}

// keepProfiles copies a run's profiles into -out and draws its CPU profile.
func (r *runner) keepProfiles(s *lab.Scene, c cell) error {
	if r.o.out == "" {
		return nil
	}
	if err := os.MkdirAll(r.o.out, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"profile", "allocs", "heap", "mutex", "block", "goroutine", "trace"} {
		text, err := os.ReadFile(s.Profile(name))
		if err == nil {
			err = os.WriteFile(filepath.Join(r.o.out, c.name+"."+name), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	from, err := os.Open(s.Profile("profile"))
	if err != nil {
		return err
	}
	defer from.Close()
	svg, err := os.Create(filepath.Join(r.o.out, c.name+".flame.svg"))
	if err != nil {
		return err
	}
	return errors.Join(flame.Draw(svg, from, "CPU of the worker: "+c.title), svg.Close())
}

// forget drops a backlog that nobody needs any more.
func (r *runner) forget(ctx context.Context, later []cell, c cell) {
	name := backlogName(c)
	if b := r.backlogs[name]; b != nil && !slices.ContainsFunc(later, func(other cell) bool { return backlogName(other) == name }) {
		_ = r.lab.Drop(ctx, b.Topic)
		delete(r.backlogs, name)
	}
}
