package wire

import "errors"

// Field is one member of a flat JSON object; Value is a string's characters or a
// literal as received.
type Field struct{ Name, Value string }

var errFlat = errors.New("wire: not a flat JSON object of strings without escapes")

// Flat reads a flat JSON object into fields, which is used again where it is large
// enough. The fields point into doc.
func Flat(doc string, fields []Field) ([]Field, error) {
	fields = fields[:0]
	s := scan{doc: doc}
	if !s.take('{') {
		return nil, errFlat
	}
	for {
		if s.take('}') {
			return fields, nil
		}
		name, ok := s.text()
		if !ok || !s.take(':') {
			return nil, errFlat
		}
		value, ok := s.value()
		if !ok {
			return nil, errFlat
		}
		fields = append(fields, Field{name, value})
		s.take(',')
	}
}

// Value is the field's value, or empty.
func Value(fields []Field, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

type scan struct {
	doc string
	at  int
}

func (s *scan) space() {
	for s.at < len(s.doc) && (s.doc[s.at] == ' ' || s.doc[s.at] == '\n' || s.doc[s.at] == '\t' || s.doc[s.at] == '\r') {
		s.at++
	}
}

func (s *scan) take(c byte) bool {
	s.space()
	if s.at < len(s.doc) && s.doc[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scan) text() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	for begin := s.at; s.at < len(s.doc); s.at++ {
		switch s.doc[s.at] {
		case '\\':
			return "", false
		case '"':
			s.at++
			return s.doc[begin : s.at-1], true
		}
	}
	return "", false
}

func (s *scan) value() (string, bool) {
	s.space()
	if s.at < len(s.doc) && s.doc[s.at] == '"' {
		return s.text()
	}
	begin := s.at
	for s.at < len(s.doc) && s.doc[s.at] != ',' && s.doc[s.at] != '}' {
		s.at++
	}
	literal := s.doc[begin:s.at]
	return literal, literal != "" && literal[0] != '{' && literal[0] != '['
}
