package events

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a string.
func (s *scanner) text() (string, error) {
	s.pos++ // the quote
	for from := s.pos; s.pos < len(s.doc); s.pos++ {
		switch c := s.doc[s.pos]; {
		case c == '"':
			s.pos++
			return s.doc[from : s.pos-1], nil
		case c == '\\':
			return s.escaped(from)
		case c < ' ':
			return "", s.errorf("a control character in a string")
		}
	}
	return "", s.errorf("a string without its end")
}

// escaped reads the rest of a string that began at from and has an escape at the
// scanner's position.
func (s *scanner) escaped(from int) (string, error) {
	out := []byte(s.doc[from:s.pos])
	for s.pos < len(s.doc) {
		c := s.doc[s.pos]
		s.pos++
		switch {
		case c == '"':
			return string(out), nil
		case c < ' ':
			return "", s.errorf("a control character in a string")
		case c != '\\':
			out = append(out, c)
			continue
		}
		if s.pos == len(s.doc) {
			break
		}
		c = s.doc[s.pos]
		s.pos++
		if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
			out = append(out, "\"\\/\b\f\n\r\t"[i])
			continue
		}
		if c != 'u' {
			return "", s.errorf("an unknown escape")
		}
		r, err := s.unicode()
		if err != nil {
			return "", err
		}
		out = utf8.AppendRune(out, r)
	}
	return "", s.errorf("a string without its end")
}

// unicode reads what follows \u, and the second half of a surrogate pair.
func (s *scanner) unicode() (rune, error) {
	r, ok := s.hex()
	if !ok {
		return 0, s.errorf("want four hexadecimal digits")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if strings.HasPrefix(s.doc[s.pos:], `\u`) {
		s.pos += 2
		if low, ok := s.hex(); ok {
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				return r, nil
			}
		}
	}
	return 0, s.errorf("half a surrogate pair")
}

func (s *scanner) hex() (rune, bool) {
	if len(s.doc)-s.pos < 4 {
		return 0, false
	}
	var r rune
	for range 4 {
		c := s.doc[s.pos] | 0x20 // lower case
		switch {
		case '0' <= s.doc[s.pos] && s.doc[s.pos] <= '9':
			r = r<<4 + rune(s.doc[s.pos]-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 + rune(c-'a'+10)
		default:
			return 0, false
		}
		s.pos++
	}
	return r, true
}
