// Package out writes what commands answer: tables for people, JSON lines for
// programs, a progress line on a terminal.
//
// It guarantees: JSON is one object a line; a table's cell is one line without
// control characters, whatever a message's sender wrote; what looks like a card's
// number is masked as in logs, unless it names a refund or a merchant, or the writer
// is a Whole; a progress line is written to a terminal alone and is gone before
// anything else is written there. It knows telemetry, for the masking.
package out

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/refundworker/refundworker/internal/telemetry"
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

// Whole is a writer to which nothing is masked.
type Whole struct{ io.Writer }

// Mask is a text as it is written to w.
func Mask(w io.Writer, text string) string {
	if _, whole := w.(Whole); whole {
		return text
	}
	return telemetry.MaskCards(text)
}

// Object writes one JSON object as a line.
func Object(w io.Writer, v any) error {
	if _, whole := w.(Whole); !whole {
		w = telemetry.LogWriter(w)
	}
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
