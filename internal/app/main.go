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
	"github.com/refundworker/refundworker/internal/dedupe"
)

// Exit codes of the daemons.
const (
	ExitDone  = 0 // ended as asked, everything under way drained
	ExitError = 1 // something that a person has to change
	ExitUsage = 2 // the configuration or the command line is wrong
)

// Daemon is a command that runs until it is told to end.
type Daemon struct {
	Name  string
	Run   func(context.Context, *config.Config, zerolog.Logger, ...Option) error
	Admin func(*config.Config) string // address of /readyz
}

// The daemons.
var (
	WorkerDaemon = Daemon{"worker", Worker, func(c *config.Config) string { return c.Worker.Admin }}
	BridgeDaemon = Daemon{"notify-bridge", Bridge, func(c *config.Config) string { return c.Bridge.Admin }}
)

// Main runs a daemon as a command: flags, configuration, logger, signals. SIGTERM
// and SIGINT drain it; a second one ends it at once; SIGHUP has it read its
// configuration again. With the argument healthcheck it asks the one that runs
// whether it is ready. It answers the exit code.
func (d Daemon) Main(args []string, out, errs io.Writer) int {
	hangups := make(chan os.Signal, 1) // from the beginning: the system's own way with SIGHUP is to end us
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	name := d.Name
	checking := len(args) > 0 && args[0] == "healthcheck"
	if checking {
		args = args[1:]
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(errs)
	file := flags.String("config", "", "the YAML configuration `file` (or REFUND_CONFIG)")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return ExitDone
	} else if err != nil {
		return ExitUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(errs, "%s: unknown argument %q; usage: %s [healthcheck] --config FILE\n", name, flags.Arg(0), name)
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
	if checking {
		return healthcheck(cfg, d.Admin, out)
	}
	log := Logger(cfg.Log, out)
	dedupe.Quiet() // what fails is in our log, in its form
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the process
	if err := d.Run(ctx, cfg, log, ReloadOn(hangups)); err != nil {
		log.Error().Err(err).Msg(name + " cannot go on")
		return ExitError
	}
	return ExitDone
}
