package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/refund"
)

var hkd = refund.Currency{Code: "HKD", Exponent: 2}

func key(no string) refund.Key { return refund.Key{Merchant: "S1", RefundNo: no} }

// told is a callback's body in these tests: what the gateway says, and how it signed.
type told struct {
	No, Order, Sign string
	Minor           int64
	Class           refund.Class
	Sale            bool
}

func (c told) body() string {
	b, _ := json.Marshal(c)
	return string(b)
}

func success(no string) told {
	return told{No: no, Order: "o1", Sign: "right", Minor: 100, Class: refund.Succeeded}
}

// gateway verifies as the real ones do: form, signature, account, meaning.
type gateway struct{ merchant string }

func (g gateway) ParseCallback(body []byte) (refund.Notice, error) {
	var c told
	if err := json.Unmarshal(body, &c); err != nil {
		return refund.Notice{}, &refund.CallbackError{Reason: refund.CallbackMalformed, Err: err}
	}
	switch c.Sign {
	case "right":
	case "":
		return refund.Notice{}, &refund.CallbackError{Reason: refund.CallbackUnsigned}
	case "panic":
		panic("of a body: " + c.No)
	case "plain":
		return refund.Notice{}, errors.New("something else: " + c.No)
	default:
		return refund.Notice{}, &refund.CallbackError{Reason: refund.CallbackForged}
	}
	if c.Sale {
		return refund.Notice{}, &refund.CallbackError{Reason: refund.CallbackNoRefund, Verified: true}
	}
	return refund.Notice{
		Request: refund.Request{Key: refund.Key{Merchant: g.merchant, RefundNo: c.No}, OrderNo: c.Order, Amount: refund.Money{Minor: c.Minor, Currency: hkd}},
		Order:   c.Order,
		Outcome: refund.Outcome{Class: c.Class},
	}, nil
}

func (gateway) Acknowledge() (string, []byte) {
	return "application/json", []byte(`{"return_code":"success"}`)
}

type accounts map[string]Account

func (a accounts) Account(name string) (Account, bool) { account, ok := a[name]; return account, ok }

// store keeps records as the real one promises to: compare-and-set by version.
type store struct {
	mu      sync.Mutex
	records map[refund.Key]refund.Record
	down    error         // every step fails with it
	hold    chan struct{} // not nil: Load waits for its end
}

func (s *store) answer(rec refund.Record) refund.Record {
	rec.Seen, rec.StoreTime = time.Now(), time.Now()
	return rec
}

func (s *store) Load(ctx context.Context, k refund.Key) (refund.Record, error) {
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return refund.Record{}, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return refund.Record{}, s.down
	}
	rec := s.records[k]
	rec.Request.Key = k
	return s.answer(rec), nil
}

func (s *store) Record(_ context.Context, next refund.Record, _ string) (refund.Record, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return refund.Record{}, false, s.down
	}
	now := s.records[next.Key()]
	if now.Version != next.Version {
		return s.answer(now), false, nil
	}
	next.Version++
	s.records[next.Key()] = next
	return s.answer(next), true, nil
}

func (s *store) Published(_ context.Context, k refund.Key, sequence int64) (refund.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return refund.Record{}, s.down
	}
	rec := s.records[k]
	rec.Published = max(rec.Published, sequence)
	s.records[k] = rec
	return s.answer(rec), nil
}

func (s *store) set(down error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *store) get(no string) refund.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[key(no)]
}

// house is a bridge with everything around it.
type house struct {
	bridge  Bridge
	store   *store
	mu      sync.Mutex
	events  []refund.Record
	asked   []time.Duration
	reports []Report
	log     bytes.Buffer
	// publish and ask fail with these where set.
	publishErr, askErr error
}

func (h *house) Publish(_ context.Context, rec refund.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.publishErr != nil {
		return h.publishErr
	}
	h.events = append(h.events, rec)
	return nil
}

func (h *house) FollowUp(_ context.Context, rec refund.Record, after time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.askErr != nil {
		return h.askErr
	}
	h.asked = append(h.asked, after)
	return nil
}

type lockedLog struct{ h *house }

func (l lockedLog) Write(p []byte) (int, error) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	return l.h.log.Write(p)
}

func newHouse() *house {
	h := &house{store: &store{records: map[refund.Key]refund.Record{}}}
	h.bridge = Bridge{
		Accounts:  accounts{"S1": {Provider: "eftpay", Gateway: gateway{"S1"}}, "crossed": {Provider: "eftpay", Gateway: gateway{"S1"}}, "S2": {Provider: "bluepay", Gateway: gateway{"S2"}}},
		Recorder:  &refund.Recorder{Records: h.store, Publisher: h, Fresh: 5 * time.Second},
		FollowUps: h,
		Schedule:  refund.Schedule{10 * time.Second, time.Minute, 5 * time.Minute},
		Limits:    Limits{MaxBody: 1 << 10, Timeout: 10 * time.Second, MaxConcurrent: 8, MaxPerMerchant: 4},
		Log:       zerolog.New(lockedLog{h}),
		Answered: func(r Report) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.reports = append(h.reports, r)
		},
	}
	return h
}

// pending is the record of a refund that the worker has sent.
func (h *house) pending(no string) {
	h.store.records[key(no)] = refund.Record{
		Request: refund.Request{Key: key(no), OrderNo: "o1", Amount: refund.Money{Minor: 100, Currency: hkd}, OrderAmount: refund.Money{Minor: 1000, Currency: hkd}, Flow: refund.FlowRefund},
		Order:   "o1", Provider: "eftpay", Version: 1, Attempt: 1, Token: "t1", Holding: refund.HoldsReserved,
		Last: refund.Event{Sequence: 1, Status: refund.StatusPending, Source: refund.FromWorker, Matched: true, Attempt: 1},
	}
}

func (h *house) post(t testing.TB, handler http.Handler, merchant, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/callbacks/"+merchant, strings.NewReader(body)))
	return w
}
