package audit

import (
	"slices"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/refund"
)

// What may happen, and what may not: each row is one history and the kinds of finding that it has.
func TestHistories(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(*history)
		want    []Kind
	}{
		"nothing":   {func(*history) {}, nil},
		"went well": {func(h *history) { h.well("r1", "o1", 100) }, nil},
		"requested twice": {func(h *history) {
			h.well("r1", "o1", 100)
			h.request(ask("r1", "o1", 100))
		}, nil},
		"published again": {func(h *history) {
			r := h.well("r1", "o1", 100)
			h.publish(r, 2, "SUCCEEDED 1")
		}, nil},
		"visibly open": {func(h *history) {
			for i, words := range []string{"WAITING 0", "PENDING 1", "UNKNOWN 1", "REVIEW 1"} {
				r := ask(string(rune('a'+i)), "o1", 1)
				h.request(r)
				h.lives(r, words)
			}
		}, nil},
		"open, paid, not known yet": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "PENDING 1")
			h.pay(r)
		}, nil},
		"not sent at first, then well": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "WAITING 0", "PENDING 1", "WAITING 1", "PENDING 2", "UNKNOWN 2", "PENDING 2", "SUCCEEDED 2")
			h.pay(r)
		}, nil},
		"sequences skip after a rebuild": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.publish(r, 1, "PENDING 1")
			h.publish(r, 3001, "SUCCEEDED 1")
			h.pay(r)
		}, nil},
		"rejected after all": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "PENDING 1", "REJECTED 1")
		}, nil},
		"still to be read": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.queued = append(h.queued, r.Key)
		}, nil},
		"a dead letter": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.dead = append(h.dead, DeadLetter{Reason: refund.ReasonUnknownMerchant, Request: r.Request})
		}, nil},
		"conflicting content, dead letter": {func(h *history) {
			h.well("r1", "o1", 100)
			other := ask("r1", "o1", 200)
			h.request(other)
			h.dead = append(h.dead, DeadLetter{Reason: refund.ReasonConflict, Request: other.Request})
		}, nil},
		"unreadable, dead letter": {func(h *history) {
			at := Place{"refund.requests", 3, 17}
			h.unreadable = append(h.unreadable, at)
			h.dead = append(h.dead, DeadLetter{Reason: refund.ReasonInvalid, Origin: at})
		}, nil},
		"invalid, its dead letter tells a refund": {func(h *history) {
			at := Place{"refund.requests", 3, 17}
			h.unreadable = append(h.unreadable, at)
			h.dead = append(h.dead, DeadLetter{Reason: refund.ReasonInvalid, Origin: at, Request: ask("r1", "o1", 1).Request})
		}, nil},
		"corrected openly": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "PENDING 1", "FAILED 1", "SUCCEEDED 1 +correction")
			h.pay(r)
		}, nil},
		"taken back and corrected": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "PENDING 1", "SUCCEEDED 1", "FAILED 1 +correction")
			h.pay(r)
			h.payments = append(h.payments, Payment{Merchant: "S1", RefundNo: "r1", Minor: -100})
		}, nil},
		"known from a callback alone": {func(h *history) {
			r := ask("r1", "o1", 100)
			r.OrderAmount = refund.Money{}
			h.lives(r, "SUCCEEDED 0 -unmatched")
			h.pay(r)
			h.payments[0].Foreign = true
		}, nil},
		"adopted after its final": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "SUCCEEDED 0 -unmatched", "SUCCEEDED 0")
			h.pay(r)
			h.payments[0].Foreign = true
		}, nil},
		"adopted, then corrected": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "SUCCEEDED 0 -unmatched", "SUCCEEDED 0", "FAILED 0 +correction")
		}, nil},
		"an order used up to its total": {func(h *history) {
			h.well("r1", "o1", 400)
			h.well("r2", "o1", 600)
		}, nil},
		"refused here, paid by staff": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "REJECTED 0")
			h.pay(r)
			h.payments[0].Foreign = true
		}, nil},
		"the same number at two merchants": {func(h *history) {
			h.well("r1", "o1", 1000)
			r := ask("r1", "o1", 1000)
			r.Merchant = "S2"
			h.request(r)
			h.lives(r, "PENDING 1", "SUCCEEDED 1")
			h.pay(r)
		}, nil},

		"vanished": {func(h *history) { h.request(ask("r1", "o1", 100)) }, []Kind{Lost}},
		"conflicting content vanished": {func(h *history) {
			h.well("r1", "o1", 100)
			h.request(ask("r1", "o1", 200))
		}, []Kind{Lost}},
		"another content is the dead letter": {func(h *history) {
			h.request(ask("r1", "o1", 100))
			h.dead = append(h.dead, DeadLetter{Reason: refund.ReasonConflict, Request: ask("r1", "o1", 200).Request})
		}, []Kind{Lost}},
		"unreadable vanished": {func(h *history) {
			h.unreadable = append(h.unreadable, Place{"refund.requests", 3, 17})
			h.dead = append(h.dead, DeadLetter{Reason: refund.ReasonInvalid, Origin: Place{"refund.requests", 3, 18}})
		}, []Kind{Lost}},
		"request not taken up": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "SUCCEEDED 0 -unmatched")
			h.pay(r)
			h.payments[0].Foreign = true
		}, []Kind{Lost}},
		"made up": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.lives(r, "PENDING 1")
		}, []Kind{Unasked}},
		"another content than requested": {func(h *history) {
			h.request(ask("r1", "o1", 100))
			h.lives(ask("r1", "o1", 200), "PENDING 1")
		}, []Kind{Lost, Unasked}},

		"paid twice": {func(h *history) {
			h.pay(h.well("r1", "o1", 100))
		}, []Kind{PaidTwice}},
		"paid twice and taken back": {func(h *history) {
			h.pay(h.well("r1", "o1", 100))
			h.payments = append(h.payments, Payment{Merchant: "S1", RefundNo: "r1", Minor: -100})
		}, []Kind{PaidTwice}},
		"paid without a word": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.queued = append(h.queued, r.Key)
			h.pay(r)
		}, []Kind{Unannounced}},
		"paid without any record": {func(h *history) { h.pay(ask("r1", "o1", 100)) }, []Kind{Unannounced}},
		"paid before its intent": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "SUCCEEDED 1")
			h.pay(r)
		}, []Kind{Unannounced}},
		"an open event of no call is no intent": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "PENDING 0 -unmatched", "PENDING 0", "SUCCEEDED 0")
			h.pay(r)
		}, []Kind{Unannounced}},
		"an intent after the final is too late": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "FAILED 0", "PENDING 1", "SUCCEEDED 1")
			h.pay(r)
		}, []Kind{AfterFinal, Unannounced}},
		"rejected, and paid": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "PENDING 1", "REJECTED 1")
			h.pay(r)
		}, []Kind{Denied}},
		"failed, and paid": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "PENDING 1", "FAILED 1")
			h.pay(r)
		}, []Kind{Denied}},
		"waiting, and paid": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "PENDING 1", "WAITING 1")
			h.pay(r)
		}, []Kind{Denied}},
		"succeeded without money": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "PENDING 1", "SUCCEEDED 1")
		}, []Kind{Unpaid}},
		"paid another amount": {func(h *history) {
			h.well("r1", "o1", 100)
			h.payments[0].Minor = 10
		}, []Kind{WrongAmount}},
		"taken back, not told yet": {func(h *history) {
			h.well("r1", "o1", 100)
			h.payments = append(h.payments, Payment{Merchant: "S1", RefundNo: "r1", Minor: -100})
		}, []Kind{TakenBack}},

		"over the total, by statuses and books": {func(h *history) {
			h.well("r1", "o1", 400)
			h.well("r2", "o1", 601)
		}, []Kind{OverTotal, OverTotal}},
		"over the total, by the books alone": {func(h *history) {
			h.well("r1", "o1", 400)
			r := ask("r2", "o1", 601)
			h.request(r)
			h.lives(r, "PENDING 1")
			h.pay(r)
		}, []Kind{OverTotal}},
		"over the total, by the statuses alone": {func(h *history) {
			h.options.Books = false
			h.well("r1", "o1", 400)
			h.well("r2", "o1", 601)
			h.payments = nil
		}, []Kind{OverTotal}},
		"over the total by staff": {func(h *history) {
			h.well("r1", "o1", 400)
			r := ask("r2", "o1", 601)
			r.OrderAmount = refund.Money{}
			h.lives(r, "SUCCEEDED 0 -unmatched")
			h.pay(r)
			h.payments[1].Foreign = true
		}, []Kind{ForeignOverTotal}},
		"over the total by staff, unknown here": {func(h *history) {
			h.well("r1", "o1", 400)
			r := ask("r2", "o1", 601)
			h.pay(r)
			h.payments[1].Foreign = true
		}, []Kind{ForeignOverTotal}},
		"two totals of one order": {func(h *history) {
			h.well("r1", "o1", 100)
			r := ask("r2", "o1", 100)
			r.OrderAmount.Minor = 2000
			h.request(r)
			h.lives(r, "PENDING 1", "SUCCEEDED 1")
			h.pay(r)
		}, []Kind{OrderUnpinned}},
		"two currencies of one order": {func(h *history) {
			h.well("r1", "o1", 100)
			r := ask("r2", "o1", 100)
			jpy := refund.Currency{Code: "JPY"}
			r.Amount.Currency, r.OrderAmount.Currency = jpy, jpy
			h.request(r)
			h.lives(r, "PENDING 1", "SUCCEEDED 1")
			h.pay(r)
		}, []Kind{OrderUnpinned}},

		"same id, other content": {func(h *history) {
			r := h.well("r1", "o1", 100)
			h.statuses = append(h.statuses, h.statuses[1])
			h.statuses[2].Body = []byte("else")
			_ = r
		}, []Kind{Rewritten}},
		"the amount changes on the way": {func(h *history) {
			h.well("r1", "o1", 100)
			h.statuses[1].Record.Request.Amount.Minor = 101
			h.payments[0].Minor = 101
			h.request(Request{Request: h.statuses[1].Record.Request, Order: "o1"})
			h.dead = append(h.dead, DeadLetter{Reason: refund.ReasonConflict, Request: ask("r1", "o1", 100).Request})
		}, []Kind{Rewritten}},
		"another final status": {func(h *history) {
			r := h.well("r1", "o1", 100)
			h.publish(r, 3, "SUCCEEDED 1")
		}, []Kind{AfterFinal}},
		"open again": {func(h *history) {
			r := h.well("r1", "o1", 100)
			h.publish(r, 3, "PENDING 1")
		}, []Kind{AfterFinal}},
		"a correction that is not final": {func(h *history) {
			r := h.well("r1", "o1", 100)
			h.publish(r, 3, "UNKNOWN 1 +correction")
		}, []Kind{Backwards}},
		"unmatched again": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "PENDING 1", "SUCCEEDED 1 -unmatched")
			h.pay(r)
		}, []Kind{Backwards}},
		"sequence 0": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.publish(r, 0, "PENDING 1")
		}, []Kind{Backwards}},
		"an adoption that changes the status": {func(h *history) {
			r := ask("r1", "o1", 100)
			h.request(r)
			h.lives(r, "FAILED 0 -unmatched", "SUCCEEDED 0")
			h.pay(r)
			h.payments[0].Foreign = true
		}, []Kind{AfterFinal}},
		"an older event behind the newest": {func(h *history) {
			r := h.well("r1", "o1", 100)
			h.publish(r, 1, "PENDING 1")
		}, []Kind{StaleLast}},
		"an older event behind the newest, mended": {func(h *history) {
			r := h.well("r1", "o1", 100)
			h.publish(r, 1, "PENDING 1")
			h.publish(r, 2, "SUCCEEDED 1")
		}, nil},
		"an older event on the partition that the key had before": {func(h *history) {
			r := h.well("r1", "o1", 100)
			h.publish(r, 1, "PENDING 1")
			h.statuses[2].Place.Partition = 7
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory()
			c.happens(h)
			r := h.audit()
			var got []Kind
			breaches := 0
			for _, f := range r.Findings {
				got = append(got, f.Kind)
				if f.Kind.Promise() > 0 {
					breaches++
				}
				if f.Words == "" || f.Kind != Lost && f.RefundNo == "" || !strings.Contains(r.String(), f.Words) {
					t.Errorf("a finding that does not say where: %+v", f)
				}
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v\n%s", got, c.want, r)
			}
			if r.OK() != (breaches == 0) {
				t.Errorf("OK is %v with %d breaches", r.OK(), breaches)
			}
			backwards := h.audit(5, 4, 3, 2, 1, 0)
			if backwards.String() != r.String() {
				t.Errorf("the order of feeding changes the verdict:\n%s\n%s", r, backwards)
			}
		})
	}
}

