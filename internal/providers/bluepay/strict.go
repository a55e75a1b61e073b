package bluepay

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/refundworker/refundworker/internal/refund"
)

var (
	errNotJSON   = errors.New("is not one JSON object in UTF-8")
	errRepeated  = errors.New("repeats a key")
	errDeep      = errors.New("is nested too deeply")
	errFieldType = errors.New("has a field of another type than documented")
)

// maxDepth bounds the nesting of what a gateway sends: the pages know three.
const maxDepth = 8

// fields is a JSON object by its exact keys (encoding/json would take "Param" for
// "param").
type fields map[string]json.RawMessage

// strictObject reads one JSON object that is valid UTF-8, has nothing behind it,
// and repeats no key on any level: which of two equal keys counts would be up to
// the reader.
func strictObject(text []byte) (fields, error) {
	if !utf8.Valid(text) {
		return nil, errNotJSON
	}
	return objectWithin(text, maxDepth)
}

func objectWithin(text []byte, depth int) (fields, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return nil, errNotJSON
	}
	out := fields{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, errNotJSON
		}
		name, ok := key.(string)
		if !ok {
			return nil, errNotJSON
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return nil, errNotJSON
		}
		if _, twice := out[name]; twice {
			return nil, errRepeated
		}
		if err := strictValue(value, depth-1); err != nil {
			return nil, err
		}
		out[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, errNotJSON
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errNotJSON
	}
	return out, nil
}

// strictValue looks into a value for repeated keys.
func strictValue(value json.RawMessage, depth int) error {
	switch {
	case len(value) == 0 || value[0] != '{' && value[0] != '[':
		return nil
	case depth <= 0:
		return errDeep
	case value[0] == '{':
		_, err := objectWithin(value, depth)
		return err
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return errNotJSON
	}
	for _, element := range list {
		if err := strictValue(element, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// absent is a field that is not there, or null.
func (f fields) absent(name string) bool {
	raw, there := f[name]
	return !there || string(raw) == "null"
}

// text reads a string, or the digits of a number: ids come as either. A field
// that is absent is empty.
func (f fields) text(name string) (string, error) {
	if f.absent(name) {
		return "", nil
	}
	raw := f[name]
	if raw[0] != '"' {
		if !digits(string(raw)) {
			return "", errFieldType
		}
		return string(raw), nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", errFieldType
	}
	return s, nil
}

// whole reads a number without sign, fraction and exponent, bare or quoted, up to
// refund.MaxMinor. It reports false where the field is absent.
func (f fields) whole(name string) (int64, bool, error) {
	s, err := f.text(name)
	if err != nil || s == "" {
		return 0, false, err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || !digits(s) || n > refund.MaxMinor {
		return 0, false, errFieldType
	}
	return n, true, nil
}

// clock reads a time without a zone as the vendor prints it; anything else is the
// zero time, as no decision hangs on it.
func (f fields) clock(name string, zone *time.Location) time.Time {
	s, _ := f.text(name)
	at, err := time.ParseInLocation(time.DateTime, s, zone)
	if err != nil {
		return time.Time{}
	}
	return at
}

func digits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// shown makes a gateway's words fit for a log and an event: one line, bounded.
func shown(s string) string {
	const most = 200
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 }), " ")
	for i := range s {
		if i > most {
			return s[:i] + "..."
		}
	}
	return s
}
