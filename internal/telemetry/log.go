package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fields are the names of log fields, each with one meaning everywhere.
var Fields = map[string]string{
	"process": "worker or notify-bridge", "refund_no": "of the refund", "merchant": "of the refund", "provider": "its gateway",
	"attempt": "refund calls begun for it", "sequence": "of its event", "status": "of the refund, as subscribers see it", "source": "who brought the news",
	"correction": "a final status that its gateway took back", "code": "error.code of the event: the gateway's or one of ours",
	"provider_status": "the gateway's own word", "words": "the gateway's, or ours, for people", "kind": "of a call: refund or query", "class": "of its outcome",
	"topic": "of a message", "partition": "of a message", "offset": "of a message", "group": "of consumers", "partitions": "assigned to this worker",
	"reason": "of a dead letter", "cause": "why it is one", "verdict": "of a delivery", "tries": "of a message that made the handler panic", "stack": "where it did",
	"waits": "what works under way wait for", "outcome": "of a callback", "answer": "HTTP status of a callback's answer", "owed": "a query was left for the refund",
	"took": "milliseconds", "step": "at Kafka or Redis that failed", "left_out": "lines of this step that were not written since the last one",
	"from": "state of a breaker before", "to": "and after", "held": "the merchant's refund calls", "why": "in words",
	"merchants": "how many, or which", "read": "records of a scan", "of": "records that it has", "restored": "refunds", "open": "refunds that are not final",
	"new": "the merchant was never served before", "epoch": "of a merchant", "quiet": "milliseconds in which nothing is claimed", "listen": "address",
	"clock": "whose", "ahead": "milliseconds that it is ahead of ours", "changed": "keys of the configuration", "added": "merchants",
	"level": "", "time": "", "message": "", "error": "in words",
}

// names of our own things: a number of these is shown whole, or nobody finds it.
var identifiers = map[string]bool{"refund_no": true, "merchant": true}

// LogWriter passes on log lines, JSON objects of the kind that zerolog writes, so
// that whatever came from outside does no harm: what looks like a card is masked
// (MaskCards) but in the fields that name our own things, and characters that
// nobody can see are escaped.
func LogWriter(out io.Writer) io.Writer { return lines{out} }

type lines struct{ out io.Writer }

// Write implements io.Writer.
func (l lines) Write(line []byte) (int, error) {
	text := string(line)
	safe := escapeJSON(maskExcept(text, shownWhole))
	if safe == text {
		return l.out.Write(line)
	}
	if _, err := io.WriteString(l.out, safe); err != nil {
		return 0, err
	}
	return len(line), nil
}

// shownWhole: a bare number of the line (an offset, the digits of a fraction), or the
// value of a field that names a thing of ours.
func shownWhole(line string, i int) bool {
	for i > 0 && (digit(line[i-1]) || strings.IndexByte("+-.eE", line[i-1]) >= 0) { // a number, from where it begins
		i--
	}
	if i >= 2 && line[i-1] == ':' && line[i-2] == '"' {
		return i < 3 || line[i-3] != '\\'
	}
	quote := strings.LastIndexByte(line[:i], '"')
	if quote < 2 || line[quote-1] != ':' || line[quote-2] != '"' { // no beginning of a value: an escaped one is behind a backslash
		return false
	}
	key := line[:quote-2]
	return identifiers[key[strings.LastIndexByte(key, '"')+1:]]
}

// escapeJSON writes characters that cannot be seen, or that turn text around, as
// JSON's escapes. JSON itself asks that only of those below a space.
func escapeJSON(line string) string {
	if strings.IndexFunc(line, hiddenInJSON) < 0 {
		return line
	}
	var out strings.Builder
	for _, r := range line {
		switch {
		case !hiddenInJSON(r):
			out.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

func hiddenInJSON(r rune) bool {
	return r != '\n' && r != ' ' && r >= ' ' && (r == utf8.RuneError || !unicode.IsPrint(r))
}

// Visible escapes control characters, and all others that cannot be seen, as Go
// source has them: for lines that people read on a terminal.
func Visible(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) < 0 {
		return text
	}
	var out bytes.Buffer
	for _, r := range text {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			out.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	return out.String()
}
