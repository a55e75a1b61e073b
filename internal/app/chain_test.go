package app

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/dedupe/memstore"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

type onlyGateway struct {
	account     *refund.Account
	call, query refund.Class
	calls       int
	steps       []string
}

func (b *onlyGateway) Account(string) (*refund.Account, bool) { return b.account, true }
func (b *onlyGateway) Order(r refund.Request) string          { return r.OrderNo }
func (b *onlyGateway) Check(refund.Request) *refund.Rejection { return nil }
func (b *onlyGateway) Done(refund.Outcome)                    {}
func (b *onlyGateway) Publish(_ context.Context, r refund.Record) error {
	b.steps = append(b.steps, fmt.Sprint(r.Last.Status, " ", r.Last.Sequence))
	return nil
}
func (b *onlyGateway) Acquire(context.Context, refund.CallKind) (refund.Slot, *refund.Wait) {
	return b, nil
}
func (b *onlyGateway) Sign(refund.Request) (refund.Call, error) {
	return func(context.Context) refund.Outcome {
		b.calls++
		b.steps = append(b.steps, "call")
		return refund.Outcome{Class: b.call}
	}, nil
}
func (b *onlyGateway) Query(context.Context, refund.Record) refund.Outcome {
	b.steps = append(b.steps, "query")
	return refund.Outcome{Class: b.query}
}

// message lies on a delay topic.
type message struct {
	consumer.Delivery
	due time.Time
}

// A callback with a word that we do not know comes before its request. The follow-up that the bridge leaves has what the
// callback told; it is due before the one that the request leaves, under the same number, so it is the chain that goes on. It
// finds that nothing was sent, resends, and is refused the connection: WAITING, and this message is the one that is to try
// again, although it has not the request's content.
func TestTheChainOfACallbackEndsInItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(memstore.Options{})
		if _, err := store.Begin(t.Context(), "S1", 0); err != nil {
			t.Fatal(err)
		}
		g := &onlyGateway{}
		g.account = &refund.Account{Merchant: "S1", Provider: "bluepay", Gateway: g, Slots: g, Timeout: 10 * time.Second, ResendAfter: time.Minute}
		recorder := &refund.Recorder{Records: store, Publisher: g, Fresh: 5 * time.Second}
		schedule := refund.Schedule{10 * time.Second, time.Minute}
		tokens := 0
		handler := &refund.Handler{
			Accounts: g, Claims: store, Lease: 30 * time.Second, ReviewAfter: 72 * time.Hour, Schedule: schedule, Recorder: recorder,
			Token: func() string { tokens++; return fmt.Sprint("t", tokens) },
		}
		var delayed []message
		dead := 0
		offset := int64(0)
		write := func(value []byte, headers []kafka.Header, cause consumer.Cause, followUp int, moved string, after time.Duration) {
			offset++
			delayed = append(delayed, message{consumer.Delivery{Topic: "refund.delay", Offset: offset, Value: value, Headers: headers,
				Cause: cause, FollowUp: followUp, Moved: moved, FirstSeen: time.Now(), Alive: time.Now}, time.Now().Add(after)})
		}
		take := func(d consumer.Delivery) {
			work, err := decode(d)
			if err != nil {
				dead++
				t.Logf("dead letter: %v", err)
				return
			}
			switch v := handler.Handle(t.Context(), work); v.Kind {
			case refund.Later:
				moved := ""
				if v.FollowUp == d.FollowUp {
					moved = d.Place() // as the consumer has it
				}
				write(d.Value, d.Headers, consumer.Cause(v.Cause), v.FollowUp, moved, v.After)
			case refund.Dead:
				dead++
				t.Logf("dead letter: %s: %v", v.Reason, v.Err)
			case refund.Done:
			default:
				t.Fatalf("%+v", v)
			}
		}
		run := func() bool {
			if len(delayed) == 0 {
				return false
			}
			first := 0
			for i, m := range delayed {
				if m.due.Before(delayed[first].due) {
					first = i
				}
			}
			m := delayed[first]
			delayed = append(delayed[:first:first], delayed[first+1:]...)
			time.Sleep(time.Until(m.due))
			take(m.Delivery)
			return true
		}

		thb := refund.Currency{Code: "THB", Exponent: 2}
		req := refund.Request{Key: refund.Key{Merchant: "S1", RefundNo: "r1"}, OrderNo: "o1", TransactionID: "x1", Flow: refund.FlowRefund,
			Amount: refund.Money{Minor: 600, Currency: thb}, OrderAmount: refund.Money{Minor: 1000, Currency: thb}, Reason: "why"}

		// The bridge: a callback of an unknown status; it leaves a follow-up.
		notice := refund.Notice{Request: refund.Request{Key: req.Key, OrderNo: "o1", Amount: req.Amount}, Order: "o1", Outcome: refund.Outcome{Class: refund.Unknown}}
		rec, err := store.Load(t.Context(), req.Key)
		if err != nil {
			t.Fatal(err)
		}
		rec.Provider = "bluepay"
		noted, err := recorder.Note(t.Context(), rec, refund.NewsOf(rec, notice), nil)
		if err != nil || !noted.Ask {
			t.Fatal(noted, err)
		}
		value, headers := events.EncodeRequest(noted.Record.Request) // as followUps.FollowUp does
		write(value, events.As[kafka.Header](headers), consumer.CauseFollowUp, noted.Record.FollowUp+1, "", schedule.After(noted.Record.FollowUp+1))

		// The request, ten seconds later. The gateway has no such refund.
		time.Sleep(10 * time.Second)
		g.query, g.call = refund.Unknown, refund.NotSent
		value, headers = events.EncodeRequest(req)
		take(consumer.Delivery{Topic: "refund.requests", Value: value, Headers: events.As[kafka.Header](headers), FirstSeen: time.Now(), Alive: time.Now})
		g.query = refund.NotFound
		for g.calls == 0 && run() {
		}
		g.call = refund.Succeeded // the gateway can be reached again
		for run() {
		}
		rec, err = store.Load(t.Context(), req.Key)
		if err != nil || rec.Last.Status != refund.StatusSucceeded {
			t.Errorf("nothing is left to be done, %d dead letters, and the refund is %s (%v)", dead, rec.Last.Status, err)
		}
		t.Log(g.steps)
	})
}
