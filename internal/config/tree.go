package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// place is where something stands in the file, both counted from 1; columns are
// characters.
type place struct{ line, column int }

type kind uint8

const (
	null kind = iota
	scalar
	mapping
	list
)

func (k kind) String() string {
	return [...]string{null: "nothing", scalar: "a single value", mapping: "a group of keys", list: "a list"}[k]
}

// node is the file as the decoder sees it: anchors, merges and tags are resolved,
// and every value knows its place.
type node struct {
	kind    kind
	at      place // of the value; of its key where it begins on a later line
	text    string
	source  string // text as it is written
	members []member
	items   []*node
	weight  int // values in it, aliases counted as often as they are used
}

type member struct {
	key   string
	at    place
	value *node
}

// get is the value of a key of a mapping, or nil.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, m := range n.members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// builder turns the YAML library's tree into ours.
type builder struct {
	anchors map[string]*node
	texts   map[string]string // each text once: merchants have most of theirs in common
	secrets []*node           // literal values of keys that hold secrets: never to be shown
	above   int               // lines before the piece that is read

	unfolded int // values that came through aliases
	tooMuch  bool
	problem  func(place, string)
}

// A key whose value is never shown. What names a file holds no secret itself.
var secretWord = regexp.MustCompile(`(?i)(secret|passw|passphrase|token|credential|private_?key|api_?key)`)

func isSecret(key string) bool {
	return secretWord.MatchString(key) && !strings.HasSuffix(key, "_file") && !strings.HasSuffix(key, "_files")
}

// parse reads the text. Problems of its form are told to problem; the answer is
// nil where nothing of it can be read.
func parse(text []byte, problem func(place, string)) (root *node, secrets []*node) {
	if root, secrets, ok := parseByPieces(string(text), problem); ok {
		return root, secrets
	}
	return parseWhole(string(text), problem)
}

func parseWhole(text string, problem func(place, string)) (root *node, secrets []*node) {
	b := newBuilder(problem)
	defer func() {
		if p := recover(); p != nil { // the library's, on input that no person writes
			problem(place{1, 1}, "cannot be read as YAML")
			root = nil
		}
	}()
	tokens := addresses(lexer.Tokenize(text))
	if at, deep := b.nested(tokens); deep {
		problem(at, fmt.Sprintf("more than %d levels deep", mostNested))
		return nil, nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	var wrong yaml.Error
	switch {
	case errors.As(err, &wrong) && wrong.GetToken() != nil:
		what, _, _ := strings.Cut(wrong.GetMessage(), "\n")
		problem(b.placeOf(wrong.GetToken()), "not YAML: "+what)
		return nil, nil
	case err != nil:
		problem(place{1, 1}, "not YAML")
		return nil, nil
	}
	root = &node{kind: mapping, at: place{1, 1}}
	bodies := 0
	for _, doc := range file.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); doc.Body == nil || directive {
			continue
		}
		if bodies++; bodies > 1 {
			problem(b.firstPlace(doc.Body, place{1, 1}), "a second document: one file holds one configuration")
			break
		}
		root = b.build(doc.Body, place{1, 1}, false)
	}
	return root, b.secrets
}

func newBuilder(problem func(place, string)) *builder {
	return &builder{anchors: map[string]*node{}, texts: map[string]string{}, problem: problem}
}

func (b *builder) placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{b.above + t.Position.Line, max(t.Position.Column, 1)}
}

// build makes our node of one of the library's. at is the place of its key, or of
// its entry in a list.
func (b *builder) build(n ast.Node, at place, secret bool) *node {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return &node{kind: null, at: at}
	case *ast.AnchorNode:
		built := b.build(n.Value, at, secret)
		b.anchors[n.Name.GetToken().Value] = built
		return built
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		if built, ok := b.anchors[name]; ok {
			return b.again(n, built, at)
		}
		b.problem(b.placeOf(n.GetToken()), fmt.Sprintf("*%s: no anchor &%s stands before it", name, name))
		return &node{kind: null, at: at}
	case *ast.TagNode:
		return b.build(n.Value, at, secret)
	case *ast.MappingNode:
		return b.mapping(n.Values, at, secret)
	case *ast.MappingValueNode:
		return b.mapping([]*ast.MappingValueNode{n}, at, secret)
	case *ast.SequenceNode:
		built := &node{kind: list, at: at, weight: 1}
		b.items(built, n.Values, secret)
		return built
	case *ast.LiteralNode:
		literal := b.scalar(n.Value.Value, n.GetToken(), secret)
		literal.source += "\n" + n.Value.GetToken().Origin
		return literal
	case *ast.StringNode:
		return b.scalar(n.Value, n.GetToken(), secret)
	default: // numbers and booleans, as they are written
		return b.scalar(n.GetToken().Value, n.GetToken(), secret)
	}
}

// items puts entries behind those that a list has.
func (b *builder) items(of *node, values []ast.Node, secret bool) {
	for _, item := range values {
		one := b.build(item, b.firstPlace(item, of.at), secret)
		of.items = append(of.items, one)
		of.weight += one.weight
	}
}

