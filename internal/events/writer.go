package events

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// writer builds what a record holds, one piece behind the other in the same bytes:
// JSON objects, their members in the order of the calls, and plain texts.
type writer struct {
	b    []byte
	from int // of the piece that is being written
}

// cut is the piece that was written since the last cut.
func (w *writer) cut() []byte {
	piece := w.b[w.from:len(w.b):len(w.b)]
	w.from = len(w.b)
	return piece
}

// plain is a piece of these texts.
func (w *writer) plain(texts ...string) []byte {
	for _, text := range texts {
		w.b = append(w.b, text...)
	}
	return w.cut()
}

func (w *writer) plainTime(t time.Time) []byte {
	w.b = t.UTC().AppendFormat(w.b, eventTime)
	return w.cut()
}

// open and close are the braces of an object.
func (w *writer) open()  { w.b = append(w.b, '{') }
func (w *writer) close() { w.b = append(w.b, '}') }

func (w *writer) key(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) text(name, value string) {
	w.key(name)
	w.b = appendString(w.b, value)
}

// textIf leaves an empty value out.
func (w *writer) textIf(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *writer) bool(name string, value bool) {
	w.key(name)
	w.b = strconv.AppendBool(w.b, value)
}

func (w *writer) int(name string, value int64) {
	w.key(name)
	w.b = strconv.AppendInt(w.b, value, 10)
}

// eventTime is RFC 3339 in UTC with milliseconds.
const eventTime = "2006-01-02T15:04:05.000Z07:00"

func (w *writer) time(name string, t time.Time) {
	w.key(name)
	w.b = append(t.UTC().AppendFormat(append(w.b, '"'), eventTime), '"')
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string; what is no UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	asIs := 0 // from here to i
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[asIs:i]...)
		switch {
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += size - 1
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, '\\', c)
		}
		i++
		asIs = i
	}
	return append(append(b, s[asIs:]...), '"')
}

// maxTold bounds, in bytes, each text that a gateway told and an event shows: an
// event that is too large for its topic would stop the refunds behind it.
const maxTold = 1024

// told is a gateway's text as an event shows it. Applied twice it changes nothing
// more, so a rebuilt record renders as it did before.
func told(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if len(s) <= maxTold {
		return s
	}
	cut := maxTold
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