// What was compacted away, or fell out of retention, is no breach; nor are books that were not given.
func TestPartOfHistory(t *testing.T) {
	h := newHistory()
	h.options = Options{}
	r := ask("r1", "o1", 100)
	h.publish(r, 2, "SUCCEEDED 1") // the request and the intent are gone
	h.pay(r)
	h.publish(ask("r2", "o1", 100), 2, "SUCCEEDED 1")
	if r := h.audit(); len(r.Findings) != 0 {
		t.Errorf("%s", r)
	}
}

func TestSummary(t *testing.T) {
	h := newHistory()
	h.well("r1", "o1", 100)
	h.well("r2", "o1", 100)
	waiting := ask("r3", "o1", 100)
	h.request(waiting)
	h.lives(waiting, "WAITING 0")
	foreign := ask("r4", "o2", 100)
	h.lives(foreign, "SUCCEEDED 0 -unmatched")
	h.pay(foreign)
	h.payments[2].Foreign = true
	queued := ask("r5", "o1", 1)
	h.request(queued)
	h.queued = append(h.queued, queued.Key)
	at := Place{"refund.requests", 0, 9}
	h.unreadable = append(h.unreadable, at)
	h.dead = append(h.dead, DeadLetter{Reason: refund.ReasonUndecodable, Origin: at})
	const want = `audit: all promises kept, 5 refunds
  read          5 requests, 6 statuses, 1 dead letters, 3 payments
  final         SUCCEEDED 3
  open          WAITING 1
  waiting       1 not begun, 1 known from a callback alone
  dead letters  undecodable 1
  promise 1     nothing is lost: kept
  promise 2     money moves at most once: kept
  promise 3     no order beyond its total: kept
  promise 4     statuses only move forward: kept
  notes         0
`
	if got := h.audit().String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Without books nothing is said of the money.
func TestWithoutBooksMoneyIsNotJudged(t *testing.T) {
	h := newHistory()
	h.options.Books = false
	h.well("r1", "o1", 100)
	h.payments = nil
	if r := h.audit(); !r.OK() || !strings.Contains(r.String(), "promises 1, 3 and 4 kept") || !strings.Contains(r.String(), "money moves at most once: not judged") {
		t.Errorf("%s", r)
	}
	h.pay(ask("r1", "o1", 100))
	h.pay(ask("r1", "o1", 100))
	if r := h.audit(); !strings.Contains(r.String(), "BROKEN once, of them paid twice 1") {
		t.Errorf("%s", r)
	}
}

// Books that turn out to be a part prove nothing by what they lack.
func TestIncompleteBooks(t *testing.T) {
	h := newHistory()
	h.well("r1", "o1", 100)
	c := New(h.options)
	feeds[0](h, c)
	feeds[1](h, c)
	if c.Report().Count(Unpaid) != 1 {
		t.Error("complete books lack a payment")
	}
	c.Incomplete()
	if r := c.Report(); len(r.Findings) > 0 {
		t.Errorf("%s", r)
	}
}

// A long list of findings is cut where people stop reading, and says so.
func TestManyFindings(t *testing.T) {
	h := newHistory()
	for i := range 30 {
		h.request(ask(string(rune('a'+i)), "o1", 1))
	}
	r := h.audit()
	if r.Count(Lost) != 30 || !strings.Contains(r.String(), "and 10 more") || !strings.Contains(r.String(), "BROKEN") {
		t.Errorf("%s", r)
	}
	if !slices.IsSortedFunc(r.Findings, compare) {
		t.Error("not in order")
	}
}

// Stale names what is to be mended.
func TestStale(t *testing.T) {
	h := newHistory()
	r := h.well("r1", "o1", 100)
	h.publish(r, 1, "PENDING 1")
	if keys := h.audit().Stale(); len(keys) != 1 || keys[0] != r.Key {
		t.Errorf("%v", keys)
	}
}
