package api_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/events"
)

// Every JSON object in README.md, ARCHITECTURE.md and docs is one: refund requests
// and status events are valid, unless they are cut short by "...", and then what is
// shown of them is.
func TestExamplesOfTheDocumentation(t *testing.T) {
	files := []string{"../README.md", "../ARCHITECTURE.md"}
	more, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	runbooks, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, file := range append(append(files, more...), runbooks...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, example := range jsonObjects(string(text)) {
			seen[checkExample(t, file, example)]++
		}
	}
	if seen["request"] == 0 || seen["status"] == 0 {
		t.Errorf("of requests and statuses some examples are expected, found %v", seen)
	}
}

// checkExample answers what kind of message it took the example for.
func checkExample(t *testing.T, file, example string) string {
	t.Helper()
	whole := strings.NewReplacer(`, ...`, ``, `,...`, ``).Replace(example)
	cut := whole != example
	var o map[string]any
	if err := json.Unmarshal([]byte(whole), &o); err != nil {
		if cut && strings.Contains(whole, "...") {
			return "cut"
		}
		t.Errorf("%s: not JSON: %v\n%s", file, err, example)
		return "broken"
	}
	kind := "other"
	switch {
	case o["specversion"] != nil:
		kind = "structured"
	case o["status"] != nil && o["refund_no"] != nil:
		kind = "status"
	case o["amount"] != nil && o["refund_no"] != nil:
		kind = "request"
	}
	schema := map[string]string{"structured": "request-event", "status": "status", "request": "request"}[kind]
	if schema == "" {
		return kind
	}
	if cut {
		for field := range o {
			if properties(document(t, schema))[field] == nil {
				t.Errorf("%s: no field %s in\n%s", file, field, example)
			}
		}
		return kind
	}
	if strings.Contains(example, "$") || strings.Contains(example, "<") {
		return kind // a template
	}
	fits(t, compile(t, schema), any(object(t, []byte(whole))), "%s", file)
	if kind == "request" {
		if _, err := events.DecodeRequest([]byte(whole), nil); err != nil {
			t.Errorf("%s: %v\n%s", file, err, example)
		}
	}
	return kind
}

// beginning is how a JSON object that is meant as one begins.
var beginning = regexp.MustCompile(`\{\s*"[a-z_]+"\s*:`)

// jsonObjects finds what begins like a JSON object, up to its closing brace.
func jsonObjects(text string) (found []string) {
	for {
		at := beginning.FindStringIndex(text)
		if at == nil {
			return found
		}
		text = text[at[0]:]
		end := closing(text)
		found = append(found, text[:end])
		text = text[end:]
	}
}

// closing is the length of the object that text begins with.
func closing(text string) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}
