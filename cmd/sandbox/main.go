// Command sandbox runs the whole system in one process, on embedded parts: it
// plays sample refunds of every gateway and flow, prints each status event as it
// comes, audits them and exits 0, or 1 with what is wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/sandbox"
)

// busy is a call's deadline where the gateways are kept busy: they run on the same
// processors as everything else here.
const busy = 10 * time.Second

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(errs)
	serve := flags.Bool("serve", false, "keep everything up on fixed ports until Ctrl-C, and print how to reach it")
	rate := flags.Int("rate", 0, "calls a second that each gateway takes of a merchant, for load tests (default 100)")
	verbose := flags.Bool("v", false, "show the logs of worker and bridge on stderr")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(errs, "sandbox: unknown argument %q; usage: sandbox [-serve] [-rate N] [-v]\n", flags.Arg(0))
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // so that it ends as it does otherwise, its files removed
	printed := &printer{to: out, stop: stop}
	out = printed
	options := sandbox.Options{Fixed: *serve}
	if *rate > 0 {
		options.Change = func(c *config.Config) {
			for i := range c.Merchants {
				c.Merchants[i].Rate, c.Merchants[i].Timeout = *rate, busy
			}
		}
	}
	if *verbose {
		options.Log = errs
	}
	began := time.Now()
	system, err := sandbox.Start(ctx, options)
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(errs, "sandbox: interrupted while it started")
		return 1
	case err != nil:
		fmt.Fprintln(errs, "sandbox:", err)
		return 1
	}
	fmt.Fprintf(out, "Kafka %s, Redis %s, gateways %s, bridge %s: up in %s\n",
		system.Kafka, system.Redis, system.GatewayURL, system.Bridge, seconds(time.Since(began)))
	if *serve {
		err = serveUntil(ctx, system, out)
	} else {
		err = play(ctx, system, out)
	}
	interrupted := ctx.Err() != nil
	err = errors.Join(err, system.Stop())
	if words, lost := printed.lost(); lost {
		if words != "" {
			fmt.Fprintln(errs, "sandbox: its output cannot be written:", words)
		}
		return 1
	}
	switch {
	case interrupted && *serve:
		return 0
	case interrupted:
		fmt.Fprintln(errs, "sandbox: interrupted")
		return 1
	case err != nil:
		fmt.Fprintln(errs, "sandbox:", err)
		return 1
	}
	return 0
}
