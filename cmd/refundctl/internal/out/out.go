// Package out writes what commands answer: tables for people, JSON lines for
// programs, a progress line on a terminal.
//
// It guarantees: JSON is one object a line; a table's cell is one line without
// control characters, whatever a message's sender wrote; a progress line is
// written to a terminal alone and is gone before anything else is written there.
// It knows nobody.
package out

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Format of an answer.
type Format string

// The formats.
const (
	Table Format = "table"
	Wide  Format = "wide" // a table with more columns
	JSON  Format = "json" // one object a line
)

// ParseFormat reads the word given to -o; where none is, a terminal gets a table
// and everything else JSON.
func ParseFormat(word string, terminal bool) (Format, error) {
	switch f := Format(word); {
	case f == "" && terminal:
		return Table, nil
	case f == "":
		return JSON, nil
	case slices.Contains([]Format{Table, Wide, JSON}, f):
		return f, nil
	}
	return "", fmt.Errorf("-o %s: want table, wide or json", word)
}

// Object writes one JSON object as a line.
func Object(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Clean makes a text fit for one line of a terminal: control characters, which
// could move the cursor or hide a line, are shown as their code.
func Clean(s string) string {
	if !strings.ContainsFunc(s, unfit) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unfit(r) || r == utf8.RuneError {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// unfit: controls, and marks that change the direction of what follows.
func unfit(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// Clip shortens a text to so many characters.
func Clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
