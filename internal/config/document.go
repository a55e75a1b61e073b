package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// document is one configuration file while it is read, and afterwards what tells
// where a key stands in it.
type document struct {
	file  string
	lines []string
	root  *node // nil: not YAML
	masks *masks
	skip  bool // leave ${...} as it is, and what depends on it unchecked

	found  []Finding
	broken map[string]bool // paths with a finding: what is below is not looked at again
}

// notShown are the lines of a file that none is shown of.
var notShown = []string{"(not shown)"}

func newDocument(file string, text []byte, skip bool) *document {
	d := &document{file: file, skip: skip, broken: map[string]bool{}, masks: &masks{open: map[string]bool{}, seen: map[shared]bool{}}}
	if len(text) > mostBytes {
		d.add(place{1, 1}, fmt.Sprintf("larger than %d bytes: no configuration is", mostBytes))
		d.lines = notShown
		return d
	}
	for line := range strings.Lines(strings.ToValidUTF8(string(text), "\ufffd")) {
		d.lines = append(d.lines, strings.TrimRight(line, "\r\n"))
	}
	if i := slices.IndexFunc(d.lines, func(line string) bool { return strings.ContainsRune(line, utf8.RuneError) }); i >= 0 && !utf8.Valid(text) {
		d.add(place{i + 1, 1}, "not UTF-8")
		return d
	}
	type problem struct {
		at   place
		what string
	}
	var problems []problem
	root, secrets := parse(text, func(at place, what string) { problems = append(problems, problem{at, what}) })
	d.root = root
	for _, secret := range secrets {
		d.hide(secret)
		if len(secret.text) >= 6 { // a shorter one may be part of any word
			d.masks.texts = append(d.masks.texts, secret.text)
		}
	}
	for _, p := range problems { // now that the secrets are known
		d.add(p.at, p.what+d.hint(p.at))
	}
	return d
}

// hint explains the form's most common mistake.
func (d *document) hint(at place) string {
	if d.root == nil && at.line <= len(d.lines) && strings.Contains(d.lines[at.line-1], "${") {
		return ` (within {} and [] a reference needs quotes: "${NAME}")`
	}
	return ""
}

func (d *document) add(at place, message string) {
	d.found = append(d.found, Finding{File: d.file, Line: at.line, Column: at.column, Message: message})
}

// fail notes a finding about a key, unless it, or what holds it, has one already.
func (d *document) fail(path, format string, args ...any) {
	if !d.sound(path) {
		return
	}
	d.broken[path] = true
	message := fmt.Sprintf(format, args...)
	if path != "" {
		message = path + ": " + message
	}
	d.add(d.place(path), message)
}

// sound: neither this key nor what holds it has a finding.
func (d *document) sound(paths ...string) bool {
	for _, path := range paths {
		for {
			if d.broken[path] {
				return false
			}
			cut := strings.LastIndexAny(path, ".[")
			if cut < 0 {
				break
			}
			path = path[:cut]
		}
	}
	return true
}

// given: the key stands in the file, with a value.
func (d *document) given(path string) bool {
	n, exact := d.find(path)
	return exact && n.kind != null
}

// place is where a key's value stands; of a key that is not there, what holds it.
func (d *document) place(path string) place {
	n, _ := d.find(path)
	if n == nil {
		return place{1, 1}
	}
	return n.at
}

// find is the node of a path such as merchants[0].timeout, or else the last one on
// the way to it.
func (d *document) find(path string) (n *node, exact bool) {
	n = d.root
	for step := range strings.SplitSeq(strings.ReplaceAll(path, "[", ".["), ".") {
		var next *node
		switch {
		case n == nil:
			return nil, false
		case step == "":
			continue
		case strings.HasPrefix(step, "["):
			if i, err := strconv.Atoi(strings.Trim(step, "[]")); err == nil && i >= 0 && i < len(n.items) {
				next = n.items[i]
			}
		default:
			next = n.get(step)
		}
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, n != nil
}

// fork is the same file without findings: for a block that is decoded apart.
func (d *document) fork() *document {
	return &document{file: d.file, lines: d.lines, root: d.root, masks: d.masks, skip: d.skip, broken: map[string]bool{}}
}

// result is the findings so far, in the order of the file, or nil.
func (d *document) result() error {
	if len(d.found) == 0 {
		return nil
	}
	for i, f := range d.found {
		if f.Excerpt == "" { // shown once all that must not be is known
			d.found[i].Excerpt = d.excerpt(place{f.Line, f.Column})
		}
	}
	return Join(&Findings{List: d.found})
}
