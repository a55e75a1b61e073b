package gatewaysim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// kind is the JSON type of a flat value.
type kind byte

const (
	kindString kind = 's'
	kindNumber kind = 'n'
	kindOther  kind = 'o' // true, false, null
)

// value is one flat field: a string's content, a number's literal as sent.
type value struct {
	kind kind
	text string
}

// parseFlat reads one JSON object of scalars. It refuses what makes two
// readers disagree: a key twice, nesting, bytes after the object, bytes that
// are not UTF-8.
func parseFlat(body []byte) (map[string]value, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	fields := map[string]value{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		name := key.(string)
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("field %q is there twice", name)
		}
		tok, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("field %q is not JSON: %w", name, err)
		}
		switch v := tok.(type) {
		case string:
			fields[name] = value{kindString, v}
		case json.Number:
			fields[name] = value{kindNumber, v.String()}
		case bool:
			fields[name] = value{kindOther, fmt.Sprint(v)}
		case nil:
			fields[name] = value{kindOther, ""}
		default:
			return nil, fmt.Errorf("field %q is nested", name)
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("bytes after the JSON object")
	}
	return fields, nil
}

// flatten writes an answer's fields as literals for signing: strings raw,
// everything else as its JSON.
func flatten(fields map[string]any) map[string]value {
	out := make(map[string]value, len(fields))
	for k, v := range fields {
		switch v := v.(type) {
		case string:
			out[k] = value{kindString, v}
		case nil:
			out[k] = value{kindOther, ""}
		default:
			b, _ := json.Marshal(v)
			out[k] = value{kindOther, string(b)}
		}
	}
	return out
}

// override applies a script's Fields: nil removes.
func override(fields map[string]any, by map[string]any) {
	for k, v := range by {
		if v == nil {
			delete(fields, k)
		} else {
			fields[k] = v
		}
	}
}
