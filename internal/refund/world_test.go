package refund_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/dedupe/memstore"
	"github.com/refundworker/refundworker/internal/refund"
)

// world is a handler on the store in Go, with a gateway and a status topic that
// write down what happens in which order. Time is the bubble's.
type world struct {
	t       *testing.T
	store   *memstore.Store
	handler *refund.Handler
	account *refund.Account
	mu      sync.Mutex
	steps   []string // what was published, sent and asked, in order
	call    func(context.Context) refund.Outcome
	query   func(context.Context) refund.Outcome
	publish func(refund.Record) error
	alive   refund.Alive
	places  int
}

var hkd = refund.Currency{Code: "HKD", Exponent: 2}

func request(no string) refund.Request {
	return refund.Request{
		Key: refund.Key{Merchant: "S0003469", RefundNo: no}, OrderNo: "rrn_1",
		Amount: refund.Money{Minor: 600, Currency: hkd}, OrderAmount: refund.Money{Minor: 1000, Currency: hkd},
		Method: "WeChat", Wallet: "WECHATCN", Flow: refund.FlowRefund,
	}
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, store: memstore.New(memstore.Options{History: 10})}
	if _, err := w.store.Begin(t.Context(), "S0003469", 0); err != nil {
		t.Fatal(err)
	}
	w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Succeeded} }
	w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Unknown} }
	w.publish = func(refund.Record) error { return nil }
	w.alive = time.Now
	w.account = &refund.Account{
		Merchant: "S0003469", Provider: "eftpay", Gateway: w, Slots: w,
		Timeout: 10 * time.Second, MaxWait: time.Second, ResendAfter: time.Minute,
	}
	tokens := 0
	w.handler = &refund.Handler{
		Accounts: w, Claims: w.store, Lease: 30 * time.Second, ReviewAfter: 72 * time.Hour,
		Schedule: refund.Schedule{10 * time.Second, time.Minute, 5 * time.Minute},
		Recorder: &refund.Recorder{Records: w.store, Publisher: w, Fresh: 5 * time.Second},
		Token:    func() string { tokens++; return fmt.Sprint("token", tokens) },
	}
	return w
}

func (w *world) Account(merchant string) (*refund.Account, bool) {
	return w.account, merchant == "S0003469"
}

func (w *world) Order(r refund.Request) string { return r.OrderNo }

func (w *world) Check(r refund.Request) *refund.Rejection {
	if len(r.RefundNo) > 28 {
		return &refund.Rejection{Code: refund.CodeFieldLimit, Message: "refund_no"}
	}
	return nil
}

func (w *world) Sign(r refund.Request) (refund.Call, error) {
	return func(ctx context.Context) refund.Outcome {
		w.step("call " + r.RefundNo)
		return w.call(ctx)
	}, nil
}

func (w *world) Query(ctx context.Context, rec refund.Record) refund.Outcome {
	w.step("query " + rec.Request.RefundNo)
	return w.query(ctx)
}

type slot struct{}

func (slot) Done(refund.Outcome) {}

func (w *world) Acquire(context.Context, refund.CallKind) (refund.Slot, *refund.Wait) {
	return slot{}, nil
}

func (w *world) Publish(_ context.Context, rec refund.Record) error {
	if err := w.publish(rec); err != nil {
		return err
	}
	w.step(fmt.Sprintf("%s %d", rec.Last.Status, rec.Last.Sequence))
	return nil
}

func (w *world) deliver(no string, followUp int) refund.Verdict {
	w.places++
	return w.handler.Handle(w.t.Context(), refund.Work{
		Request: request(no), FollowUp: followUp, Place: fmt.Sprintf("t/0/%d", w.places), FirstSeen: time.Now(),
		Alive: func() time.Time { return w.alive() },
	})
}

func (w *world) step(step string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, step)
}

// want takes the steps so far and holds them against these.
func (w *world) want(steps ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.steps, steps) {
		w.t.Errorf("steps\n got  %s\n want %s", strings.Join(w.steps, ", "), strings.Join(steps, ", "))
	}
	w.steps = nil
}

func (w *world) wantVerdict(got refund.Verdict, kind refund.VerdictKind, cause refund.Cause, followUp int) {
	w.t.Helper()
	if got.Kind != kind || got.Cause != cause || got.FollowUp != followUp {
		w.t.Errorf("verdict %+v, want kind %d, cause %q, follow-up %d", got, kind, cause, followUp)
	}
}
