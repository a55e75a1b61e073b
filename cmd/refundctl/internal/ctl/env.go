package ctl

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"syscall"
	"time"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/dedupe"
)

// Env is the world of one run; tests bring their own.
type Env struct {
	In          io.Reader
	Out, Err    io.Writer
	Terminal    bool // Out is one: tables
	ErrTerminal bool // Err is one: progress lines
	Now         func() time.Time
	Zone        *time.Location // of times in tables
	Who, From   string         // for the trail: the operator, and the host
}

// Main runs the command in the process's world and answers its exit code. SIGINT
// and SIGTERM end it cleanly, a second one at once.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	dedupe.Quiet()
	host, _ := os.Hostname()
	return Run(ctx, args, Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Terminal: isTerminal(os.Stdout), ErrTerminal: isTerminal(os.Stderr),
		Now: time.Now, Zone: time.Local, Who: operator(), From: host,
	})
}

// operator is REFUND_OPERATOR, or the user of this process.
func operator() string {
	if who := os.Getenv("REFUND_OPERATOR"); who != "" {
		return who
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "uid " + os.Getenv("UID")
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// progress is the progress line of this run: on a terminal alone.
func (r *run) progress() *out.Progress {
	if !r.ErrTerminal {
		return out.NewProgress(nil, r.Now)
	}
	return out.NewProgress(r.Err, r.Now)
}

// none tells a person that a table has no rows; programs see no line.
func (r *run) none(rows int, format string, args ...any) {
	if rows == 0 && r.format != out.JSON {
		fmt.Fprintf(r.Err, format+"\n", args...)
	}
}

// count is a number of things: 1 letter, 2 letters.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
