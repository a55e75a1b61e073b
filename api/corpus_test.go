package api_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/sandbox"
)

var update = flag.Bool("update", false, "write the files of the corpus that are missing; those that are there never change")

// message is one file of the corpus: a record of a topic, and what it means. Files
// are only ever added: each later version must read them as they were read then.
// They are plain JSON, so that programs in other languages can be tested with them.
type message struct {
	About   string   `json:"about"`
	Topic   string   `json:"topic"`
	Key     string   `json:"key,omitempty"`
	Headers []string `json:"headers,omitempty"` // "name: value"
	Value   string   `json:"value,omitempty"`
	Base64  string   `json:"value_base64,omitempty"` // for bytes that are no text
	Decoded *decoded `json:"decoded,omitempty"`
	Letter  *letter  `json:"letter,omitempty"`
}

// letter is what the headers of a dead letter say.
type letter struct {
	Reason    string `json:"reason"`
	Error     string `json:"error"`
	Attempts  int    `json:"attempts"`
	Topic     string `json:"topic"` // of the first record that failed, with partition and offset
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
}

// decoded is a request as it was read, or why it was not.
type decoded struct {
	Reason           string   `json:"dead_letter,omitempty"`
	Fields           []string `json:"fields,omitempty"` // that break a rule
	RefundNo         string   `json:"refund_no,omitempty"`
	Merchant         string   `json:"merchant,omitempty"`
	OrderNo          string   `json:"order_no,omitempty"`
	TransactionID    string   `json:"transaction_id,omitempty"`
	AmountMinor      int64    `json:"amount_minor,omitempty"`
	OrderAmountMinor int64    `json:"order_amount_minor,omitempty"`
	Currency         string   `json:"currency,omitempty"`
	Method           string   `json:"method,omitempty"`
	Wallet           string   `json:"wallet,omitempty"`
	Terminal         string   `json:"terminal,omitempty"`
	Flow             string   `json:"flow,omitempty"`
	Note             string   `json:"reason,omitempty"`
	RequestedAt      string   `json:"requested_at,omitempty"` // in UTC
	TraceParent      string   `json:"traceparent,omitempty"`
	TraceState       string   `json:"tracestate,omitempty"`
	Content          string   `json:"content,omitempty"` // the fingerprint, which must never change
}

func decode(value []byte, headers []events.Header) *decoded {
	r, err := events.DecodeRequest(value, headers)
	var e *events.Error
	if errors.As(err, &e) {
		d := &decoded{Reason: string(e.Reason)}
		for _, p := range e.Problems {
			if p.Field != "" {
				d.Fields = append(d.Fields, p.Field)
			}
		}
		return d
	}
	d := &decoded{
		RefundNo: r.RefundNo, Merchant: r.Merchant, OrderNo: r.OrderNo, TransactionID: r.TransactionID, AmountMinor: r.Amount.Minor,
		OrderAmountMinor: r.OrderAmount.Minor, Currency: r.Amount.Currency.Code, Method: r.Method, Wallet: r.Wallet, Terminal: r.Terminal,
		Flow: string(r.Flow), Note: r.Reason, TraceParent: r.Trace.Parent, TraceState: r.Trace.State, Content: r.Content(),
	}
	if !r.RequestedAt.IsZero() {
		d.RequestedAt = r.RequestedAt.UTC().Format(time.RFC3339Nano)
	}
	return d
}

func (m message) value(t *testing.T) []byte {
	t.Helper()
	if m.Base64 == "" {
		return []byte(m.Value)
	}
	raw, err := base64.StdEncoding.DecodeString(m.Base64)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (m message) headers(t *testing.T) (hs []events.Header) {
	t.Helper()
	for _, line := range m.Headers {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("header %q", line)
		}
		hs = append(hs, events.Header{Key: name, Value: []byte(value)})
	}
	return hs
}

func headerLines(headers []events.Header) (lines []string) {
	for _, h := range headers {
		lines = append(lines, h.Key+": "+string(h.Value))
	}
	return lines
}

func (m message) text(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// corpus calls each for every file of a folder.
func corpus(t *testing.T, folder string, each func(t *testing.T, name string, m message)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.json"))
	if err != nil || len(files) < 3 {
		t.Fatalf("testdata/%s: %d files, %v", folder, len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var m message
			d := json.NewDecoder(bytes.NewReader(text))
			d.DisallowUnknownFields()
			if err := d.Decode(&m); err != nil {
				t.Fatal(err)
			}
			each(t, name, m)
		})
	}
}

