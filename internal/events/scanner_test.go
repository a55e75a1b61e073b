package events

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// scan reads a document as the decoders do.
func scan(doc string) error {
	s := scanner{doc: doc}
	if err := s.skip(); err != nil {
		return err
	}
	return s.end()
}

var jsonSeeds = []string{
	`{}`, `[]`, `null`, `true`, `false`, `""`, `0`, `-0`, `-1.5e+10`, `1E9`, `01`, `1.`, `.5`, `-`, `+1`, `1e`, `tru`, `nul`, ``, ` `, `{`, `[`, `"`,
	`{"a":1,"b":[{"c":"d"},[]]}`, `{"a":1,}`, `[1,]`, `[,1]`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":1}}`, `[1]]`,
	`"\u00e9\ud83d\ude00"`, `"\ud83d"`, `"\ude00"`, `"\ud83dx"`, `"\x"`, `"\u12"`, `"\`, "\"\x01\"", "\"\\\"", `"\"\\\/\b\f\n\r\t"`, " \t\r\n{ } ",
	`{"a":1,"a":1}`, `{"a":1,"\u0061":1}`, `[{"x":{"y":1,"y":2}}]`, "\ufeff{}", "{\"\u00e9\":1}", contractRequest,
}

// Our scanner takes exactly what the standard library takes, but for what it is
// stricter about, and reads each string as it does.
func FuzzScannerAgreesWithTheStandardLibrary(f *testing.F) {
	for _, seed := range jsonSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if !utf8.ValidString(doc) || strings.Count(doc, "[")+strings.Count(doc, "{") > maxDepth {
			return
		}
		err := scan(doc)
		valid := json.Valid([]byte(doc))
		stricter := err != nil && (strings.Contains(err.Error(), "twice") || strings.Contains(err.Error(), "surrogate"))
		if valid != (err == nil) && !(valid && stricter) {
			t.Fatalf("standard library: valid %v; scanner: %v; %q", valid, err, doc)
		}
		s := scanner{doc: doc}
		if err != nil || s.peek() != kindString {
			return
		}
		var want string
		got, textErr := s.text()
		if err := json.Unmarshal([]byte(doc), &want); err != nil || textErr != nil || got != want {
			t.Fatalf("%q read as %q (%v), want %q (%v)", doc, got, textErr, want, err)
		}
	})
}

func TestScannerFindsDuplicateKeysOnlyInOneObject(t *testing.T) {
	for _, doc := range []string{`{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}`, `[{"a":1},{"a":2}]`, `{"a":1,"A":2,"":3,"\u00e1":4,"a\u0301":5}`} {
		if err := scan(doc); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// A message made to be slow (as many different keys as fit, or deep nesting) takes
// no more than its size accounts for.
func TestScannerIsLinear(t *testing.T) {
	var b strings.Builder
	b.WriteString("{")
	for i := range 100_000 {
		b.WriteString(`"` + strings.Repeat("k", i%3) + string(rune('a'+i%26)) + strings.Repeat("z", i/78%7) + jsonInt(i) + `":0,`)
	}
	b.WriteString(`"last":0}`)
	start := time.Now()
	if err := scan(b.String()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 20*time.Second { // comparing each with each takes minutes under -race
		t.Errorf("%s for %d bytes", took, b.Len())
	}
	if err := scan(strings.Repeat(`[`, maxDepth) + strings.Repeat(`]`, maxDepth)); err != nil {
		t.Error(err)
	}
	twice := strings.Replace(b.String(), `"last"`, `"a0"`, 1)
	if err := scan(twice); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a key twice among many: %v", err)
	}
}

func jsonInt(i int) string {
	b, _ := json.Marshal(i)
	return string(b)
}

func TestWriterWritesJSON(t *testing.T) {
	for _, s := range []string{"", "a", "\"\\/\x00\x1f\x7f", "é\u2028😀", "a\xffb\xc3", strings.Repeat("x", 5000)} {
		var w writer
		w.open()
		w.text("k", s)
		w.int("n", -1)
		w.close()
		doc := string(w.cut())
		var got struct {
			K string
			N int
		}
		if err := json.Unmarshal([]byte(doc), &got); err != nil || got.K != strings.ToValidUTF8(strings.ReplaceAll(s, "\xff", "\ufffd"), "\ufffd") || got.N != -1 {
			t.Errorf("%q written as %s, read as %q, %v", s, doc, got.K, err)
		}
		if err := scan(doc); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
	}
}
