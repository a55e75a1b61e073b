package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// alike reads a text in both ways. By pieces the answer is that of the whole, or
// none.
func alike(text string) (byPieces bool, err error) {
	type said struct {
		at   place
		what string
	}
	var parts, whole []said
	root, secrets, ok := parseByPieces(text, func(at place, what string) { parts = append(parts, said{at, what}) })
	if !ok {
		return false, nil
	}
	wantRoot, wantSecrets := parseWhole(text, func(at place, what string) { whole = append(whole, said{at, what}) })
	if !slices.Equal(parts, whole) {
		return true, fmt.Errorf("found by pieces\n%v\nin the whole\n%v", parts, whole)
	}
	if got, want := inWords(root), inWords(wantRoot); got != want {
		return true, fmt.Errorf("by pieces\n%s\nin the whole\n%s", got, want)
	}
	if !reflect.DeepEqual(secrets, wantSecrets) {
		return true, fmt.Errorf("other secrets")
	}
	return true, nil
}

// inWords is a tree in words, with all places.
func inWords(n *node) string {
	if n == nil {
		return "-"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d@%d:%d w%d %q %q", n.kind, n.at.line, n.at.column, n.weight, n.text, n.source)
	for _, m := range n.members {
		fmt.Fprintf(&b, "\n%q@%d:%d ", m.key, m.at.line, m.at.column)
		b.WriteString(strings.ReplaceAll(inWords(m.value), "\n", "\n "))
	}
	for _, item := range n.items {
		b.WriteString("\n- " + strings.ReplaceAll(inWords(item), "\n", "\n "))
	}
	return b.String()
}

// A file of many merchants is read by pieces, with the same answer.
func TestManyMerchantsAreReadByPieces(t *testing.T) {
	for name, text := range map[string]string{
		"flow":     head + "- {name: a, secret: x}\n- {name: b, secret: y}\n",
		"block":    head + "  # first\n\n  - name: a\n    secret: x\n\n  # second\n  -\n    name: b\n    key: |\n      a\n      - b\n",
		"anchors":  "base: &b {rate: 1}\n" + head + "- &first\n  <<: *b\n  name: a\n- <<: [*first]\n  name: b\n  rate: *nobody\n",
		"kept":     head + "- name: a\n  key: |+\n    x\n- name: b\n- name: c\n  key: >+\n    x\n\n- {name: d}\n",
		"not last": head + "- {name: a}\n- {name: b}\n# more\nlog: {level: info}\nkafka: {twice: 1}\n",
	} {
		if parts, err := alike(text); err != nil || !parts {
			t.Errorf("%s: %v, %v", name, parts, err)
		}
	}
}

// Whatever stands in a file, read by pieces it is what it is as a whole.
func TestPiecesAreTheWhole(t *testing.T) {
	lines := []string{
		"merchants:", "merchants: # all", "merchants: [a]", "kafka: {a: b}", "log:", "base: &b {rate: 1}", "<<: *b", "---", "...", "&r", "&r a: b", "%YAML 1.2",
		"- a: 1", "- a:", "-", "- - x", "- {a: b, c: [d:1, e]}", "- {a: b,", "c: d}", "}", "]", "- [a,", "- \"x", "y\"", "- 'x", "y'", "- y\": 1", "- |", "- a: |", "- >-", "- |2", "- a: >+", "- ? a", ": b", "? b",
		"- &k a", "- &k", "- &k {a: *b}", "- *k", "- *r", "- <<: *k", "- <<: [*k, *b]", "- !!str a", "- !!map {}", "- !t", "- # c", "# c", "", "text", "text more", "- foo", "b: 2", "a: *k", "secret: x@y", "- secret: abc", "\t- x", "- a: b: c", "- 'a': \"b\\u00e9\"", "- é: ü # ä", "\"q\": 1", "- ---",
		"-x", "- a: 1\r", "- name: \"${A}\"", "- @",
	}
	read := 0
	rapid.Check(t, func(r *rapid.T) {
		var text strings.Builder
		if rapid.Bool().Draw(r, "usual") {
			text.WriteString("base: &b {rate: 1}\nmerchants:\n- a: 1\n- b: 1\n")
		}
		for range rapid.IntRange(1, 12).Draw(r, "lines") {
			text.WriteString(strings.Repeat(" ", rapid.SampledFrom([]int{0, 0, 0, 2, 2, 4, 1}).Draw(r, "indent")))
			text.WriteString(rapid.SampledFrom(lines).Draw(r, "line"))
			if rapid.IntRange(0, 20).Draw(r, "end") > 0 {
				text.WriteByte('\n')
			}
		}
		parts, err := alike(text.String())
		if err != nil {
			r.Fatalf("of\n%s\n%v", text.String(), err)
		}
		if parts {
			read++
		}
	})
	if read == 0 {
		t.Error("none was read by pieces")
	}
}
