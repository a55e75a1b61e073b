package refund_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/dedupe/memstore"
	"github.com/refundworker/refundworker/internal/refund"
)

// brokenOff is a gateway at which every call breaks at once, to land when it likes; it knows of no refund.
type brokenOff struct {
	account *refund.Account
	calls   int
}

func (b *brokenOff) Account(string) (*refund.Account, bool)       { return b.account, true }
func (b *brokenOff) Order(r refund.Request) string                { return r.OrderNo }
func (b *brokenOff) Check(refund.Request) *refund.Rejection       { return nil }
func (b *brokenOff) Publish(context.Context, refund.Record) error { return nil }
func (b *brokenOff) Done(refund.Outcome)                          {}

func (b *brokenOff) Acquire(context.Context, refund.CallKind) (refund.Slot, *refund.Wait) {
	return b, nil
}

func (b *brokenOff) Sign(refund.Request) (refund.Call, error) {
	return func(context.Context) refund.Outcome {
		b.calls++
		return refund.Outcome{Class: refund.Unknown}
	}, nil
}

func (b *brokenOff) Query(context.Context, refund.Record) refund.Outcome {
	return refund.Outcome{Class: refund.NotFound}
}

// A call whose connection broke at once may land until its deadline and resend_after have passed. Found by the crash
// explorer: call, reset, "no such refund" after a minute, resend, and the first call landed after 69 s: paid twice.
func TestABrokenCallIsNotResentBeforeItCanNoLongerLand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(memstore.Options{})
		if _, err := store.Begin(t.Context(), "S1", 0); err != nil {
			t.Fatal(err)
		}
		gateway := &brokenOff{}
		gateway.account = &refund.Account{
			Merchant: "S1", Provider: "eftpay", Gateway: gateway, Slots: gateway, Timeout: 10 * time.Second, ResendAfter: time.Minute,
		}
		handler := &refund.Handler{
			Accounts: gateway, Claims: store, Lease: 30 * time.Second, ReviewAfter: 72 * time.Hour,
			Schedule: refund.Schedule{10 * time.Second, time.Minute}, Token: func() string { return time.Now().String() },
			Recorder: &refund.Recorder{Records: store, Publisher: gateway, Fresh: 5 * time.Second},
		}
		currency := refund.Currency{Code: "HKD", Exponent: 2}
		work := refund.Work{FirstSeen: time.Now(), Alive: time.Now, Request: refund.Request{
			Key: refund.Key{Merchant: "S1", RefundNo: "r1"}, OrderNo: "o1",
			Amount: refund.Money{Minor: 600, Currency: currency}, OrderAmount: refund.Money{Minor: 1000, Currency: currency},
		}}
		for _, step := range []struct {
			wait  time.Duration
			calls int
		}{{0, 1}, {time.Minute, 1}, {10 * time.Second, 2}} {
			time.Sleep(step.wait)
			handler.Handle(t.Context(), work)
			if gateway.calls != step.calls {
				t.Errorf("after another %s: %d calls, want %d", step.wait, gateway.calls, step.calls)
			}
			work.FollowUp++
		}
	})
}
