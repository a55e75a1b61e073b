package config

import (
	"errors"
	"fmt"
	"regexp"
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

type kind int

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
	secrets []*node // literal values of keys that hold secrets: never to be shown

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
	b := &builder{anchors: map[string]*node{}, problem: problem}
	defer func() {
		if p := recover(); p != nil { // the library's, on input that no person writes
			problem(place{1, 1}, "cannot be read as YAML")
			root = nil
		}
	}()
	tokens := addresses(lexer.Tokenize(string(text)))
	if at, deep := nested(tokens); deep {
		problem(at, fmt.Sprintf("more than %d levels deep", mostNested))
		return nil, nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	var wrong yaml.Error
	switch {
	case errors.As(err, &wrong) && wrong.GetToken() != nil:
		what, _, _ := strings.Cut(wrong.GetMessage(), "\n")
		problem(placeOf(wrong.GetToken()), "not YAML: "+what)
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
			problem(firstPlace(doc.Body, place{1, 1}), "a second document: one file holds one configuration")
			break
		}
		root = b.build(doc.Body, place{1, 1}, false)
	}
	return root, b.secrets
}

func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{t.Position.Line, max(t.Position.Column, 1)}
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
		b.problem(placeOf(n.GetToken()), fmt.Sprintf("*%s: no anchor &%s stands before it", name, name))
		return &node{kind: null, at: at}
	case *ast.TagNode:
		return b.build(n.Value, at, secret)
	case *ast.MappingNode:
		return b.mapping(n.Values, at, secret)
	case *ast.MappingValueNode:
		return b.mapping([]*ast.MappingValueNode{n}, at, secret)
	case *ast.SequenceNode:
		built := &node{kind: list, at: at, weight: 1}
		for _, item := range n.Values {
			one := b.build(item, firstPlace(item, at), secret)
			built.items = append(built.items, one)
			built.weight += one.weight
		}
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

// again is a node that an alias names, unless that, repeated, unfolds to more than
// any configuration has: a small file could otherwise keep us busy for hours.
func (b *builder) again(n *ast.AliasNode, built *node, at place) *node {
	if b.unfolded += built.weight; b.unfolded <= mostUnfolded {
		return built
	}
	if !b.tooMuch {
		b.tooMuch = true
		b.problem(placeOf(n.GetToken()), fmt.Sprintf("aliases unfold to more than %d values", mostUnfolded))
	}
	return &node{kind: null, at: at}
}

const (
	mostUnfolded = 100_000 // values that come through aliases
	mostBytes    = 4 << 20 // of a file: more than ten thousand merchants
	mostNested   = 100     // [ and { within one another
)

// firstPlace is where an entry of a list begins.
func firstPlace(n ast.Node, otherwise place) place {
	switch n := n.(type) {
	case nil:
		return otherwise
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return placeOf(n.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return placeOf(n.Key.GetToken())
	}
	return placeOf(n.GetToken())
}

func (b *builder) scalar(text string, t *token.Token, secret bool) *node {
	n := &node{kind: scalar, at: placeOf(t), text: text, source: strings.TrimSpace(t.Origin), weight: 1}
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
func nested(tokens token.Tokens) (place, bool) {
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			if depth++; depth > mostNested {
				return placeOf(t), true
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

// mapping reads keys and values; what is merged in (<<) gives way to what is
// written out.
func (b *builder) mapping(values []*ast.MappingValueNode, at place, secret bool) *node {
	built := &node{kind: mapping, at: at, weight: 1}
	var merged []*node
	stands := map[string]bool{}
	for _, v := range values {
		keyAt := placeOf(v.Key.GetToken())
		if v.Key.IsMergeKey() {
			switch from := b.build(v.Value, keyAt, secret); from.kind {
			case mapping:
				merged = append(merged, from)
			case list:
				merged = append(merged, from.items...)
			case scalar:
				b.problem(keyAt, "<< must name an anchor of keys, such as *defaults")
			}
			continue
		}
		key := keyText(v.Key)
		if stands[key] {
			b.problem(keyAt, fmt.Sprintf("key %q stands twice", key))
			continue
		}
		stands[key] = true
		one := b.build(v.Value, keyAt, secret || isSecret(key))
		built.members = append(built.members, member{key, keyAt, one})
		built.weight += one.weight
	}
	for _, from := range merged {
		for _, m := range from.members {
			if !stands[m.key] {
				stands[m.key] = true
				built.members = append(built.members, m)
				built.weight += m.value.weight
			}
		}
	}
	return built
}

func keyText(key ast.MapKeyNode) string {
	if s, ok := key.(*ast.StringNode); ok {
		return s.Value
	}
	return key.GetToken().Value
}
