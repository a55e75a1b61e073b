package config

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/bluepay"
	"github.com/refundworker/refundworker/internal/providers/eftpay"
	"github.com/refundworker/refundworker/internal/providers/transport"
)

const reference = "../../docs/configuration.md"

const referenceHead = `# Configuration

One YAML file for worker, notify-bridge and refundctl: ` + "`--config FILE`, or `REFUND_CONFIG`" + ` in the environment. [config.example.yaml](../config.example.yaml)
has every key in its place. This page is written from the code: ` + "`go test ./internal/config -update`" + `.

- ` + "`${NAME}`" + ` is taken from the environment, ` + "`${file:PATH}`" + ` from a file, whose last newline is cut; a missing one is an error. Within ` + "`{}` and `[]`" + `
  put quotes around them. ` + "`$${`" + ` stands for the two characters themselves. Relative file names are looked for beside the file.
- Unknown keys are errors. All that is wrong is told at once, as file:line:column with the line shown, secrets masked:
  ` + "`refundctl config check FILE`" + `. Worker and bridge then exit with code 2.
- Durations: 10s, 5m, 1h30m. Sizes: 65536, 64KiB, 1MiB. Anchors and merges (` + "`<<`" + `) work; a file has at most 4 MiB.
- SIGHUP: a running process takes keys marked yes; see [security.md](security.md). All else needs a restart.
`

// comments are what stands behind the fields of a package's structs, by struct and
// key.
func comments(t *testing.T, folder string) map[string]map[string]string {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, is := n.(*ast.TypeSpec)
			if !is {
				return true
			}
			structure, is := spec.Type.(*ast.StructType)
			if !is {
				return true
			}
			all[spec.Name.Name] = map[string]string{}
			for _, f := range structure.Fields.List {
				if f.Tag != nil {
					key, _, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("yaml"), ",")
					all[spec.Name.Name][key] = strings.TrimSpace(f.Comment.Text())
				}
			}
			return true
		})
	}
	return all
}

// referencePage writes the page.
type referencePage struct {
	t        *testing.T
	out      strings.Builder
	comments map[string]map[string]string
	required []string // keys of the block at hand that its provider misses
}

func (p *referencePage) table(title, intro string) {
	fmt.Fprintf(&p.out, "\n## %s\n\n%s| key | type | default | SIGHUP | meaning |\n|---|---|---|---|---|\n", title, intro)
}

// rows writes a struct's keys, the groups within it in their place. path is that
// of the file, shown what is put before a key in the table.
func (p *referencePage) rows(path, shown string, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		meaning := p.comments[v.Type().Name()][key]
		if meaning == "" {
			p.t.Errorf("%s has no comment: it is the page's text", join(path, key))
		}
		if f.Type.Kind() == reflect.Struct {
			p.rows(join(path, key), shown+key+".", v.Field(i))
			continue
		}
		standard := "`" + written(v.Field(i)) + "`"
		if f.Tag.Get("config") == "required" || slices.Contains(p.required, key) {
			standard = "required"
		}
		fmt.Fprintf(&p.out, "| `%s` | %s | %s | %s | %s |\n", shown+key, typeWords(f.Type), standard, sighup(join(path, key)), strings.ReplaceAll(meaning, "|", "\\|"))
	}
}

func sighup(path string) string {
	rest, ofMerchant := strings.CutPrefix(path, "merchants.")
	if ofMerchant && !slices.Contains([]string{"name", "provider", "currency", "currency_exponent"}, rest) || slices.Contains(live, path) {
		return "yes"
	}
	return ""
}

func typeWords(t reflect.Type) string {
	switch {
	case t == durationType:
		return "duration"
	case t == sizeType:
		return "size"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list of " + typeWords(t.Elem())
	case reflect.Map:
		return typeWords(t.Elem()) + " by name"
	case reflect.Pointer:
		return typeWords(t.Elem())
	}
	return "whole number"
}

// written is a default as a person would write it.
func written(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return shown(x)
	case string:
		if x == "" {
			return `""`
		}
		return x
	}
	switch v.Kind() {
	case reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, written(v.Index(i)))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Map:
		return "{}"
	case reflect.Pointer:
		return "the standard's"
	}
	return fmt.Sprint(v.Interface())
}

// block is what a provider reads, with its defaults, and the keys that it misses.
func blockOf(t *testing.T, build func(account.Merchant, *transport.Pool) error) (settings reflect.Value, required []string) {
	t.Helper()
	pool := transport.NewPool(transport.Options{})
	defer pool.Close()
	m := Merchant{Name: "shop", BaseURL: "https://gateway.example"}.standIn()
	asked := m.Account()
	asked.Decode = func(into any) error {
		settings = reflect.New(reflect.TypeOf(into).Elem()).Elem()
		settings.Set(reflect.ValueOf(into).Elem())
		return nil
	}
	var walk func(error)
	walk = func(err error) {
		var field *account.FieldError
		if all, several := err.(interface{ Unwrap() []error }); several {
			for _, one := range all.Unwrap() {
				walk(one)
			}
		} else if errors.As(err, &field) {
			required = append(required, field.Field)
		}
	}
	walk(build(asked, pool))
	return settings, required
}

func TestTheReferenceIsTheCode(t *testing.T) {
	p := &referencePage{t: t, comments: comments(t, ".")}
	p.out.WriteString(referenceHead)
	root := reflect.ValueOf(*defaults())
	for i := range root.NumField() {
		key := root.Type().Field(i).Tag.Get("yaml")
		if key == "" || key == "merchants" {
			continue
		}
		p.table(key, "")
		p.rows(key, "", root.Field(i))
	}
	var m Merchant
	m.preset()
	p.table("merchants", "A list; each entry has these keys, and the block that is named like its provider.\n\n")
	p.rows("merchants", "", reflect.ValueOf(m))
	for _, provider := range []struct {
		name  string
		build func(account.Merchant, *transport.Pool) error
	}{
		{eftpay.Name, func(m account.Merchant, pool *transport.Pool) error { _, err := eftpay.New(m, pool); return err }},
		{bluepay.Name, func(m account.Merchant, pool *transport.Pool) error { _, err := bluepay.New(m, pool); return err }},
	} {
		settings, required := blockOf(t, provider.build)
		p.comments, p.required = comments(t, "../providers/"+provider.name), required
		p.table("merchants: "+provider.name, "")
		p.rows("merchants."+provider.name, "", settings)
	}
	want := p.out.String()
	if *update {
		if err := os.WriteFile(reference, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md is not what the code has: go test ./internal/config -update")
	}
}
