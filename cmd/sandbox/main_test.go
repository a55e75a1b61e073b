package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
)

// failing takes so many writes.
type failing struct {
	left int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, f.err
	}
	return len(p), nil
}

// Lost output is no success: a full disk is told in one line, a reader who went away
// (head) needs none.
func TestLostOutput(t *testing.T) {
	for name, c := range map[string]struct {
		out  io.Writer
		says string
	}{
		"disk full":       {&failing{err: syscall.ENOSPC}, "sandbox: its output cannot be written: no space left on device\n"},
		"full on the way": {&failing{left: 6, err: errors.New("full")}, "sandbox: its output cannot be written: full\n"},
		"head":            {&failing{left: 6, err: syscall.EPIPE}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var errs bytes.Buffer
			if code := run(nil, c.out, &errs); code != 1 || errs.String() != c.says {
				t.Errorf("exit code %d, %q", code, errs.String())
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for args, code := range map[string]int{"-h": 0, "-x": 2, "serve": 2, "-rate x": 2} {
		var errs bytes.Buffer
		if got := run(strings.Fields(args), io.Discard, &errs); got != code || errs.Len() == 0 {
			t.Errorf("%s: exit code %d, %q", args, got, errs.String())
		}
	}
}
