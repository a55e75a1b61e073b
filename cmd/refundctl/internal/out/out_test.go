package out

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

type fruit struct {
	Name string `json:"name"`
	Note string `json:"note"`
}

var columns = []Column[fruit]{
	{Name: "name", Width: 6, Cell: func(f fruit) string { return f.Name }},
	{Name: "code", Wide: true, Cell: func(f fruit) string { return f.Name[:1] }},
	{Name: "note", Cell: func(f fruit) string { return f.Note }},
}

func TestRows(t *testing.T) {
	fruits := []fruit{{"fig", "a<b"}, {"pomegranate", ""}, {"棗", "two\nlines\x1b[31m"}}
	for format, want := range map[Format]string{
		Table: "NAME         NOTE\nfig          a<b\npomegranate  -\n棗            two\\u000alines\\u001b[31m\n",
		JSON:  `{"name":"fig","note":"a<b"}` + "\n" + `{"name":"pomegranate","note":""}` + "\n" + `{"name":"棗","note":"two\nlines\u001b[31m"}` + "\n",
	} {
		var b bytes.Buffer
		if err := NewRows(&b, format, columns).All(fruits); err != nil || b.String() != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", format, err, b.String(), want)
		}
	}
	var b bytes.Buffer
	rows := NewRows(&b, Wide, columns)
	for _, f := range fruits[:2] {
		if err := rows.Row(f); err != nil {
			t.Fatal(err)
		}
	}
	if want := "NAME    CODE  NOTE\nfig     f     a<b\npomegranate  p     -\n"; b.String() != want {
		t.Errorf("stream:\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := NewRows(&b, Table, columns).All(nil); err != nil || b.Len() > 0 {
		t.Errorf("of nothing: %q", b.String())
	}
}

// The same masking as in logs: not of the names of our own things.
func TestCardsAreMasked(t *testing.T) {
	const card = "4111111111111111"
	type row struct {
		RefundNo string `json:"refund_no"`
		Order    string `json:"order"`
	}
	columns := []Column[row]{{Name: "refund_no", Cell: func(r row) string { return r.RefundNo }}, {Name: "order", Cell: func(r row) string { return r.Order }}}
	write := map[string]func(io.Writer) error{
		"table": func(w io.Writer) error { return NewRows(w, Table, columns).All([]row{{card, card}}) },
		"json":  func(w io.Writer) error { return Object(w, row{card, card}) },
		"block": func(w io.Writer) error { return Block(w, []Line{{"refund", card}, {"amount", card}}) },
	}
	for name, f := range write {
		var masked, whole bytes.Buffer
		if err := errors.Join(f(&masked), f(Whole{&whole})); err != nil {
			t.Fatal(err)
		}
		if strings.Count(masked.String(), card) != 1 || strings.Count(masked.String(), "411111******1111") != 1 || strings.Count(whole.String(), card) != 2 {
			t.Errorf("%s: %s%s", name, masked.String(), whole.String())
		}
	}
}

func TestFormatOfATerminalAndOfAPipe(t *testing.T) {
	for _, c := range []struct {
		word     string
		terminal bool
		want     Format
	}{{"", true, Table}, {"", false, JSON}, {"wide", false, Wide}, {"json", true, JSON}, {"table", false, Table}} {
		if got, err := ParseFormat(c.word, c.terminal); err != nil || got != c.want {
			t.Errorf("%q on a terminal %v: %s, %v", c.word, c.terminal, got, err)
		}
	}
	if _, err := ParseFormat("xml", true); err == nil {
		t.Error("xml is taken")
	}
}

func TestBlock(t *testing.T) {
	var b bytes.Buffer
	err := Block(&b, []Line{{"refund", "R1"}, {"next", "first"}, {"next", "then"}, {"nothing", ""}, {"key", "a\rb"}})
	if want := "refund  R1\nnext    first\n        then\nkey     a\\u000db\n"; err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
	}
}

func TestProgressIsOneLineOnATerminalAlone(t *testing.T) {
	var b bytes.Buffer
	now := time.Now()
	p := NewProgress(&b, func() time.Time { return now })
	p.Show("read %d", 1)
	p.Show("read %d", 2) // too soon
	now = now.Add(time.Second)
	p.Show("read %d %s", 3, strings.Repeat("x", 300))
	if got := b.String(); strings.Contains(got, "read 2") || strings.Contains(got, "\n") || strings.Count(got, "\r") != 2 || len(got) > 200 {
		t.Errorf("%q", got)
	}
	b.Reset()
	p.Clear()
	p.Clear()
	if b.String() != "\r\x1b[K" {
		t.Errorf("%q", b.String())
	}
	NewProgress(nil, func() time.Time { return now }).Show("nowhere")
}

func TestCleanAndClip(t *testing.T) {
	for in, want := range map[string]string{"plain": "plain", "a\x00b": `a\u0000b`, "\u202eevil": `\u202eevil`, "bad\xff": `bad\ufffd`, "": ""} {
		if got := Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Clip("退款退款", 3); got != "退款…" {
		t.Error(got)
	}
}
