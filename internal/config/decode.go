package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes.
type Size int64

var sizePattern = regexp.MustCompile(`^([1-9][0-9]{0,11})(B|KiB|MiB|GiB)?$`)

func parseSize(text string) (Size, bool) {
	parts := sizePattern.FindStringSubmatch(text)
	if parts == nil {
		return 0, false
	}
	n, _ := strconv.ParseInt(parts[1], 10, 64) // 12 digits fit
	unit := map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[parts[2]]
	return Size(n * unit), true
}

// String is the size in the largest unit that shows it whole.
func (s Size) String() string {
	for _, unit := range []struct {
		name string
		size Size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s >= unit.size && s%unit.size == 0 {
			return fmt.Sprintf("%d%s", s/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%dB", int64(s))
}

// preset is a value that has defaults of its own.
type preset interface{ preset() }

// taker is a struct that takes keys which its tags do not name.
type taker interface {
	take(d *document, path string, m member) bool
}

// decode reads a node into a value, whatever stands there already being the
// default. A null is the same as a missing key. Findings go to d.
func (d *document) decode(path string, n *node, into reflect.Value) {
	if n == nil || n.kind == null {
		if into.Kind() == reflect.Struct {
			d.object(path, &node{kind: mapping}, into)
		}
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		if d.want(path, n, mapping) {
			d.object(path, n, into)
		}
	case reflect.Slice:
		if d.want(path, n, list) {
			d.list(path, n, into)
		}
	case reflect.Map:
		if d.want(path, n, mapping) {
			d.pairs(path, n, into)
		}
	case reflect.Pointer:
		value := reflect.New(into.Type().Elem())
		d.decode(path, n, value.Elem())
		into.Set(value)
	default:
		if d.want(path, n, scalar) {
			d.scalar(path, n, into)
		}
	}
}

func (d *document) want(path string, n *node, kind kind) bool {
	if n.kind != kind {
		d.fail(path, "must be %s, not %s", kind, n.kind)
	}
	return n.kind == kind
}

func (d *document) list(path string, n *node, into reflect.Value) {
	into.Set(reflect.MakeSlice(into.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		element := into.Index(i)
		if p, ok := element.Addr().Interface().(preset); ok {
			p.preset()
		}
		at := fmt.Sprintf("%s[%d]", path, i)
		if item.kind == null {
			d.fail(at, "is empty")
			continue
		}
		d.decode(at, item, element)
	}
}

func (d *document) pairs(path string, n *node, into reflect.Value) {
	into.Set(reflect.MakeMap(into.Type()))
	for _, m := range n.members {
		value := reflect.New(into.Type().Elem()).Elem()
		d.decode(path+"."+m.key, m.value, value)
		into.SetMapIndex(reflect.ValueOf(m.key).Convert(into.Type().Key()), value)
	}
}

// field is a field of a struct by its yaml tag; required by the tag config.
type field struct {
	index    int
	required bool
}

func fieldsOf(t reflect.Type) map[string]field {
	fields := map[string]field{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name != "" && name != "-" && f.IsExported() {
			fields[name] = field{i, f.Tag.Get("config") == "required"}
		}
	}
	return fields
}

func (d *document) object(path string, n *node, into reflect.Value) {
	fields := fieldsOf(into.Type())
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		at := join(path, key)
		value := n.get(key)
		if fields[key].required && (value == nil || value.kind == null) {
			d.fail(at, "is missing")
			continue
		}
		d.decode(at, value, into.Field(fields[key].index))
	}
	for _, m := range n.members {
		if _, known := fields[m.key]; known {
			continue
		}
		if t, ok := into.Addr().Interface().(taker); ok && t.take(d, path, m) {
			continue
		}
		d.unknown(path, m, slices.Sorted(maps.Keys(fields)))
	}
}

func join(path, key string) string { return strings.TrimPrefix(path+"."+key, ".") }

// unknown notes a key that nobody knows. Its value is not shown: it may be a
// secret under a misspelt name.
func (d *document) unknown(path string, m member, known []string) {
	d.hide(m.value)
	hint := "the keys here are: " + strings.Join(known, ", ")
	if near := nearest(m.key, known); near != "" {
		hint = fmt.Sprintf("did you mean %s?", near)
	}
	message := fmt.Sprintf("unknown key %q; %s", m.key, hint)
	if path != "" {
		message = path + ": " + message
	}
	d.add(m.at, message)
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
	wholeNumber  = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,17})$`)
)

// scalar reads one value, after its references are replaced. Numbers are decimal
// and have no leading zero: 010 means ten to some and eight to others.
func (d *document) scalar(path string, n *node, into reflect.Value) {
	text := n.text
	if strings.Contains(text, "${") {
		if d.skip {
			d.broken[path] = true // no finding, but not looked at
			if into.Kind() == reflect.String {
				into.SetString(text)
			}
			return
		}
		var err error
		if text, err = d.expand(text); err != nil {
			d.fail(path, "%v", err)
			return
		}
	}
	switch {
	case into.Type() == durationType:
		v, err := time.ParseDuration(text)
		if err != nil {
			d.fail(path, "must be a duration, such as 10s, 5m or 1h30m")
			return
		}
		into.SetInt(int64(v))
	case into.Type() == sizeType:
		v, ok := parseSize(text)
		if !ok {
			d.fail(path, "must be a size, such as 65536, 64KiB or 1MiB")
			return
		}
		into.SetInt(int64(v))
	case into.Kind() == reflect.String:
		into.SetString(text)
	case into.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			d.fail(path, "must be true or false")
			return
		}
		into.SetBool(text == "true")
	case into.CanInt():
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || !wholeNumber.MatchString(text) || into.OverflowInt(v) {
			d.fail(path, "must be a whole number")
			return
		}
		into.SetInt(v)
	case into.CanFloat():
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || v != v {
			d.fail(path, "must be a number, such as 0.5")
			return
		}
		into.SetFloat(v)
	default:
		panic(fmt.Sprintf("config: %s: a field of type %s cannot be read", path, into.Type()))
	}
}

// nearest is the known word that takes the fewest changes, where these are few.
func nearest(word string, known []string) string {
	best, fewest := "", max(2, len(word)/3)+1
	for _, candidate := range known {
		if n := distance(strings.ToLower(word), candidate); n < fewest {
			best, fewest = candidate, n
		}
	}
	return best
}

// distance is the least number of characters to insert, remove or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
