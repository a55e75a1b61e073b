package config

import (
	"fmt"
	"regexp"
	"strings"
)

const mask = "****"

var (
	// secretLine is what follows a key that holds a secret.
	secretLine = regexp.MustCompile(`(?i)((?:secret|passw|passphrase|token|credential|private_?key|api_?key)[A-Za-z0-9_]*["']?\s*:\s*)(.*)`)
	// userInURL is the user and password of an address.
	userInURL = regexp.MustCompile(`(://)[^/@\s"']*@`)
)

// hidden is a part of a line that is never shown: columns from (counted from 1) up
// to, and not including, to.
type hidden struct{ line, from, to int }

const lineEnd = 1 << 30

// hide keeps a value from being shown: it is a secret, or may be one under a
// misspelt key. A reference to one can be shown.
func (d *document) hide(n *node) {
	if n.kind == scalar && !pureReference.MatchString(n.text) {
		for i, line := range strings.Split(n.source, "\n") {
			part := hidden{n.at.line + i, 1, lineEnd}
			if i == 0 {
				part.from, part.to = n.at.column, n.at.column+len([]rune(line))
			}
			d.hidden = append(d.hidden, part)
		}
	}
	for _, m := range n.members {
		d.hide(m.value)
	}
	for _, item := range n.items {
		d.hide(item)
	}
}

// excerpt shows a line of the file with a caret under the column.
func (d *document) excerpt(at place) string {
	if at.line < 1 || at.line > len(d.lines) {
		return "      | (the file is empty)"
	}
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, d.shownUpTo(at.line, at.column-1))
	return fmt.Sprintf("%5d | %s\n      | %s^", at.line, d.shownUpTo(at.line, lineEnd), pad)
}

// shownUpTo is a line, or its first characters, with its secrets masked.
func (d *document) shownUpTo(number, most int) string {
	line := []rune(d.lines[number-1])
	line = line[:min(most, len(line))]
	var out strings.Builder
	masking := false
	for i, r := range line {
		was := masking
		if masking = d.isHidden(number, i+1); !masking {
			out.WriteRune(r)
		} else if !was {
			out.WriteString(mask)
		}
	}
	shown := userInURL.ReplaceAllString(out.String(), "${1}"+mask+"@")
	for _, text := range d.texts {
		shown = strings.ReplaceAll(shown, text, mask)
	}
	if d.root == nil { // no YAML: by the look of the keys
		if d.belowSecret(number) {
			return mask
		}
		shown = secretLine.ReplaceAllString(shown, "${1}"+mask)
	}
	return shown
}

func (d *document) isHidden(line, column int) bool {
	for _, h := range d.hidden {
		if h.line == line && h.from <= column && column < h.to {
			return true
		}
	}
	return false
}

// belowSecret: a line above, less indented than this one, is a key that holds a
// secret.
func (d *document) belowSecret(number int) bool {
	depth := indentation(d.lines[number-1])
	for i := number - 2; i >= 0 && depth > 0; i-- {
		line := d.lines[i]
		if strings.TrimSpace(line) == "" || indentation(line) >= depth {
			continue
		}
		if secretLine.MatchString(line) {
			return true
		}
		depth = indentation(line)
	}
	return false
}

func indentation(line string) int { return len(line) - len(strings.TrimLeft(line, " \t-")) }
