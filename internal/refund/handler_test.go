package refund_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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
	w := &world{t: t, store: memstore.New(memstore.Options{})}
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

func TestHandlerAnnouncesBeforeItCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.wantVerdict(w.deliver("r1", 0), refund.Done, "", 0)
		w.want("PENDING 1", "call r1", "SUCCEEDED 2")
	})
}

func TestHandlerPublishesADuplicateAgainAndCallsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deliver("r1", 0)
		w.wantVerdict(w.deliver("r1", 0), refund.Done, "", 0)
		w.want("PENDING 1", "call r1", "SUCCEEDED 2", "SUCCEEDED 2")
	})
}

func TestHandlerAsksBeforeItResends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome {
			return refund.Outcome{Class: refund.Unknown, Code: refund.CodeGatewayDown}
		}
		w.wantVerdict(w.deliver("r1", 0), refund.Later, refund.CauseFollowUp, 1)
		w.want("PENDING 1", "call r1", "UNKNOWN 2")

		// "Not found" a minute later is not believed: the call may land until its
		// deadline (10 s) and resend_after (1 m) have passed.
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.NotFound} }
		time.Sleep(time.Minute)
		w.wantVerdict(w.deliver("r1", 1), refund.Later, refund.CauseFollowUp, 2)
		w.want("query r1")

		// Two minutes later it is: the stored open event is on the topic again, same
		// id, before the same number is sent again.
		time.Sleep(time.Minute)
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Succeeded} }
		w.wantVerdict(w.deliver("r1", 2), refund.Done, "", 0)
		w.want("query r1", "UNKNOWN 2", "call r1", "SUCCEEDED 3")
	})
}

func TestHandlerSendsNothingWhenTheLeaseIsTooShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.alive = time.Now
		w.publish = func(rec refund.Record) error {
			if rec.Last.Status == refund.StatusPending {
				time.Sleep(25 * time.Second) // paused: 5 s of the lease are left, a call takes up to 10
			}
			return nil
		}
		w.wantVerdict(w.deliver("r1", 0), refund.Later, refund.CauseRetry, 0)
		w.want("PENDING 1", "WAITING 2")
	})
}

func TestHandlerDoesNotCallWithoutItsIntentOnTheTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		back := time.Now().Add(40 * time.Second)
		w.publish = func(rec refund.Record) error {
			if time.Now().Before(back) {
				return errors.New("no broker")
			}
			return nil
		}
		w.wantVerdict(w.deliver("r1", 0), refund.Later, refund.CauseRetry, 0)
		w.want("WAITING 2") // the lease ran out in the outage: surely not sent
	})
}

func TestHandlerLeavesADeliveryThatIsNotItsOwnAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome {
			w.alive = func() time.Time { return time.Time{} } // the generation ends during the call
			return refund.Outcome{Class: refund.Succeeded}
		}
		w.wantVerdict(w.deliver("r1", 0), refund.Abandon, "", 0)
		w.want("PENDING 1", "call r1")

		// The answer is recorded all the same: the next owner publishes it.
		w.alive = time.Now
		w.wantVerdict(w.deliver("r1", 0), refund.Done, "", 0)
		w.want("SUCCEEDED 2")
	})
}

func TestHandlerAsksAboutARefundWhoseOwnerDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		claim := refund.Claim{Request: request("r1"), Provider: "eftpay", Order: "rrn_1", Token: "dead", Lease: 30 * time.Second, FirstSeen: time.Now()}
		if claimed, err := w.store.Claim(t.Context(), claim); err != nil || claimed.Answer != refund.Yours {
			t.Fatal(claimed.Answer, err)
		}
		w.wantVerdict(w.deliver("r1", 0), refund.Later, refund.CauseFollowUp, 1) // its lease still runs
		w.want("PENDING 1")
		time.Sleep(time.Minute)
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Succeeded} }
		w.wantVerdict(w.deliver("r1", 1), refund.Done, "", 0)
		w.want("query r1", "SUCCEEDED 2")
	})
}

func TestHandlerKeepsTheOrdersTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deliver("r1", 0)
		w.wantVerdict(w.deliver("r2", 0), refund.Done, "", 0)
		w.want("PENDING 1", "call r1", "SUCCEEDED 2", "REJECTED 1")
	})
}

func TestHandlerRejectsWhatTheGatewayCannotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.wantVerdict(w.deliver(strings.Repeat("9", 29), 0), refund.Done, "", 0)
		w.want("REJECTED 1")
	})
}

func TestHandlerEndsAllChainsButOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Pending} }
		w.query = func(context.Context) refund.Outcome { return refund.Outcome{Class: refund.Pending} }
		w.wantVerdict(w.deliver("r1", 0), refund.Later, refund.CauseFollowUp, 1)
		w.want("PENDING 1", "call r1")
		time.Sleep(time.Minute)
		w.wantVerdict(w.deliver("r1", 1), refund.Later, refund.CauseFollowUp, 2)
		w.wantVerdict(w.deliver("r1", 1), refund.Done, "", 0) // the same number from another place
		w.want("query r1")
	})
}

func TestHandlerCallsOnceAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.call = func(context.Context) refund.Outcome { panic("defect") }
		func() {
			defer func() { _ = recover() }()
			w.deliver("r1", 0)
		}()
		w.want("PENDING 1", "call r1")
		left := 0
		v := w.handler.Salvage(t.Context(), refund.Work{Request: request("r1"), FirstSeen: time.Now(), Alive: time.Now}, errors.New("defect"),
			func(context.Context, refund.Record) error { left++; return nil })
		if v.Kind != refund.Dead || v.Reason != refund.ReasonInternal || left != 1 {
			t.Errorf("%+v, %d follow-ups", v, left)
		}
		w.want("UNKNOWN 2")
	})
}
