package bridge

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// Every row of the table, with what is stored, published, asked and reported.
func TestAnswers(t *testing.T) {
	type want struct {
		code    int
		outcome Outcome
		status  refund.Status // of r1 afterwards
		events  int
		asked   int
	}
	down := &refund.Unavailable{Why: "the record of S1 is being rebuilt"}
	for name, c := range map[string]struct {
		method, merchant, body string
		before                 func(*house)
		want                   want
	}{
		"settles a pending refund":        {body: success("r1").body(), want: want{200, Changed, refund.StatusSucceeded, 1, 0}},
		"processing":                      {body: told{No: "r1", Order: "o1", Sign: "right", Minor: 100, Class: refund.Pending}.body(), want: want{200, Repeated, refund.StatusPending, 1, 1}},
		"declined":                        {body: told{No: "r1", Order: "o1", Sign: "right", Minor: 100, Class: refund.Declined}.body(), want: want{200, Changed, refund.StatusFailed, 1, 0}},
		"another amount":                  {body: told{No: "r1", Order: "o1", Sign: "right", Minor: 101, Class: refund.Succeeded}.body(), want: want{200, Mismatched, refund.StatusPending, 1, 1}},
		"another order":                   {body: told{No: "r1", Order: "o2", Sign: "right", Minor: 100, Class: refund.Succeeded}.body(), want: want{200, Mismatched, refund.StatusPending, 1, 1}},
		"unclear status":                  {body: told{No: "r1", Order: "o1", Sign: "right", Minor: 100, Class: refund.Unknown}.body(), want: want{200, Repeated, refund.StatusPending, 1, 1}},
		"never requested":                 {body: success("r9").body(), want: want{200, Changed, refund.StatusPending, 1, 0}},
		"never requested, open":           {body: told{No: "r9", Order: "o1", Sign: "right", Minor: 7, Class: refund.Pending}.body(), want: want{200, Changed, refund.StatusPending, 1, 1}},
		"verified, a sale":                {body: told{No: "r1", Sign: "right", Sale: true}.body(), want: want{400, Outcome(refund.CallbackNoRefund), refund.StatusPending, 0, 0}},
		"not of the form":                 {body: "<xml>", want: want{401, Outcome(refund.CallbackMalformed), refund.StatusPending, 0, 0}},
		"empty":                           {body: "", want: want{401, Outcome(refund.CallbackMalformed), refund.StatusPending, 0, 0}},
		"unsigned":                        {body: told{No: "r1", Minor: 100, Class: refund.Succeeded}.body(), want: want{401, Outcome(refund.CallbackUnsigned), refund.StatusPending, 0, 0}},
		"forged":                          {body: told{No: "r1", Sign: "wrong", Minor: 100, Class: refund.Succeeded}.body(), want: want{401, Outcome(refund.CallbackForged), refund.StatusPending, 0, 0}},
		"an error of no known type":       {body: told{No: "r1", Sign: "plain"}.body(), want: want{401, Outcome(refund.CallbackMalformed), refund.StatusPending, 0, 0}},
		"another account's, verified":     {merchant: "crossed", body: success("r1").body(), want: want{401, Outcome(refund.CallbackForeign), refund.StatusPending, 0, 0}},
		"a panic":                         {body: told{No: "r1", Sign: "panic"}.body(), want: want{500, Panicked, refund.StatusPending, 0, 0}},
		"unknown merchant":                {merchant: "nobody", body: success("r1").body(), want: want{404, NoMerchant, refund.StatusPending, 0, 0}},
		"GET":                             {method: http.MethodGet, body: success("r1").body(), want: want{405, WrongMethod, refund.StatusPending, 0, 0}},
		"GET of an unknown merchant":      {method: http.MethodGet, merchant: "nobody", want: want{405, WrongMethod, refund.StatusPending, 0, 0}},
		"one byte too large":              {body: strings.Repeat("x", 1<<10+1), want: want{413, TooLarge, refund.StatusPending, 0, 0}},
		"as large as may be":              {body: strings.Repeat("x", 1<<10), want: want{401, Outcome(refund.CallbackMalformed), refund.StatusPending, 0, 0}},
		"store being rebuilt":             {body: success("r1").body(), before: func(h *house) { h.store.down = down }, want: want{503, Unavailable, refund.StatusPending, 0, 0}},
		"topic not to be reached":         {body: success("r1").body(), before: func(h *house) { h.publishErr = errors.New("no leader") }, want: want{503, Unavailable, refund.StatusSucceeded, 0, 0}},
		"follow-up cannot be left":        {body: told{No: "r1", Order: "o1", Sign: "right", Minor: 100, Class: refund.Pending}.body(), before: func(h *house) { h.askErr = errors.New("no leader") }, want: want{503, Unavailable, refund.StatusPending, 1, 0}},
		"forged, while the store is down": {body: told{No: "r1", Sign: "wrong"}.body(), before: func(h *house) { h.store.down = down }, want: want{401, Outcome(refund.CallbackForged), refund.StatusPending, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse()
				h.pending("r1")
				if c.before != nil {
					c.before(h)
				}
				method, merchant := c.method, c.merchant
				if method == "" {
					method = http.MethodPost
				}
				if merchant == "" {
					merchant = "S1"
				}
				w := httptest.NewRecorder()
				began := time.Now()
				h.bridge.Handler().ServeHTTP(w, httptest.NewRequest(method, "/v1/callbacks/"+merchant, strings.NewReader(c.body)))

				if len(h.reports) != 1 {
					t.Fatalf("%d reports, want one", len(h.reports))
				}
				got := want{w.Code, h.reports[0].Outcome, h.store.get("r1").Last.Status, len(h.events), len(h.asked)}
				if got != c.want {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
				if h.reports[0].Code != w.Code {
					t.Errorf("reported %d, answered %d", h.reports[0].Code, w.Code)
				}
				acknowledged := w.Body.String() == `{"return_code":"success"}` && w.Header().Get("Content-Type") == "application/json"
				if acknowledged != (w.Code == 200) {
					t.Errorf("%d with %q", w.Code, w.Body)
				}
				if w.Code == 503 && (time.Since(began) < h.bridge.Limits.Timeout || time.Since(began) > h.bridge.Limits.Timeout+3*time.Second) {
					t.Errorf("503 after %v: it should try for its timeout and no longer", time.Since(began))
				}
				if w.Code == 405 && w.Header().Get("Allow") != "POST" {
					t.Errorf("405 without Allow")
				}
				if n := strings.Count(h.log.String(), "\n"); n != 1 {
					t.Errorf("%d log lines, want one: %s", n, h.log.String())
				}
			})
		})
	}
}