// again is a node that an alias names, unless that, repeated, unfolds to more than
// any configuration has: a small file could otherwise keep us busy for hours.
func (b *builder) again(n *ast.AliasNode, built *node, at place) *node {
	if b.unfolded += built.weight; b.unfolded <= mostUnfolded {
		return built
	}
	if !b.tooMuch {
		b.tooMuch = true
		b.problem(b.placeOf(n.GetToken()), fmt.Sprintf("aliases unfold to more than %d values", mostUnfolded))
	}
	return &node{kind: null, at: at}
}

const (
	mostUnfolded = 100_000 // values that come through aliases
	mostBytes    = 4 << 20 // of a file: more than ten thousand merchants
	mostNested   = 100     // [ and { within one another
)

// firstPlace is where an entry of a list begins.
func (b *builder) firstPlace(n ast.Node, otherwise place) place {
	switch n := n.(type) {
	case nil:
		return otherwise
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return b.placeOf(n.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return b.placeOf(n.Key.GetToken())
	}
	return b.placeOf(n.GetToken())
}

func (b *builder) scalar(text string, t *token.Token, secret bool) *node {
	n := &node{kind: scalar, at: b.placeOf(t), text: b.once(text), source: b.once(strings.TrimSpace(t.Origin)), weight: 1}
	// A value with @ or ? may be an address with a password in it, however wrongly it is written.
	if (secret || strings.ContainsAny(text, "@?")) && !pureReference.MatchString(text) {
		b.secrets = append(b.secrets, n)
	}
	return n
}

// addresses puts host:port together again, which the library takes apart within
// [] that stand within {}: YAML ends a key by a colon and a space.
func addresses(tokens token.Tokens) token.Tokens {
	var joined token.Tokens
	var within []token.Type
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			within = append(within, t.Type)
		case token.MappingEndType, token.SequenceEndType:
			within = within[:max(0, len(within)-1)]
		}
		inList := len(within) > 0 && within[len(within)-1] == token.SequenceStartType
		if inList && i+2 < len(tokens) && isPlain(t) && tokens[i+1].Type == token.MappingValueType && isPlain(tokens[i+2]) &&
			touch(t, tokens[i+1]) && touch(tokens[i+1], tokens[i+2]) {
			port := tokens[i+2]
			t = token.String(t.Value+":"+port.Value, t.Origin+":"+port.Origin, t.Position)
			i += 2
		}
		joined.Add(t)
	}
	return joined
}

// nested is where brackets and braces go too deep for the parser.
func (b *builder) nested(tokens token.Tokens) (place, bool) {
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			if depth++; depth > mostNested {
				return b.placeOf(t), true
			}
		case token.MappingEndType, token.SequenceEndType:
			depth--
		}
	}
	return place{}, false
}

func isPlain(t *token.Token) bool {
	switch t.Type {
	case token.StringType, token.IntegerType, token.FloatType, token.BoolType, token.NullType, token.OctetIntegerType, token.HexIntegerType, token.BinaryIntegerType:
		return true
	}
	return false
}

// touch: b begins right where a ends.
func touch(a, b *token.Token) bool {
	return a.Position.Line == b.Position.Line && a.Position.Column+len([]rune(a.Value)) == b.Position.Column
}

// mapping reads keys and values.
func (b *builder) mapping(values []*ast.MappingValueNode, at place, secret bool) *node {
	g := b.group(at)
	g.add(values, secret)
	return g.end()
}

// group is a mapping while it is read; what is merged in (<<) gives way to what is
// written out, wherever it stands.
type group struct {
	*builder
	built  *node
	merged []*node
	stands map[string]bool
}

func (b *builder) group(at place) *group {
	return &group{builder: b, built: &node{kind: mapping, at: at, weight: 1}, stands: map[string]bool{}}
}

func (g *group) add(values []*ast.MappingValueNode, secret bool) {
	for _, v := range values {
		keyAt := g.placeOf(v.Key.GetToken())
		if v.Key.IsMergeKey() {
			switch from := g.build(v.Value, keyAt, secret); from.kind {
			case mapping:
				g.merged = append(g.merged, from)
			case list:
				g.merged = append(g.merged, from.items...)
			case scalar:
				g.problem(keyAt, "<< must name an anchor of keys, such as *defaults")
			}
			continue
		}
		key := g.once(keyText(v.Key))
		if g.stands[key] {
			g.problem(keyAt, fmt.Sprintf("key %q stands twice", key))
			continue
		}
		g.stands[key] = true
		g.built.members = append(g.built.members, member{key, keyAt, g.build(v.Value, keyAt, secret || isSecret(key))})
	}
}

func (g *group) end() *node {
	for _, from := range g.merged {
		for _, m := range from.members {
			if !g.stands[m.key] {
				g.stands[m.key] = true
				g.built.members = append(g.built.members, m)
			}
		}
	}
	for _, m := range g.built.members {
		g.built.weight += m.value.weight
	}
	g.built.members = slices.Clip(g.built.members)
	return g.built
}

// once is the text, the same bytes for all that read so.
func (b *builder) once(text string) string {
	if one, ok := b.texts[text]; ok {
		return one
	}
	b.texts[text] = text
	return text
}

func keyText(key ast.MapKeyNode) string {
	if s, ok := key.(*ast.StringNode); ok {
		return s.Value
	}
	return key.GetToken().Value
}
