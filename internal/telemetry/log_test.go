package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/rs/zerolog"
	"pgregory.net/rapid"
)

const card = "4111111111111111"

// What came from outside is masked; our own numbers are shown whole, or nobody
// would find them.
func TestLogWriterMasksWhatComesFromOutside(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(LogWriter(&out))
	log.Info().Str("refund_no", card).Str("merchant", "shop").Int64("offset", 4111111111111111).Float64("took", 0.4242424242424242).
		Str("words", "card "+card+" refused").Err(errors.New("refund_no\":\""+card)).Str("provider_status", card).Msg("of " + card)
	var got map[string]any
	decoder := json.NewDecoder(&out)
	decoder.UseNumber()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	const masked = "411111******1111"
	for field, want := range map[string]any{
		"refund_no": card, "offset": json.Number(card), "took": json.Number("0.4242424242424242"), "words": "card " + masked + " refused", "error": "refund_no\":\"" + masked,
		"provider_status": masked, "message": "of " + masked,
	} {
		if got[field] != want {
			t.Errorf("%s is %v, want %v", field, got[field], want)
		}
	}
}

// Every line stays the JSON that it was, and holds nothing that a terminal obeys.
func TestLogWriterKeepsTheLine(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.String().Draw(r, "text") + rapid.SampledFrom([]string{"", "\x1b[2J", "\u009b31m", "\u202e", "\x7f", "\U000e0001", "\xff", "\u2028", "é世"}).Draw(r, "odd")
		var plain, safe bytes.Buffer
		log := zerolog.New(&plain)
		log.Info().Str("words", text).Msg(text)
		n, err := LogWriter(&safe).Write(plain.Bytes())
		if err != nil || n != plain.Len() {
			r.Fatalf("%d of %d, %v", n, plain.Len(), err)
		}
		if i := strings.IndexFunc(strings.TrimSuffix(safe.String(), "\n"), func(c rune) bool { return !unicode.IsPrint(c) }); i >= 0 {
			r.Fatalf("%q", safe.String()[i:])
		}
		var before, after map[string]string
		if json.Unmarshal(plain.Bytes(), &before) != nil || json.Unmarshal(safe.Bytes(), &after) != nil {
			r.Fatalf("%q", safe.String())
		}
		if after["words"] != MaskCards(before["words"]) || after["message"] != MaskCards(before["message"]) {
			r.Fatalf("%q became %q", before, after)
		}
	})
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain é世": "plain é世", "a\x1b[31mb": `a\x1b[31mb`, "two\nlines": `two\nlines`, "\u202eturned": `\u202eturned`, "\xff": `\ufffd`,
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// Every field of every log line in the product is in the list of Fields.
func TestLogFieldsAreTheSameEverywhere(t *testing.T) {
	field := regexp.MustCompile(`(?m)(?:\.|^\s+)(?:Strs?|Int|Int64|Bool|Dur|Time|AnErr|Bytes|Float64|Any|Interface|Stringer|RawJSON|Uint64)\("([^"]+)"`)
	used := map[string]bool{}
	for _, dir := range []string{"app", "bridge", "consumer", "statuslog", "dedupe", "kafka", "providers", "refund", "admin"} {
		err := filepath.WalkDir("../"+dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			if err != nil || !bytes.Contains(source, []byte("zerolog")) && !bytes.Contains(source, []byte(".Log.")) && !bytes.Contains(source, []byte(".log.")) && !bytes.Contains(source, []byte("Logger.")) {
				return err
			}
			for _, match := range field.FindAllStringSubmatch(string(source), -1) {
				used[match[1]] = true
				if _, known := Fields[match[1]]; !known {
					t.Errorf("%s: the field %q is not in telemetry.Fields", path, match[1])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range Fields {
		if !used[name] && !slices.Contains([]string{"level", "time", "message", "error"}, name) {
			t.Errorf("no line has the field %s", name)
		}
	}
}
