package eftpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// fields is a flat JSON object: each value as the signature sees it, that is a
// string's characters, a number's literal as received ("0.10" stays "0.10"), true
// or false. Null is the empty string.
type fields map[string]string

// maxFields bounds an object; eftPay's longest has 17.
const maxFields = 100

// parseFlat reads exactly one flat JSON object in UTF-8. It refuses what could be
// read in two ways: a key that is there twice, a nested value, anything after the
// object, and fields that another split of the signed text would give as well
// (ambiguous). No error repeats the body.
func parseFlat(body []byte) (fields, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	f := fields{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, errors.New("broken JSON")
		}
		name, _ := key.(string)
		value, err := scalar(d)
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
	if _, err := d.Token(); err != nil {
		return nil, errors.New("broken JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something after the JSON object")
	}
	return f, nil
}

func scalar(d *json.Decoder) (string, error) {
	token, err := d.Token()
	if err != nil {
		return "", errors.New("broken JSON")
	}
	switch v := token.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return fmt.Sprint(v), nil
	case nil:
		return "", nil
	}
	return "", errors.New("a value is nested")
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
