package eftpay

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// fields is a flat JSON object: each value as the signature sees it, that is a
// string's characters, a number's literal as received ("0.10" stays "0.10"), true
// or false. Null is the empty string.
type fields map[string]string

const (
	maxFields   = 100 // of an object
	usualFields = 20  // a few more than eftPay's longest object has
)

// parseFlat reads exactly one flat JSON object in UTF-8. It refuses what could be
// read in two ways: a key that is there twice, a nested value, anything after the
// object, and fields that another split of the signed text would give as well
// (ambiguous). No error repeats the body.
func parseFlat(body []byte) (fields, error) {
	switch {
	case !utf8.Valid(body):
		return nil, errors.New("not UTF-8")
	case !json.Valid(body):
		return nil, errors.New("broken JSON")
	}
	w := walk{text: string(body)}
	if !w.take('{') {
		return nil, errors.New("not a JSON object")
	}
	f := make(fields, usualFields)
	for !w.take('}') {
		w.take(',')
		name, err := w.scalar()
		if err != nil {
			return nil, err
		}
		w.take(':')
		value, err := w.scalar()
		if err != nil {
			return nil, err
		}
		if _, twice := f[name]; twice {
			return nil, errors.New("a key is there twice")
		}
		if ambiguous(name, value) {
			return nil, errors.New("a field can be read as several")
		}
		if f[name] = value; len(f) > maxFields {
			return nil, fmt.Errorf("more than %d fields", maxFields)
		}
	}
	return f, nil
}

// walk goes through what is known to be one JSON value, so it looks for nothing
// that JSON does not have there.
type walk struct {
	text string
	pos  int
}

// take takes c where it comes next, behind spaces.
func (w *walk) take(c byte) bool {
	for w.pos < len(w.text) && space(w.text[w.pos]) {
		w.pos++
	}
	if w.pos == len(w.text) || w.text[w.pos] != c {
		return false
	}
	w.pos++
	return true
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// scalar takes the next key or value.
func (w *walk) scalar() (string, error) {
	switch {
	case w.take('"'):
		return w.quoted()
	case w.take('{'), w.take('['):
		return "", errors.New("a value is nested")
	}
	begin := w.pos
	for c := w.text[w.pos]; c != ',' && c != '}' && !space(c); c = w.text[w.pos] {
		w.pos++
	}
	if literal := w.text[begin:w.pos]; literal != "null" {
		return literal, nil
	}
	return "", nil
}

// quoted takes a string behind its first quote.
func (w *walk) quoted() (string, error) {
	begin, escaped := w.pos, false
	for w.text[w.pos] != '"' {
		if w.text[w.pos] == '\\' {
			escaped = true
			w.pos++ // what is behind it ends no string
		}
		w.pos++
	}
	text := w.text[begin:w.pos]
	w.pos++
	if !escaped {
		return text, nil
	}
	var plain string
	err := json.Unmarshal([]byte(`"`+text+`"`), &plain)
	return plain, err
}

// ambiguous: the signature is over k1=v1&k2=v2, unescaped, so a field that holds
// such a piece itself has the signature of several. Whoever saw one message signed
// could make another of it.
func ambiguous(name, value string) bool {
	if name == "" || strings.ContainsAny(name, "&=") {
		return true
	}
	_, rest, joined := strings.Cut(value, "&")
	return joined && strings.Contains(rest, "=")
}
