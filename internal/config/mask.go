package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

const mask = "****"

// userInURL is the user and password of an address.
var userInURL = regexp.MustCompile(`(://)[^/@\s"']*@`)

// masks is what must not be shown of a file.
type masks struct {
	hidden []hidden
	texts  []string        // nor these, wherever they stand
	open   map[string]bool // paths whose values may be shown although they are hidden
	seen   map[shared]bool // what is hidden already: an alias may name a node many times
}

type shared struct {
	path string
	node *node
}

// hidden is a part of a line: columns from (counted from 1) up to, and not
// including, to.
type hidden struct {
	line, from, to int
	path           string // see masks.open
}

const lineEnd = 1 << 30

// hide keeps a value from being shown: it is a secret, or may be one under a
// misspelt key. A reference to one can be shown.
func (d *document) hide(n *node) { d.hideUnless("", n) }

// hideUnless hides a value until it is known that the path's key holds no secret.
func (d *document) hideUnless(path string, n *node) {
	if d.masks.seen[shared{path, n}] {
		return
	}
	d.masks.seen[shared{path, n}] = true
	if n.kind == scalar && !pureReference.MatchString(n.text) {
		for i, line := range strings.Split(n.source, "\n") {
			part := hidden{n.at.line + i, 1, lineEnd, path}
			if i == 0 {
				part.from, part.to = n.at.column, n.at.column+len([]rune(line))
			}
			d.masks.hidden = append(d.masks.hidden, part)
		}
	}
	for _, m := range n.members {
		d.hideUnless(path, m.value)
	}
	for _, item := range n.items {
		d.hideUnless(path, item)
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
	for _, text := range d.masks.texts {
		shown = strings.ReplaceAll(shown, text, mask)
	}
	if d.root == nil {
		return d.unparsed(number, shown)
	}
	return shown
}

func (d *document) isHidden(line, column int) bool {
	for _, h := range d.masks.hidden {
		if h.line == line && h.from <= column && column < h.to && !d.masks.open[h.path] {
			return true
		}
	}
	return false
}

// keyPattern is what looks like a key and its colon.
var keyPattern = regexp.MustCompile(`([A-Za-z0-9_.-]+)["']?\s*:(?:\s|$|["'\[{&!])`)

// openKeys are the keys of the common part of the file: their values can be shown,
// but for secrets. In a file that is no YAML nothing else is known for sure.
var openKeys = func() map[string]bool {
	keys := map[string]bool{}
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		if t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for key, f := range fieldsOf(t) {
			keys[key] = !isSecret(key)
			walk(t.Field(f.index).Type)
		}
	}
	walk(reflect.TypeFor[Config]())
	return keys
}()

// unparsed shows a line of a file that is no YAML up to the first value that may
// be a secret. A line without a key goes on with the one above it.
func (d *document) unparsed(number int, shown string) string {
	if strings.ContainsAny(shown, "@?") {
		return mask
	}
	found := false
	for _, at := range keyPattern.FindAllStringSubmatchIndex(shown, -1) {
		if found = true; !openKeys[shown[at[2]:at[3]]] {
			colon := at[3] + strings.Index(shown[at[3]:], ":")
			return shown[:colon+1] + " " + mask
		}
	}
	for i := number - 2; !found && i >= 0; i-- {
		for _, at := range keyPattern.FindAllStringSubmatch(d.lines[i], -1) {
			if found = true; !openKeys[at[1]] {
				return mask
			}
		}
	}
	return shown
}
