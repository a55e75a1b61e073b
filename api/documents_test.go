package api_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/consumer"
)

// yamlDocument is asyncapi.yaml or openapi.yaml.
type yamlDocument map[string]any

func readYAML(t *testing.T, name string) yamlDocument {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var doc yamlDocument
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// at follows keys, and references of the document on the way.
func (d yamlDocument) at(t *testing.T, keys ...string) any {
	t.Helper()
	var here any = map[string]any(d)
	for _, key := range keys {
		o, ok := d.follow(t, here).(map[string]any)
		if !ok || o[key] == nil {
			t.Fatalf("nothing at %s", strings.Join(keys, " / "))
		}
		here = o[key]
	}
	return d.follow(t, here)
}

func (d yamlDocument) follow(t *testing.T, v any) any {
	t.Helper()
	o, ok := v.(map[string]any)
	if !ok {
		return v
	}
	ref, ok := o["$ref"].(string)
	if !ok || !strings.HasPrefix(ref, "#/") {
		return v
	}
	return d.at(t, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
}

// Every reference of both documents leads somewhere, and every schema is led to.
func TestReferences(t *testing.T) {
	used := map[string]bool{}
	for _, name := range []string{"asyncapi.yaml", "openapi.yaml"} {
		doc := readYAML(t, name)
		var walk func(v any)
		walk = func(v any) {
			switch v := v.(type) {
			case []any:
				for _, one := range v {
					walk(one)
				}
			case map[string]any:
				if ref, ok := v["$ref"].(string); ok {
					if file, inside := strings.CutPrefix(ref, "#/"); inside {
						doc.at(t, strings.Split(file, "/")...)
					} else if _, err := os.Stat(ref); err != nil {
						t.Errorf("%s: %v", name, err)
					} else {
						used[ref] = true
					}
				}
				for _, one := range v {
					walk(one)
				}
			}
		}
		walk(map[string]any(doc))
	}
	files, _ := filepath.Glob("schemas/*.schema.json")
	for _, file := range files {
		if !used[file] && file != "schemas/status-request-header.schema.json" { // a header's content: named in its description
			t.Errorf("%s is in neither document", file)
		}
	}
}

// The topics of asyncapi.yaml are those that the code creates, with the settings of
// theirs that it names; only the control and audit topics are nobody else's business.
func TestTopicsAreTheCodes(t *testing.T) {
	doc := readYAML(t, "asyncapi.yaml")
	defaults := defaultConfig(t)
	var each []string
	for _, d := range defaults.Worker.Delays {
		each = append(each, consumer.DelayName(d))
	}
	if got := doc.at(t, "channels", "delay", "parameters", "delay", "examples").([]any); fmt.Sprint(got) != fmt.Sprint(each) {
		t.Errorf("delays %v, the configuration's default is %v", got, each)
	}
	delays, err := consumer.NewDelays(defaults.Worker.Delays...)
	if err != nil {
		t.Fatal(err)
	}
	topics := consumer.Topics(defaults.Kafka.Topics)
	channels := map[string]map[string]any{}
	for name := range doc.at(t, "channels").(map[string]any) {
		channels[doc.at(t, "channels", name, "address").(string)] = doc.at(t, "channels", name, "bindings", "kafka").(map[string]any)
	}
	for _, spec := range consumer.Specs(topics, delays, 12, 1) {
		address := spec.Name
		if strings.HasPrefix(address, topics.DelayPrefix) {
			address = topics.DelayPrefix + "{delay}"
		}
		binding, there := channels[address]
		if own := spec.Name == topics.Control || spec.Name == topics.Audit; own == there {
			t.Errorf("%s: in the document: %v", spec.Name, there)
		}
		if !there {
			continue
		}
		if got := fmt.Sprint(binding["partitions"]); got != strconv.Itoa(spec.Partitions) {
			t.Errorf("%s has %s partitions, in the code %d", address, got, spec.Partitions)
		}
		for key, v := range binding["topicConfiguration"].(map[string]any) {
			if got := strings.Trim(fmt.Sprint(v), "[]"); got != spec.Configs[key] {
				t.Errorf("%s: %s is %s, in the code %q", address, key, got, spec.Configs[key])
			}
		}
	}
	for address := range channels {
		if !strings.Contains(address, "{") && !slices.Contains([]string{topics.Requests, topics.Status, topics.DeadLetters}, address) {
			t.Errorf("no topic %s", address)
		}
	}
}

// defaultConfig has nothing but what is required.
func defaultConfig(t *testing.T) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "refundworker.yaml")
	text := "kafka: {brokers: [127.0.0.1:9092]}\nredis: {addrs: [127.0.0.1:6379]}\nmerchants:\n" +
		"  - {name: m, provider: eftpay, base_url: http://127.0.0.1:1, currency: HKD, eftpay: {user_confirm_key: m, secret: s}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := app.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// The bridge has no answer that openapi.yaml does not have, and the other way round.
func TestAnswersOfTheBridge(t *testing.T) {
	inCode := map[string]bool{}
	files, err := filepath.Glob("../internal/bridge/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(source, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "Status") && s.Sel.Name != "StatusText" {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "http" {
					inCode[codeOf(t, s.Sel.Name)] = true
				}
			}
			return true
		})
	}
	documented := readYAML(t, "openapi.yaml").at(t, "paths", "/v1/callbacks/{merchant}", "post", "responses").(map[string]any)
	if got, want := names(inCode), slices.Sorted(maps.Keys(documented)); !slices.Equal(got, want) {
		t.Errorf("the code answers %v, the document has %v", got, want)
	}
}

// codeOf finds the number of http.StatusBadRequest and so on.
func codeOf(t *testing.T, name string) string {
	t.Helper()
	for code := 100; code < 600; code++ {
		if "Status"+strings.NewReplacer(" ", "", "-", "").Replace(http.StatusText(code)) == name || code == 200 && name == "StatusOK" {
			return strconv.Itoa(code)
		}
	}
	t.Fatalf("http.%s has no number", name)
	return ""
}

// checkAnswer holds an answer against its operation: a documented code, content type,
// body and headers. A method that has no operation is answered 405 by the path's others.
func (d yamlDocument) checkAnswer(t *testing.T, path, method string, answer *http.Response, body []byte) {
	t.Helper()
	item := d.at(t, "paths", path).(map[string]any)
	if item[method] == nil {
		method = map[bool]string{true: "get", false: "post"}[item["get"] != nil]
	}
	response := d.at(t, "paths", path, method, "responses", strconv.Itoa(answer.StatusCode)).(map[string]any)
	for name := range orNone(response["headers"]) {
		if answer.Header.Get(name) == "" {
			t.Errorf("no header %s", name)
		}
	}
	media, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
	content, documented := orNone(response["content"])[media].(map[string]any)
	if !documented {
		t.Fatalf("content type %q is not documented for %d", media, answer.StatusCode)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("answer.json", content["schema"]); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("answer.json")
	if err != nil {
		t.Fatal(err)
	}
	fits(t, schema, any(string(body)), "body")
}

func orNone(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}