// add writes a file of the corpus where it is missing and -update asks for it.
func add(t *testing.T, folder, name string, m message) {
	t.Helper()
	file := filepath.Join("testdata", folder, name+".json")
	if _, err := os.Stat(file); err == nil || !*update {
		return
	}
	if err := os.WriteFile(file, m.text(t), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Requests decode as they always did, and are valid where they were taken.
func TestCorpusOfRequests(t *testing.T) {
	for name, m := range newRequests(t) {
		m.Decoded = decode(m.value(t), m.headers(t))
		add(t, "requests", name, m)
	}
	bare, structured := compile(t, "request"), compile(t, "request-event")
	corpus(t, "requests", func(t *testing.T, _ string, m message) {
		got := decode(m.value(t), m.headers(t))
		if want := string(marshal(t, m.Decoded)); string(marshal(t, got)) != want {
			t.Errorf("got  %s\nwant %s", marshal(t, got), want)
		}
		if m.Decoded.Reason != "" {
			return
		}
		schema := bare
		if strings.HasPrefix(strings.Join(m.Headers, "\n"), "content-type: application/cloudevents+json") {
			schema = structured
		}
		fits(t, schema, any(object(t, m.value(t))), "%s", m.About)
		request, err := events.DecodeRequest(m.value(t), m.headers(t))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(m.About, "written") {
			value, hs := events.EncodeRequest(request)
			if string(value) != m.Value || !slices.Equal(headerLines(hs), m.Headers) {
				t.Errorf("written anew:\n got %s\n%q\nwant %s\n%q", value, headerLines(hs), m.Value, m.Headers)
			}
		}
	})
}

// Status events decode, are valid, and are written today with the bytes that they
// had: the same id has the same content for ever. A record is restored from each.
func TestCorpusOfStatusEvents(t *testing.T) {
	for name, one := range newStatuses() {
		key, value, hs := events.EncodeStatus(one.record)
		add(t, "statuses", name, message{About: one.about, Topic: "refund.status", Key: string(key), Headers: headerLines(hs), Value: string(value)})
	}
	schema, headers := compile(t, "status"), compile(t, "status-headers")
	seen := map[string]bool{}
	corpus(t, "statuses", func(t *testing.T, name string, m message) {
		value, hs := m.value(t), m.headers(t)
		fits(t, schema, any(object(t, value)), "value")
		fits(t, headers, any(headerObject(hs)), "headers")
		st, err := events.DecodeStatus(value, hs)
		if err != nil {
			t.Fatal(err)
		}
		sameAsSubscribersRead(t, value, st)
		rec, err := events.RestoreRecord(value, hs)
		if err != nil {
			t.Fatal(err)
		}
		key, again, hs2 := events.EncodeStatus(rec)
		if string(key) != m.Key || !bytes.Equal(again, value) || !slices.Equal(headerLines(hs2), m.Headers) {
			t.Errorf("restored and written anew:\n got %s\n%q\nwant %s\n%q", again, headerLines(hs2), value, m.Headers)
		}
		if one, ok := newStatuses()[name]; ok {
			if _, now, _ := events.EncodeStatus(one.record); !bytes.Equal(now, value) {
				t.Errorf("written today:\n got %s\nwant %s", now, value)
			}
		}
		for flag, set := range map[string]bool{
			string(st.Status): true, string(st.Source): true, "correction": st.Correction, "unmatched": !st.Matched,
			"order_fully_refunded": st.OrderFullyRefunded, "error": st.Code != "", "trace": st.Trace.Parent != "",
		} {
			seen[flag] = seen[flag] || set
		}
	})
	for _, status := range statuses {
		if !seen[string(status)] {
			t.Errorf("no event of status %s", status)
		}
	}
	for _, flag := range []string{"worker", "callback", "query", "operator", "correction", "unmatched", "order_fully_refunded", "error", "trace"} {
		if !seen[flag] {
			t.Errorf("no event with %s", flag)
		}
	}
}

// sameAsSubscribersRead: our decoder and the public type read the same.
func sameAsSubscribersRead(t *testing.T, value []byte, st events.Status) {
	t.Helper()
	var e sandbox.Event
	if err := json.Unmarshal(value, &e); err != nil {
		t.Fatal(err)
	}
	id := e.Merchant + "/" + e.RefundNo + "/" + strconv.FormatInt(e.Sequence, 10)
	if id != st.ID() || e.Status != string(st.Status) || e.Final != st.Final || e.Source != string(st.Source) || e.Matched != st.Matched ||
		e.Correction != st.Correction || e.Amount != st.Amount.String() || e.Currency != st.Amount.Currency.Code ||
		e.OrderFullyRefunded != st.OrderFullyRefunded || e.Attempt != st.Attempt || !e.OccurredAt.Equal(st.OccurredAt) ||
		!e.RecordedAt.Equal(st.RecordedAt) || e.Final != refund.Status(e.Status).Final() {
		t.Errorf("a subscriber reads %+v, we %+v", e, st)
	}
}
