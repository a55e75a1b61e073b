package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
)

// The library's tokens and tree take a hundred times the bytes of the file. So in a
// file with many merchants each but the first is read by itself, and only our nodes
// of it stay. A piece must be right alone: whatever is open at its end, wrong or
// unusual has the file read as a whole, which also finds the words for it.

// parseByPieces reads what parseWhole would, or answers false.
func parseByPieces(text string, problem func(place, string)) (root *node, secrets []*node, ok bool) {
	defer func() {
		if recover() != nil { // see parseWhole
			root, secrets, ok = nil, nil, false
		}
	}()
	frame, entries := pieces(text)
	if len(entries) == 0 {
		return nil, nil, false
	}
	var found []func()
	b := newBuilder(func(at place, what string) { found = append(found, func() { problem(at, what) }) })
	around, ok := b.bodyOf(frame).(*ast.MappingNode)
	if !ok {
		return nil, nil, false
	}
	top, values := b.group(place{1, 1}), around.Values
	var merchants *node
	for merchants == nil && len(values) > 0 {
		top.add(values[:1], false)
		values, merchants = values[1:], top.built.get("merchants")
	}
	if merchants == nil || !merchants.grownTo(1, true) {
		return nil, nil, false
	}
	for i, entry := range entries {
		b.above = entry.above
		one, ok := b.bodyOf(entry.text).(*ast.SequenceNode)
		if !ok {
			return nil, nil, false
		}
		if b.items(merchants, one.Values, false); !merchants.grownTo(i+2, entry.closed) {
			return nil, nil, false
		}
	}
	b.above = 0
	top.add(values, false)
	for _, anchored := range b.anchors {
		if anchored == top.built { // what is in it may name it
			return nil, nil, false
		}
	}
	for _, tell := range found {
		tell()
	}
	return top.end(), b.secrets, true
}

// grownTo takes off what closes the last entry. It says whether the list has so
// many others then, and the last is a group of keys: into anything else, where it is
// empty, the library may take what comes next.
func (n *node) grownTo(entries int, closed bool) bool {
	if n.kind == list && closed && len(n.items) > 0 {
		n.items = n.items[:len(n.items)-1]
		n.weight--
	}
	return n.kind == list && len(n.items) == entries && n.items[entries-1].kind == mapping
}

// bodyOf is what stands in a piece; nil where that is not one whole thing.
func (b *builder) bodyOf(piece string) ast.Node {
	tokens := addresses(lexer.Tokenize(piece))
	if _, deep := b.nested(tokens); deep {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil || len(file.Docs) != 1 {
		return nil
	}
	return file.Docs[0].Body
}

// piece is one merchant of a file. One that the file does not end with is closed by
// another entry: the library reads the end of a text in its own way.
type piece struct {
	text   string
	above  int // lines before it
	closed bool
}

var (
	merchantsKey = regexp.MustCompile(`(?m)^merchants: *(#.*)?\n`)
	otherKey     = regexp.MustCompile(`^[A-Za-z_]+:[ \n]`)
)

// pieces are a text's merchants but for the first, and the text without them, its
// lines where they were; what closes the first comes right behind it, since a text
// in lines (|+) takes the empty ones behind it for its own. Lines of a merchant are deeper than its dash, end by \n and
// have no tabs: anything else is left to parseWhole.
func pieces(text string) (frame string, entries []piece) {
	key := merchantsKey.FindStringIndex(text)
	if key == nil || strings.ContainsAny(text, "\r\t") {
		return "", nil
	}
	lines := slices.Collect(strings.Lines(text))
	dash, end := "", len(lines) // of all entries; the line behind the last
	var starts []int            // lines of the entries but for the first
	for i := strings.Count(text[:key[1]], "\n"); i < end; i++ {
		bare := strings.TrimLeft(lines[i], " ")
		itsDash := lines[i][:len(lines[i])-len(bare)] + "-"
		isEntry := strings.HasPrefix(bare, "- ") || bare == "-\n"
		switch {
		case bare == "\n" || strings.HasPrefix(bare, "#"):
		case isEntry && dash == "":
			dash = itsDash
		case isEntry && itsDash == dash:
			starts = append(starts, i)
		case dash != "" && otherKey.MatchString(lines[i]): // behind the merchants
			end = i
		case len(itsDash) <= len(dash) || dash == "":
			return "", nil
		}
	}
	if len(starts) == 0 {
		return "", nil
	}
	closing := dash + " {}"
	for n, from := range starts {
		to := end
		if n+1 < len(starts) {
			to = starts[n+1]
		}
		one := piece{text: strings.Join(lines[from:to], ""), above: from, closed: to < len(lines)}
		if one.closed {
			one.text += closing
		}
		entries = append(entries, one)
	}
	before, behind := strings.Join(lines[:starts[0]], ""), strings.Join(lines[end:], "")
	return before + closing + "\n" + strings.Repeat("\n", end-starts[0]-1) + behind, entries
}
