package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
)

// run is one run of the command: its world and the flags that all commands have.
type run struct {
	Env
	configFile string
	formatWord string
	timeout    time.Duration
	who        string
	unmasked   bool

	format out.Format
	lost   error // why Kafka did not answer any more, in the middle of the command
}

// Run runs one command line and answers its exit code. It returns soon after ctx
// has ended.
func Run(ctx context.Context, args []string, env Env) int {
	printed := &lost{Writer: env.Out}
	env.Out = printed
	r := &run{Env: env}
	root := newRoot(r)
	root.SetArgs(args)
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = printed.err // of what has no error of its own, such as --help
	}
	if err != nil && r.lost != nil {
		err = unreachable(r.lost)
	}
	code := codeOf(ctx, err)
	var e *exit
	switch {
	case err == nil, errors.As(err, &e) && e.err == nil:
	case code == ExitInterrupted:
		fmt.Fprintln(env.Err, "refundctl: interrupted")
	default:
		fmt.Fprintln(env.Err, "refundctl:", err)
	}
	return code
}

// lost remembers why output was lost.
type lost struct {
	io.Writer
	err error
}

func (l *lost) Write(p []byte) (int, error) {
	n, err := l.Writer.Write(p)
	if err != nil && l.err == nil {
		l.err = err
	}
	return n, err
}

func newRoot(r *run) *cobra.Command {
	root := &cobra.Command{
		Use:   "refundctl",
		Short: "Submit, watch and look after refunds",
		Long: `refundctl is for people who run refundworker or integrate with it.

It reads the worker's own configuration (--config FILE or REFUND_CONFIG). On a
terminal it answers with tables, piped with one JSON object a line.

Exit codes: 0 done; 1 it looked and found something wrong; 2 usage, configuration
or a given file; 3 Kafka or Redis cannot be reached; 99 a threshold was missed;
130 interrupted before it was done.`,
		Example: `  export REFUND_CONFIG=/etc/refundworker.yaml
  refundctl watch --merchant S0003469
  refundctl show 201901010011`,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs, // so that RunE names what is unknown
		RunE: groupRun,
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			if r.format, err = out.ParseFormat(r.formatWord, r.Terminal); err != nil {
				return usage("%w", err)
			}
			if r.timeout <= 0 {
				return usage("--timeout must be above 0")
			}
			if r.who != "" {
				r.Who = r.who
			}
			r.Out = r.masking(r.Out)
			return nil
		},
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w; see %s --help", err, c.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVar(&r.configFile, "config", "", "the worker's YAML configuration `FILE` (or REFUND_CONFIG)")
	flags.StringVarP(&r.formatWord, "output", "o", "", "`FORMAT` of the answer: table, wide or json (default: table on a terminal, else json)")
	flags.DurationVar(&r.timeout, "timeout", 10*time.Second, "how long Kafka and Redis may take to answer")
	flags.BoolVar(&r.unmasked, "unmasked", false, "show numbers whole that look like those of cards")
	flags.StringVar(&r.who, "operator", "", "your `NAME` for the trail (default: REFUND_OPERATOR or the user)")
	fatal(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "wide", "json"}, cobra.ShellCompDirectiveNoFileComp)))
	fatal(root.MarkPersistentFlagFilename("config", "yaml", "yml"))
	for _, kind := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Refunds:", []*cobra.Command{newSubmit(r), newWatch(r), newShow(r), newList(r)}},
		{"Repair:", []*cobra.Command{newDLQ(r), newResolve(r), newWithdraw(r), newHold(r), newRelease(r), newHolds(r), newRebuild(r), newTrail(r)}},
		{"Proof:", []*cobra.Command{newAudit(r), newReplay(r)}},
		{"Set-up:", []*cobra.Command{newConfig(r), newTopics(r), newOffsets(r), newGateway(r), newCallback(r)}},
	} {
		root.AddGroup(&cobra.Group{ID: kind.title, Title: kind.title})
		for _, c := range kind.commands {
			c.GroupID = kind.title
			root.AddCommand(c)
		}
	}
	return root
}

// masking is a writer of answers: as in logs what looks like a card's number is
// masked, unless --unmasked.
func (r *run) masking(w io.Writer) io.Writer {
	if r.unmasked {
		return out.Whole{Writer: w}
	}
	return w
}

// groupRun is a command that only has others.
func groupRun(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("unknown command %q for %s; see %s --help", args[0], c.CommandPath(), c.CommandPath())
	}
	return c.Help()
}

// group makes a command that only has others.
func group(use, short, long, example string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.ArbitraryArgs, RunE: groupRun}
	c.AddCommand(commands...)
	return c
}

// exactly wants so many arguments, named as in the command's usage.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage("%s is missing: %s; see %s --help", names[len(args)], c.UseLine(), c.CommandPath())
		case len(args) > len(names):
			return usage("unknown argument %q: %s; see %s --help", args[len(names)], c.UseLine(), c.CommandPath())
		}
		return nil
	}
}

// fatal is for what can only be wrong in this program's own text.
func fatal(err error) {
	if err != nil {
		panic(err)
	}
}
