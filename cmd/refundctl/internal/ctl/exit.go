package ctl

import (
	"context"
	"errors"
	"fmt"

	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// Exit codes of every command (docs/refundctl.md).
const (
	ExitDone        = 0
	ExitWrong       = 1   // it looked and found something wrong
	ExitUsage       = 2   // the command line, the configuration, or a file that was given
	ExitUnreachable = 3   // Kafka or Redis
	ExitMissed      = 99  // a threshold of a load test
	ExitInterrupted = 130 // by a signal, before it was done
)

// exit is an error with the code that it ends with. A nil Err says that all was
// said before.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// found ends a command that has said what is wrong.
func found() error { return &exit{code: ExitWrong} }

func wrong(format string, args ...any) error { return &exit{ExitWrong, fmt.Errorf(format, args...)} }

func usage(format string, args ...any) error { return &exit{ExitUsage, fmt.Errorf(format, args...)} }

func unreachable(err error) error { return &exit{ExitUnreachable, err} }

// codeOf is the exit code of what a command ended with.
func codeOf(ctx context.Context, err error) int {
	var e *exit
	var findings *config.Findings
	var away *refund.Unavailable
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &e):
		return e.code
	case ctx.Err() != nil:
		return ExitInterrupted
	case errors.As(err, &findings), errors.Is(err, kafka.ErrNoTopic):
		return ExitUsage
	case errors.As(err, &away), errors.Is(err, context.DeadlineExceeded):
		return ExitUnreachable
	}
	return ExitWrong
}
