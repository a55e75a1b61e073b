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
	"process": "worker or notify-bridge",

	"refund_no": "the refund's number", "merchant": "the refund's merchant", "provider": "the merchant's gateway",
	"attempt": "refund calls begun for the refund", "sequence": "the event's", "status": "the refund's, as subscribers see it",
	"source": "who brought the news: worker, callback, query, operator", "correction": "a final status that its gateway took back",
	"code": "error.code of the event or the outcome: the gateway's or one of ours", "provider_status": "the gateway's own word",
	"words": "the gateway's, or ours, for people", "kind": "of a gateway call: refund or query", "class": "the class of a call's outcome",

	"topic": "where the message lies", "partition": "where the message lies", "offset": "where the message lies", "group": "of consumers",
	"partitions": "how many this worker was assigned", "reason": "why a message is a dead letter, by its closed set", "cause": "the same in words",
	"tries": "how often a message made the handler panic", "stack": "where the handler panicked", "waits": "what works under way wait for",

	"outcome": "what became of a callback", "answer": "HTTP status of a callback's answer", "owed": "a query was left for the refund",
	"took": "milliseconds", "listen": "address",

	"step": "what failed at Kafka or Redis", "left_out": "lines of this step, or partition, that were not written since the last one",
	"from": "the breaker's state before", "to": "the breaker's state now", "held": "whether the merchant's refund calls are held", "why": "in words",

	"merchants": "how many, or which", "read": "records that a rebuild has read", "of": "records that a rebuild has to read", "restored": "refunds brought back",
	"open": "refunds brought back that are not final", "new": "the merchant was never served before", "epoch": "the merchant's",
	"quiet": "milliseconds in which nothing is claimed",

	"clock": "whose clock is off: kafka, redis, gateway", "ahead": "milliseconds that it is ahead of ours",
	"changed": "keys or merchants of the configuration", "added": "merchants",

	"level": "debug to error", "time": "RFC 3339", "message": "what happened", "error": "in words",
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
	if allSeen(line) || strings.IndexFunc(line, hiddenInJSON) < 0 {
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

// allSeen says of most lines at once that they hide nothing.
func allSeen(line string) bool {
	for i := range len(line) {
		if c := line[i]; (c < ' ' || c > '~') && c != '\n' {
			return false
		}
	}
	return true
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