// A store that comes back within the timeout costs the gateway nothing but time.
func TestStoreComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.pending("r1")
		h.store.down = errors.New("connection refused")
		time.AfterFunc(3*time.Second, func() { h.store.set(nil) })
		if w := h.post(t, h.bridge.Handler(), "S1", success("r1").body()); w.Code != 200 {
			t.Errorf("%d", w.Code)
		}
		if len(h.events) != 1 || h.events[0].Last.Status != refund.StatusSucceeded {
			t.Errorf("%+v", h.events)
		}
	})
}

// A callback for a refund that was never requested here begins its record.
func TestNeverRequested(t *testing.T) {
	h := newHouse()
	h.post(t, h.bridge.Handler(), "S1", success("r9").body())
	rec := h.store.get("r9")
	if rec.Provider != "eftpay" || rec.Order != "o1" || rec.Last.Matched || rec.Holding != refund.HoldsSucceeded || rec.Request.Amount.Minor != 100 {
		t.Errorf("%+v", rec)
	}
}

// What could not be made durable is done by the repeat, under the same id.
func TestRepeatAfterUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.pending("r1")
		h.publishErr = errors.New("no leader")
		if w := h.post(t, h.bridge.Handler(), "S1", success("r1").body()); w.Code != 503 {
			t.Fatal(w.Code)
		}
		h.publishErr = nil
		if w := h.post(t, h.bridge.Handler(), "S1", success("r1").body()); w.Code != 200 {
			t.Fatal(w.Code)
		}
		if len(h.events) != 1 || h.events[0].Last.Sequence != 2 {
			t.Errorf("%+v", h.events)
		}
	})
}

// The first follow-up after one that was taken has the next one's delay.
func TestFollowUpDelay(t *testing.T) {
	h := newHouse()
	h.pending("r1")
	rec := h.store.get("r1")
	rec.FollowUp = 5
	h.store.records[key("r1")] = rec
	h.post(t, h.bridge.Handler(), "S1", told{No: "r1", Order: "o1", Sign: "right", Minor: 100, Class: refund.Pending}.body())
	if len(h.asked) != 1 || h.asked[0] != 5*time.Minute {
		t.Errorf("%v", h.asked)
	}
}

