package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/config"
)

// Exit codes of the daemons.
const (
	ExitDone  = 0 // ended as asked, everything under way drained
	ExitError = 1 // something that a person has to change
	ExitUsage = 2 // the configuration or the command line is wrong
)

// Daemon is Worker or Bridge.
type Daemon func(context.Context, *config.Config, zerolog.Logger) error

// Main runs a daemon as a command: flags, configuration, logger, signals. SIGTERM
// and SIGINT drain it; a second one ends it at once. It answers the exit code.
func Main(name string, args []string, out, errs io.Writer, daemon Daemon) int {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(errs)
	file := flags.String("config", "", "the YAML configuration `file` (or REFUND_CONFIG)")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return ExitDone
	} else if err != nil {
		return ExitUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(errs, "%s: unknown argument %q; usage: %s --config FILE\n", name, flags.Arg(0), name)
		return ExitUsage
	}
	path, err := config.Path(*file)
	if err != nil {
		fmt.Fprintf(errs, "%s: %v\n", name, err)
		return ExitUsage
	}
	cfg, err := Load(path)
	if err != nil {
		fmt.Fprintln(errs, err)
		return ExitUsage
	}
	log := Logger(cfg.Log, out)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the process
	if err := daemon(ctx, cfg, log); err != nil {
		log.Error().Err(err).Msg(name + " cannot go on")
		return ExitError
	}
	return ExitDone
}
