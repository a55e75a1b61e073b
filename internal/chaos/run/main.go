//go:build unix

// Command run is the chaos run, make chaos, and the quiet one, make soak. It exits 0
// only when every promise was kept and everything settled.
//
//	CHAOS_SECONDS=300 CHAOS_SEED=42 KAFKA=4.3.1 go run ./internal/chaos/run
//	CHAOS_SECONDS=1800 CHAOS_ORDERS=30 go run ./internal/chaos/run soak
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/refundworker/refundworker/internal/chaos"
	"github.com/refundworker/refundworker/internal/realparts"
)

func main() { os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr)) }

func run(args []string, getenv func(string) string, out, errs io.Writer) int {
	realparts.EndWithParent()
	play := chaos.Run
	switch {
	case slices.Equal(args, []string{"soak"}):
		play = chaos.Soak
	case len(args) > 0:
		fmt.Fprintf(errs, "chaos: %q is not known: soak, or nothing\n", args)
		return 2
	}
	o, err := options(getenv)
	if err != nil {
		fmt.Fprintln(errs, "chaos:", err)
		return 2
	}
	keep := getenv("CHAOS_DIR")
	if o.Dir = keep; keep == "" {
		if o.Dir, err = os.MkdirTemp("", "refundworker-chaos-"); err != nil {
			fmt.Fprintln(errs, "chaos:", err)
			return 1
		}
	} else if err = os.MkdirAll(keep, 0o700); err != nil {
		fmt.Fprintln(errs, "chaos:", err)
		return 1
	}
	o.Out = out
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = play(ctx, o)
	if err != nil && ctx.Err() == nil { // its folder stays
		fmt.Fprintf(errs, "chaos: %v\n", err)
		return 1
	}
	if keep == "" {
		_ = os.RemoveAll(o.Dir)
	}
	if err != nil {
		fmt.Fprintln(errs, "chaos: interrupted")
		return 1
	}
	return 0
}

// options come from the environment, as make gives them.
func options(getenv func(string) string) (chaos.Options, error) {
	seconds, err1 := number(getenv("CHAOS_SECONDS"), 300)
	seed, err2 := number(getenv("CHAOS_SEED"), rand.Uint64()>>32)
	brokers, err3 := number(getenv("CHAOS_BROKERS"), uint64(fitting()))
	orders, err4 := number(getenv("CHAOS_ORDERS"), 6)
	version := getenv("KAFKA")
	if version == "" {
		version = realparts.KafkaVersion
	}
	return chaos.Options{
		Length: time.Duration(seconds) * time.Second, Seed: seed, Brokers: int(brokers), KafkaVersion: version, Orders: float64(orders), Race: getenv("CHAOS_RACE") != "",
	}, errors.Join(err1, err2, err3, err4)
}

func number(text string, otherwise uint64) (uint64, error) {
	if text == "" {
		return otherwise, nil
	}
	return strconv.ParseUint(text, 10, 63)
}

// fitting is how many brokers this machine carries: three need 2 GB and two cores.
func fitting() int {
	free, known := realparts.FreeMemory()
	if runtime.NumCPU() < 2 || known && free < 3<<30 {
		return 1
	}
	return 3
}
