package events

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

var update = flag.Bool("update", false, "write the .want files that are missing; those that are there never change")

// testdata is the corpus of what versions have written and been sent. Files are
// only added: a later version must read each as it was read then. An event is its
// headers, an empty line, and the value.
func TestCorpusStillDecodes(t *testing.T) {
	for folder, decode := range map[string]func([]byte, []Header) (any, error){
		"requests":  func(v []byte, hs []Header) (any, error) { return DecodeRequest(v, hs) },
		"followups": func(v []byte, hs []Header) (any, error) { return DecodeFollowUp(v, hs) },
		"statuses":  func(v []byte, hs []Header) (any, error) { return RestoreRecord(v, hs) },
	} {
		files, err := filepath.Glob(filepath.Join("testdata", folder, "*.event"))
		if err != nil || len(files) < 3 {
			t.Fatalf("testdata/%s: %d events, %v", folder, len(files), err)
		}
		for _, file := range files {
			t.Run(file, func(t *testing.T) {
				value, hs := readEvent(t, file)
				got := ""
				if answer, err := decode(value, hs); err != nil {
					got = "error: " + err.Error() + "\n"
				} else {
					got = dump("", reflect.ValueOf(answer))
				}
				wantFile := strings.TrimSuffix(file, ".event") + ".want"
				want, err := os.ReadFile(wantFile)
				if os.IsNotExist(err) && *update {
					if err := os.WriteFile(wantFile, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				} else if err != nil {
					t.Fatal(err)
				} else if got != string(want) {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// The same id has the same content for ever: an event of the corpus that is
// published again by this version has the bytes that it had.
func TestCorpusRendersAsItWasWritten(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("testdata", "statuses", "*.event"))
	rendered := 0
	for _, file := range files {
		value, hs := readEvent(t, file)
		rec, err := RestoreRecord(value, hs)
		if err != nil {
			continue // its .want says why
		}
		rendered++
		key, again, hs2 := EncodeStatus(rec)
		if !bytes.Equal(again, value) {
			t.Errorf("%s\n got %s\nwant %s", file, again, value)
		}
		if !strings.HasPrefix(header(hs, HeaderID), string(key)+"/") {
			t.Errorf("%s: key %s", file, key)
		}
		if !slices.EqualFunc(hs, hs2, func(a, b Header) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) }) {
			t.Errorf("%s: headers\n got %s\nwant %s", file, hs2, hs)
		}
	}
	if rendered < 8 {
		t.Errorf("only %d events were rendered again", rendered)
	}
}

func TestEveryStatusIsInTheCorpus(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("testdata", "statuses", "*.event"))
	seen := map[refund.Status]bool{}
	for _, file := range files {
		if st, err := DecodeStatus(readEvent(t, file)); err == nil {
			seen[st.Status] = true
		}
	}
	for _, status := range known {
		if !seen[status] {
			t.Errorf("no event of status %s", status)
		}
	}
}

func readEvent(t *testing.T, file string) (value []byte, hs []Header) {
	t.Helper()
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, value, ok := bytes.Cut(doc, []byte("\n\n"))
	if rest, none := bytes.CutPrefix(doc, []byte("\n")); none {
		head, value, ok = nil, rest, true
	}
	if !ok {
		t.Fatalf("%s: no empty line between headers and value", file)
	}
	for line := range strings.Lines(string(head)) {
		name, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !ok {
			t.Fatalf("%s: header %q", file, line)
		}
		hs = append(hs, Header{name, []byte(v)})
	}
	return bytes.TrimSuffix(value, []byte("\n")), hs
}

// dump is one line for each field that is not zero, so fields added later change
// nothing.
func dump(name string, v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	if at, ok := v.Interface().(time.Time); ok {
		return name + ": " + at.Format(time.RFC3339Nano) + "\n"
	}
	if v.Kind() != reflect.Struct {
		return fmt.Sprintf("%s: %v\n", name, v.Interface())
	}
	var b strings.Builder
	for i := range v.NumField() {
		b.WriteString(dump(strings.TrimPrefix(name+"."+v.Type().Field(i).Name, "."), v.Field(i)))
	}
	return b.String()
}
