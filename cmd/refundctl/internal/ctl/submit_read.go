package ctl

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/refundworker/refundworker/internal/refund"
)

// row is one refund that is to be submitted.
type row struct {
	line     int    // of the file; 0: from flags
	text     []byte // as JSON
	request  refund.Request
	verdict  verdict
	problems []string
	last     happening // what happened to it, where it is waited for
}

// verdict of a row.
type verdict string

const (
	verdictReady     verdict = "ready" // nothing is wrong with it, and it was not sent
	verdictPublished verdict = "published"
	verdictPerhaps   verdict = "perhaps_published" // the broker did not answer; the same row again does no harm
	verdictRepeated  verdict = "repeated"          // the same as an earlier row, not sent twice
	verdictInvalid   verdict = "invalid"
)

// requestFields are those of a request (DESIGN.md, section 4).
var requestFields = []string{
	"refund_no", "merchant", "order_no", "transaction_id", "amount", "order_amount", "currency",
	"method", "wallet", "terminal", "flow", "reason", "requested_at",
}

// readRows reads JSON lines or CSV, told apart by the first character unless format
// says it.
func readRows(text []byte, format string) ([]*row, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if format == "" {
		format = "csv"
		if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
			format = "jsonl"
		}
	}
	switch format {
	case "csv":
		return readCSV(text)
	case "jsonl":
		return readLines(text), nil
	}
	return nil, fmt.Errorf("--format %s: want jsonl or csv", format)
}

// readLines takes each line that is not blank as a request.
func readLines(text []byte) (rows []*row) {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) > 0 {
			rows = append(rows, &row{line: number, text: line})
		}
	}
	return rows
}

// readCSV takes the first line as the fields' names. The separator is the one of
// , ; and tab that stands there most often.
func readCSV(text []byte) ([]*row, error) {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	c := csv.NewReader(bytes.NewReader(text))
	c.Comma = slices.MaxFunc([]rune{',', ';', '\t'}, func(a, b rune) int {
		return bytes.Count(first, []byte(string(a))) - bytes.Count(first, []byte(string(b)))
	})
	names, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		switch {
		case !slices.Contains(requestFields, names[i]):
			return nil, fmt.Errorf("line 1: column %q is no field of a request; there are: %s", names[i], strings.Join(requestFields, ", "))
		case slices.Contains(names[:i], names[i]):
			return nil, fmt.Errorf("line 1: column %q is there twice", names[i])
		}
	}
	var rows []*row
	for {
		cells, err := c.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		var parse *csv.ParseError
		switch {
		case errors.As(err, &parse) && errors.Is(err, csv.ErrFieldCount):
			rows = append(rows, &row{line: parse.StartLine, verdict: verdictInvalid,
				problems: []string{fmt.Sprintf("%d cells, the header has %d", len(cells), len(names))}})
			continue
		case err != nil:
			return nil, err
		}
		line, _ := c.FieldPos(0)
		fields := map[string]string{}
		for i, cell := range cells {
			if cell != "" {
				fields[names[i]] = cell
			}
		}
		rows = append(rows, &row{line: line, text: object(fields)})
	}
}

// object is a request of its fields.
func object(fields map[string]string) []byte {
	text, err := json.Marshal(fields)
	fatal(err) // a map of strings
	return text
}
