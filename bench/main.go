//go:build unix

// Command bench measures the product's own binaries beside the least that a
// correct system must do (floor) and beside what teams build otherwise (naive,
// watermill), on a real Kafka and Redis and a simulated gateway, all on this
// machine. The contenders take turns in each round; what is printed are medians of
// the rounds' ratios.
//
//	go run . -out results            # all cells
//	go run . -only gateway-20ms -contenders floor,worker -window 5s -rounds 2
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/refundworker/refundworker/bench/internal/lab"
	"github.com/refundworker/refundworker/internal/realparts"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are the flags.
type options struct {
	kafka                string
	brokers              int
	rounds               int
	warm, window         time.Duration
	most                 int
	samples              int
	large, merchants     int
	only                 string
	contenders           string
	out, dir             string
	also                 map[string]string
	list, profile, drain bool
}

func run(args []string, out, errs io.Writer) int {
	o := options{also: map[string]string{}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&o.kafka, "kafka", realparts.KafkaVersion, "version of Apache Kafka")
	flags.IntVar(&o.brokers, "brokers", 1, "how many Kafka brokers")
	flags.IntVar(&o.rounds, "rounds", 3, "how many rounds; medians are taken over them")
	flags.DurationVar(&o.warm, "warm", 5*time.Second, "work before each window")
	flags.DurationVar(&o.window, "window", 30*time.Second, "length of a window")
	flags.IntVar(&o.most, "most", 12_000, "refunds a second that topics are filled for")
	flags.IntVar(&o.samples, "samples", 500, "refunds, one alone at a time")
	flags.IntVar(&o.large, "large", 1_000_000, "refunds of the large backlog")
	flags.IntVar(&o.merchants, "merchants", 10_000, "merchants of the cell with many")
	flags.StringVar(&o.only, "only", "", "cells to run, by the beginning of their names, separated by commas")
	flags.StringVar(&o.contenders, "contenders", "", "contenders to run, separated by commas")
	flags.StringVar(&o.out, "out", "", "folder for table.md, table.json and table.svg")
	flags.StringVar(&o.dir, "dir", "", "keep data and logs in a folder of this one (default: a temporary one, removed at the end)")
	flags.BoolVar(&o.profile, "profile", false, "profile the worker too, as contender profiled; profiles and flame graphs are left in -out")
	flags.Func("also", "NAME=PATH: another build of the worker, measured beside it; repeatable", func(arg string) error {
		name, path, ok := strings.Cut(arg, "=")
		if !ok {
			return errors.New("it is of the form NAME=PATH")
		}
		o.also[name] = path
		return nil
	})
	flags.BoolVar(&o.drain, "drain", false, "drain the large backlog to its end, in place of a window of it")
	flags.BoolVar(&o.list, "list", false, "list the cells")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if o.profile {
		o.also["profiled"] = "" // built with the others
	}
	if o.list {
		for _, c := range o.cells() {
			fmt.Fprintf(out, "%-20s %-40s %s\n", c.name, strings.Join(c.contenders, " "), c.title)
		}
		return 0
	}
	realparts.EndWithParent()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.bench(ctx, out, errs); err != nil {
		fmt.Fprintln(errs, "bench:", err)
		return 1
	}
	return 0
}

func (o options) bench(ctx context.Context, out, errs io.Writer) error {
	cells := o.chosen()
	if len(cells) == 0 {
		return fmt.Errorf("no cell begins with %q: -list names them", o.only)
	}
	dir, err := os.MkdirTemp(o.dir, "bench")
	if err != nil {
		return err
	}
	if o.dir == "" {
		defer os.RemoveAll(dir)
	}
	began := time.Now()
	l, err := lab.Start(ctx, dir, lab.Options{KafkaVersion: o.kafka, Brokers: o.brokers, Also: o.also})
	if err != nil {
		return err
	}
	defer l.Stop()
	r := &runner{o: o, lab: l, log: errs, backlogs: map[string]*lab.Backlog{}}
	results, err := r.rounds(ctx, cells)
	if len(results.Cells) == 0 {
		return err
	}
	results.describe(o, time.Since(began))
	fmt.Fprint(out, results.markdown())
	if o.out != "" {
		if wrong := results.write(o.out); wrong != nil {
			return wrong
		}
	}
	return err
}