// The same callback a hundred times, many at once: one event, however often it is published.
func TestHundredTimes(t *testing.T) {
	h := newHouse()
	h.pending("r1")
	h.bridge.Limits.MaxConcurrent, h.bridge.Limits.MaxPerMerchant = 100, 100
	handler := h.bridge.Handler()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if w := h.post(t, handler, "S1", success("r1").body()); w.Code != 200 {
				t.Errorf("%d", w.Code)
			}
		})
	}
	all.Wait()
	ids := map[string]bool{}
	for _, e := range h.events {
		ids[fmt.Sprintf("%s/%d %s", e.Key(), e.Last.Sequence, e.Last.RecordedAt)] = true
	}
	if len(ids) != 1 {
		t.Errorf("%d events: %v", len(ids), ids)
	}
	if len(h.events) != 100 {
		t.Errorf("published %d times: each repeat publishes the stored event again", len(h.events))
	}
}

// The caps: a merchant's places are taken by verified callbacks alone, and leave room for other merchants.
func TestCaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.store.hold = make(chan struct{})
		handler := h.bridge.Handler()
		answers := make(chan int, 16)
		post := func(merchant, no string) {
			go func() { answers <- h.post(t, handler, merchant, success(no).body()).Code }()
			synctest.Wait()
		}
		for i := range 4 {
			post("S1", fmt.Sprint("a", i))
		}
		post("S1", "a4")
		if code := <-answers; code != 429 {
			t.Errorf("the fifth of a merchant: %d", code)
		}
		if w := h.post(t, handler, "S1", told{No: "a5", Sign: "wrong"}.body()); w.Code != 401 {
			t.Errorf("a forged one holds no merchant's place, so it is told so: %d", w.Code)
		}
		for i := range 4 {
			post("S2", fmt.Sprint("b", i))
		}
		if w := h.post(t, handler, "S2", success("b4").body()); w.Code != 429 || w.Header().Get("Retry-After") == "" {
			t.Errorf("the ninth of all: %d", w.Code)
		}
		close(h.store.hold)
		for range 8 {
			if code := <-answers; code != 200 {
				t.Errorf("%d", code)
			}
		}
		if w := h.post(t, handler, "S1", success("a6").body()); w.Code != 200 {
			t.Errorf("the places were not given back: %d", w.Code)
		}
	})
}

// Nothing of what was received is written to the log or to the answer, verified or not.
func TestNothingOfABodyIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.pending("r1")
		const canary = "CANARY"
		var said strings.Builder
		for _, body := range []string{
			canary, `{"No":"` + canary + `"}`, told{No: canary, Sign: canary}.body(), told{No: canary, Sign: "panic"}.body(), told{No: canary, Sign: "plain"}.body(),
			told{No: canary, Sign: "right", Sale: true}.body(), strings.Repeat(canary, 1<<10),
			told{No: "r1", Order: canary, Sign: "right", Minor: 100, Class: refund.Succeeded}.body(),
		} {
			said.WriteString(h.post(t, h.bridge.Handler(), "S1", body).Body.String())
		}
		said.WriteString(h.post(t, h.bridge.Handler(), canary, "").Body.String())
		if strings.Contains(said.String(), canary) {
			t.Errorf("an answer repeats what was received: %s", said.String())
		}
		if strings.Contains(h.log.String(), canary) {
			t.Errorf("the log repeats what was received: %s", h.log.String())
		}
		if n := strings.Count(h.log.String(), `"outcome":`); n != 9 {
			t.Errorf("%d lines for 9 requests", n)
		}
	})
}

// Lines of senders that prove nothing are bounded; the counters are not.
func TestFloodDoesNotFillTheLog(t *testing.T) {
	h := newHouse()
	handler := h.bridge.Handler()
	const flood = 500
	for range flood {
		h.post(t, handler, "S1", told{No: "r1", Sign: "wrong"}.body())
	}
	if n := strings.Count(h.log.String(), "\n"); n > 10*refusedLines {
		t.Errorf("%d lines", n)
	}
	if len(h.reports) != flood {
		t.Errorf("%d of %d counted", len(h.reports), flood)
	}
}
