package events

import (
	"fmt"
	"strings"
)

// Reason says why a message cannot be taken: one of the reasons of a dead letter.
type Reason string

const (
	// Undecodable: not JSON, not UTF-8, a key twice, or no CloudEvent of the type
	// that the topic has.
	Undecodable Reason = "undecodable"
	// Invalid: JSON, but a field breaks its rule.
	Invalid Reason = "invalid"
)

// Error says why a message cannot be decoded. It is one line and repeats no more
// of the message than an amount.
type Error struct {
	Reason   Reason
	Problems []Problem // at least one; Undecodable has one without a Field
}

// Problem is what is wrong with one field.
type Problem struct {
	Field string
	What  string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Reason))
	for i, p := range e.Problems {
		b.WriteString([]string{": ", "; "}[min(i, 1)])
		if p.Field != "" {
			b.WriteString(p.Field + ": ")
		}
		b.WriteString(p.What)
	}
	return b.String()
}

func undecodable(format string, args ...any) *Error {
	return &Error{Reason: Undecodable, Problems: []Problem{{What: fmt.Sprintf(format, args...)}}}
}
