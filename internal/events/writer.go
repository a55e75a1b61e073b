package events

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// writer builds one JSON object, its members in the order of the calls.
type writer struct{ b []byte }

// newWriter has room for about so many bytes.
func newWriter(size int) *writer { return &writer{b: append(make([]byte, 0, size), '{')} }

// end closes the object and answers its bytes.
func (w *writer) end() []byte { return append(w.b, '}') }

func (w *writer) key(name string) {
	if len(w.b) > 1 {
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
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += size
			continue
		}
		i++
	}
	return append(b, '"')
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
