package events

import (
	"fmt"
	"strings"
)

// scanner reads JSON (RFC 8259) in one pass, and more strictly than the standard
// library: keys are compared exactly, a key that stands twice in one object is an
// error at any depth, and so is half a surrogate pair. The text must be valid
// UTF-8. Strings without escapes are parts of doc, not copies.
type scanner struct {
	doc   string
	pos   int
	depth int
}

// maxDepth bounds the recursion, as the standard library does.
const maxDepth = 10000

type kind int

const (
	kindNone kind = iota // the end of the text, or no value
	kindString
	kindNumber
	kindObject
	kindArray
	kindTrue
	kindFalse
	kindNull
)

// peek skips spaces and says what value begins at the scanner's position.
func (s *scanner) peek() kind {
	s.space()
	if s.pos == len(s.doc) {
		return kindNone
	}
	switch c := s.doc[s.pos]; {
	case c == '"':
		return kindString
	case c == '{':
		return kindObject
	case c == '[':
		return kindArray
	case c == 't':
		return kindTrue
	case c == 'f':
		return kindFalse
	case c == 'n':
		return kindNull
	case c == '-', '0' <= c && c <= '9':
		return kindNumber
	}
	return kindNone
}

func (s *scanner) space() {
	for s.pos < len(s.doc) {
		switch s.doc[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("byte %d: %s", s.pos, fmt.Sprintf(format, args...))
}

// end is an error where anything but spaces is left.
func (s *scanner) end() error {
	if s.space(); s.pos != len(s.doc) {
		return s.errorf("more after the end")
	}
	return nil
}

// take reads c, after spaces, where it is there.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.pos < len(s.doc) && s.doc[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// object reads an object. member gets each key and must read its value.
func (s *scanner) object(member func(key string) error) error {
	var seen keys
	return s.list('{', '}', func() error {
		if s.peek() != kindString {
			return s.errorf("want a key")
		}
		key, err := s.text()
		if err != nil {
			return err
		}
		if !seen.add(key) {
			return s.errorf("a key stands twice")
		}
		if !s.take(':') {
			return s.errorf("want a colon")
		}
		return member(key)
	})
}

// list reads what stands between open and close, parted by commas.
func (s *scanner) list(open, end byte, element func() error) error {
	if !s.take(open) {
		return s.errorf("want %q", open)
	}
	if s.depth++; s.depth > maxDepth {
		return s.errorf("nested too deeply")
	}
	defer func() { s.depth-- }()
	if s.take(end) {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.take(end) {
			return nil
		}
		if !s.take(',') {
			return s.errorf("want a comma or %q", end)
		}
	}
}

// skip reads any value and holds it against every rule.
func (s *scanner) skip() error {
	switch s.peek() {
	case kindString:
		_, err := s.text()
		return err
	case kindNumber:
		return s.number()
	case kindObject:
		return s.object(func(string) error { return s.skip() })
	case kindArray:
		return s.list('[', ']', s.skip)
	case kindTrue:
		return s.word("true")
	case kindFalse:
		return s.word("false")
	case kindNull:
		return s.word("null")
	}
	return s.errorf("want a value")
}

func (s *scanner) word(w string) error {
	if !strings.HasPrefix(s.doc[s.pos:], w) {
		return s.errorf("want %s", w)
	}
	s.pos += len(w)
	return nil
}

func (s *scanner) digits() bool {
	from := s.pos
	for s.pos < len(s.doc) && '0' <= s.doc[s.pos] && s.doc[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > from
}

func (s *scanner) oneOf(set string) bool {
	if s.pos < len(s.doc) && strings.IndexByte(set, s.doc[s.pos]) >= 0 {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) number() error {
	s.oneOf("-")
	if !s.oneOf("0") && !s.digits() {
		return s.errorf("want a digit")
	}
	if s.oneOf(".") && !s.digits() {
		return s.errorf("want a digit")
	}
	if s.oneOf("eE") {
		s.oneOf("+-")
		if !s.digits() {
			return s.errorf("want a digit")
		}
	}
	return nil
}

// keys are those of one object so far. A request has about 13: comparing is
// cheaper than a map, which takes over where a message is made to be slow.
type keys struct {
	n    int
	few  [20]string
	many map[string]struct{}
}

func (k *keys) add(key string) bool {
	for _, other := range k.few[:k.n] {
		if other == key {
			return false
		}
	}
	if k.n < len(k.few) {
		k.few[k.n] = key
		k.n++
		return true
	}
	if _, twice := k.many[key]; twice {
		return false
	}
	if k.many == nil {
		k.many = map[string]struct{}{}
	}
	k.many[key] = struct{}{}
	return true
}
