package audit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/refund"
)

func TestFactsAreReadAsTheyWereWritten(t *testing.T) {
	merchants := []string{"S1", "shop-th"}
	rapid.Check(t, func(t *rapid.T) {
		merchant := rapid.Uint32Range(0, 1).Draw(t, "merchant")
		f := fact{
			kind: kind(rapid.Uint8Range(uint8(asked), uint8(shares)).Draw(t, "kind")), key: refund.Key{Merchant: merchants[merchant], RefundNo: rapid.String().Draw(t, "no")},
			order: rapid.String().Draw(t, "order"), content: rapid.Uint64().Draw(t, "content"), amount: rapid.Int64().Draw(t, "amount"),
			total: rapid.Int64().Draw(t, "total"), standing: rapid.Int64().Draw(t, "standing"), currency: rapid.Uint16().Draw(t, "currency"),
			event: event{
				sequence: rapid.Int64().Draw(t, "sequence"), digest: rapid.Uint64().Draw(t, "digest"),
				status: rapid.Uint16().Draw(t, "status"), flags: flags(rapid.Uint8().Draw(t, "flags")),
			},
			partition: rapid.Int32().Draw(t, "partition"),
		}
		text := f.append(nil, merchant)
		if read, err := readFact(text, merchants); err != nil || read != f {
			t.Fatalf("%+v, %v\nwant %+v", read, err, f)
		}
		cut := rapid.IntRange(0, len(text)-1).Draw(t, "cut")
		if read, err := readFact(text[:cut], merchants); err == nil && read == f {
			t.Fatal("a fact that was cut is whole")
		}
	})
}

// Facts that cannot be kept make no verdict.
func TestFilesThatFail(t *testing.T) {
	feed := func(c *Checker) {
		for _, f := range feeds {
			h := newHistory()
			h.well("r1", "o1", 100)
			f(h, c)
		}
	}
	for name, spoil := range map[string]func(*Checker){
		"closed":   func(c *Checker) { c.files.files[0].Close(); c.files.files[1].Close() },
		"cut":      func(c *Checker) { c.Report(); cut(t, c.files.files[0]); cut(t, c.files.files[1]) },
		"finished": (*Checker).Close,
	} {
		t.Run(name, func(t *testing.T) {
			c := New(Options{Parts: 2, Dir: t.TempDir()})
			defer c.Close()
			feed(c)
			spoil(c)
			if r := c.Report(); c.Err() == nil {
				t.Errorf("no error, and\n%s", r)
			}
		})
	}
	c := New(Options{Parts: 2, Dir: filepath.Join(t.TempDir(), "missing")})
	defer c.Close()
	feed(c)
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("%v", err)
	}
}

// cut takes the end of a file away, where it has one.
func cut(t *testing.T, f *os.File) {
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(max(0, info.Size()-1)); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsLeftOfTheFiles(t *testing.T) {
	dir := t.TempDir()
	c := New(Options{Parts: 5, Dir: dir})
	newHistory().well("r1", "o1", 1)
	c.Report()
	c.Close()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}
