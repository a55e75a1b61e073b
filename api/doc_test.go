// Package api_test holds the contracts of this folder against the code and against
// a running system: the JSON Schemas say what code writes and reads, asyncapi.yaml
// and openapi.yaml name every topic and answer, the corpus in testdata decodes as it
// always did, and every JSON example of the documentation is valid.
package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/refundworker/refundworker/internal/events"
)

// compile reads a schema of this folder; formats are asserted.
func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile(filepath.Join("schemas", name+".schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// strict is the same schema, but nothing may be there that it does not name: what
// code writes is held against it.
func strict(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	doc := document(t, name)
	doc["additionalProperties"] = false
	if inner, ok := properties(doc)["error"].(map[string]any); ok {
		inner["additionalProperties"] = false
	}
	if err := c.AddResource("strict.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("strict.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// document is a schema as it is written.
func document(t *testing.T, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("schemas", name+".schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return object(t, text)
}

func properties(schema map[string]any) map[string]any {
	p, _ := schema["properties"].(map[string]any)
	return p
}

// names are the keys of an object, sorted.
func names[V any](m map[string]V) []string {
	var all []string
	for name := range m {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// object reads a JSON object; numbers keep their digits.
func object(t *testing.T, text []byte) map[string]any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s\n%s", err, text)
	}
	o, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("not an object: %s", text)
	}
	return o
}

// headerObject is headers as their schemas see them; of several of one name the last
// counts.
func headerObject(headers []events.Header) map[string]any {
	o := map[string]any{}
	for _, h := range headers {
		o[h.Key] = string(h.Value)
	}
	return o
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// fits says that a value is as its schema wants it.
func fits(t *testing.T, schema *jsonschema.Schema, v any, what string, args ...any) {
	t.Helper()
	if err := schema.Validate(v); err != nil {
		t.Errorf("%s: %v\n%s", fmt.Sprintf(what, args...), err, marshal(t, v))
	}
}

// Every schema is one of its draft, and its own examples are valid.
func TestSchemasAreSchemas(t *testing.T) {
	files, _ := filepath.Glob("schemas/*.schema.json")
	if len(files) != 8 {
		t.Errorf("%d schemas: a new one needs a test that holds it against the code", len(files))
	}
	for _, file := range files {
		name := filepath.Base(file)[:len(filepath.Base(file))-len(".schema.json")]
		schema := compile(t, name)
		for i, example := range schema.Examples {
			fits(t, schema, example, "%s, example %d", name, i+1)
		}
	}
}
