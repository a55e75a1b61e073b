package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Finding is one thing that is wrong in the configuration file.
type Finding struct {
	File         string
	Line, Column int // from 1; columns are characters
	Message      string
	Excerpt      string // the line and a caret under the column; secrets are masked
}

// String is file:line:column: message, and the line.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s\n%s", f.File, f.Line, f.Column, f.Message, f.Excerpt)
}

// Findings is everything that is wrong in a configuration file, in its order. It
// shows no secret: neither one that is written in the file nor one that was put
// in from the environment or a file.
type Findings struct{ List []Finding }

// Error is all findings.
func (f *Findings) Error() string {
	lines := make([]string, len(f.List))
	for i, one := range f.List {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// Join makes one of all findings in the given errors, each once, in the order of
// the file. Other errors come behind them. Nil where there is none.
func Join(errs ...error) error {
	all := &Findings{}
	var others []error
	for _, err := range errs {
		var found *Findings
		switch {
		case err == nil:
		case errors.As(err, &found):
			all.List = append(all.List, found.List...)
		default:
			others = append(others, err)
		}
	}
	slices.SortStableFunc(all.List, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	all.List = slices.Compact(all.List)
	if len(others) > 0 {
		if len(all.List) > 0 {
			others = append([]error{all}, others...)
		}
		return errors.Join(others...)
	}
	if len(all.List) == 0 {
		return nil
	}
	return all
}
