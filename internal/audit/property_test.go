package audit

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/refund"
)

// life is one way in which a refund may go.
type life struct {
	asked  bool     // there is a request of it
	events []string // as history.publish takes them
	money  string   // paid, foreign, taken (paid and taken back), or nothing
}

var lives = []life{
	{true, []string{"PENDING 1", "SUCCEEDED 1"}, "paid"},
	{true, []string{"WAITING 0", "PENDING 1", "WAITING 1", "PENDING 2", "SUCCEEDED 2"}, "paid"},
	{true, []string{"PENDING 1", "UNKNOWN 1", "PENDING 1", "REVIEW 1", "SUCCEEDED 1"}, "paid"},
	{true, []string{"PENDING 1", "UNKNOWN 1", "FAILED 1", "SUCCEEDED 1 +correction"}, "paid"},
	{true, []string{"PENDING 1", "SUCCEEDED 1", "FAILED 1 +correction"}, "taken"},
	{true, []string{"PENDING 1", "FAILED 1"}, ""},
	{true, []string{"PENDING 1", "WAITING 1", "FAILED 1"}, ""},
	{true, []string{"REJECTED 0"}, ""},
	{true, []string{"PENDING 1", "REJECTED 1"}, ""},
	{true, []string{"WAITING 0"}, ""},
	{true, []string{"PENDING 1"}, "paid"},
	{true, []string{"PENDING 1", "REVIEW 1"}, ""},
	{false, []string{"SUCCEEDED 0 -unmatched"}, "foreign"},
	{false, []string{"PENDING 0 -unmatched", "SUCCEEDED 0 -unmatched"}, "foreign"},
	{true, []string{"PENDING 0 -unmatched", "PENDING 0", "SUCCEEDED 0"}, "foreign"},
	{true, []string{"SUCCEEDED 0 -unmatched", "SUCCEEDED 0"}, "foreign"},
	{true, nil, ""}, // queued, or a dead letter
}

// member is one refund of a drawn history.
type member struct {
	Request
	life
	sequences []int64
}

// draw makes a legal history: orders of 10.00 whose refunds never exceed it, repeats of requests and events, sequences
// that skip, and refunds mixed with each other on the topic.
// The first refund lives one of the given lives.
func draw(t *rapid.T, wanted []life) (*history, []member) {
	h := newHistory()
	var members []member
	room := map[string]int64{}
	for i := range rapid.IntRange(1, 12).Draw(t, "refunds") {
		order := fmt.Sprint("o", rapid.IntRange(1, 3).Draw(t, "order"))
		if _, begun := room[order]; !begun {
			room[order] = 1000
		}
		if i > 0 {
			wanted = lives
		}
		m := member{life: rapid.SampledFrom(wanted).Draw(t, "life")}
		minor := rapid.Int64Range(1, max(1, room[order])).Draw(t, "minor")
		if m.money != "" || slices.Contains(m.events, "SUCCEEDED 1") {
			if minor > room[order] {
				continue
			}
			room[order] -= minor
		}
		m.Request = ask(fmt.Sprint("r", i), order, minor)
		members = append(members, m)
	}
	var pending []int // which refund publishes next
	for i := range members {
		m := &members[i]
		m.tell(t, h)
		var sequence int64
		for range m.events {
			sequence += rapid.Int64Range(1, 3).Draw(t, "skip")
			m.sequences = append(m.sequences, sequence)
			pending = append(pending, i)
		}
	}
	next := make([]int, len(members))
	for _, i := range rapid.Permutation(pending).Draw(t, "topic") {
		m := members[i]
		for range rapid.IntRange(1, 2).Draw(t, "times") {
			h.publish(m.Request, m.sequences[next[i]], m.events[next[i]])
		}
		next[i]++
	}
	return h, members
}

// tell puts a refund's request, dead letter and payment where they belong.
func (m *member) tell(t *rapid.T, h *history) {
	if m.asked {
		for range rapid.IntRange(1, 3).Draw(t, "requests") {
			h.request(m.Request)
		}
		if rapid.Bool().Draw(t, "conflict") {
			other := m.Request
			other.Amount.Minor++
			h.request(other)
			h.dead = append(h.dead, DeadLetter{Reason: refund.ReasonConflict, Request: other.Request})
		}
		if m.events == nil {
			if rapid.Bool().Draw(t, "queued") {
				h.queued = append(h.queued, m.Key)
			} else {
				h.dead = append(h.dead, DeadLetter{Reason: refund.ReasonUnknownMerchant, Request: m.Request.Request})
			}
		}
	}
	if m.money != "" {
		h.pay(m.Request)
		h.payments[len(h.payments)-1].Foreign = m.money == "foreign"
	}
	if m.money == "taken" {
		h.payments = append(h.payments, Payment{Merchant: m.Merchant, RefundNo: m.RefundNo, Order: m.Order, Minor: -m.Amount.Minor})
	}
}

func feeding(t *rapid.T) []int { return rapid.Permutation([]int{0, 1, 2, 3, 4, 5}).Draw(t, "feeding") }

func TestLegalHistoriesPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, _ := draw(t, lives)
		if r := h.audit(feeding(t)...); len(r.Findings) > 0 {
			t.Fatalf("%s", r)
		}
	})
}

// spoiling changes one refund of a legal history so that a promise is broken.
type spoiling struct {
	fits  func(member) bool
	spoil func(h *history, m member)
	kind  Kind
}

func last(m member) string   { return m.events[len(m.events)-1] }
func first(m member) int64   { return m.sequences[0] }
func highest(m member) int64 { return m.sequences[len(m.sequences)-1] }
func ended(m member) bool {
	return m.events != nil && slices.Contains([]string{"SUCCEEDED 1", "SUCCEEDED 2", "FAILED 1", "REJECTED 0", "REJECTED 1"}, last(m))
}
func ourMoney(m member) bool  { return m.money == "paid" }
func succeeded(m member) bool { return ended(m) && m.money == "paid" }

func (h *history) dropStatuses(which func(Status) bool) {
	h.statuses = slices.DeleteFunc(h.statuses, which)
}

var spoilings = map[string]spoiling{
	"all statuses of a request vanish": {func(m member) bool { return m.asked && m.events != nil }, func(h *history, m member) {
		h.dropStatuses(func(s Status) bool { return s.Record.Key() == m.Key })
	}, Lost},
	"a dead letter or queued message vanishes": {func(m member) bool { return m.asked && m.events == nil }, func(h *history, m member) {
		h.queued = slices.DeleteFunc(h.queued, func(k refund.Key) bool { return k == m.Key })
		h.dead = slices.DeleteFunc(h.dead, func(d DeadLetter) bool { return d.Request.Key == m.Key })
	}, Lost},
	"another content comes, without a dead letter": {func(m member) bool { return m.asked && m.events != nil }, func(h *history, m member) {
		other := m.Request
		other.Amount.Minor += 7
		h.request(other)
	}, Lost},
	"nobody asked": {func(m member) bool { return m.asked && m.events != nil }, func(h *history, m member) {
		h.requests = slices.DeleteFunc(h.requests, func(r Request) bool { return r.Key == m.Key })
	}, Unasked},
	"a second payment": {ourMoney, func(h *history, m member) { h.pay(m.Request) }, PaidTwice},
	"the intents vanish": {succeeded, func(h *history, m member) {
		h.dropStatuses(func(s Status) bool { return s.Record.Key() == m.Key && s.Record.Last.Status.Open() })
	}, Unannounced},
	"money without any word": {func(m member) bool { return !m.asked }, func(h *history, _ member) { h.pay(ask("stranger", "o9", 1)) }, Unannounced},
	"a refusal is paid": {func(m member) bool {
		return m.money == "" && m.events != nil && last(m) != "PENDING 1" && last(m) != "REVIEW 1"
	}, func(h *history, m member) {
		h.pay(m.Request)
	}, Denied},
	"a payment vanishes": {succeeded, func(h *history, m member) {
		h.payments = slices.DeleteFunc(h.payments, func(p Payment) bool { return p.RefundNo == m.RefundNo })
	}, Unpaid},
	"a payment of another amount": {ourMoney, func(h *history, m member) {
		for i := range h.payments {
			if h.payments[i].RefundNo == m.RefundNo {
				h.payments[i].Minor++
			}
		}
	}, WrongAmount},
	"the order gets one more": {succeeded, func(h *history, m member) { h.well("more", m.Order, 1000) }, OverTotal},
	"one more order total": {succeeded, func(h *history, m member) {
		r := ask("other", m.Order, 1)
		r.OrderAmount.Minor = 1001
		h.request(r)
		h.lives(r, "PENDING 1", "SUCCEEDED 1")
		h.pay(r)
	}, OrderUnpinned},
	"a repeat with other content": {func(m member) bool { return m.events != nil }, func(h *history, m member) {
		h.event(m.Request, refund.Event{Sequence: first(m), Status: refund.StatusPending, Matched: true, Message: "else"})
	}, Rewritten},
	"something after the end": {ended, func(h *history, m member) { h.publish(m.Request, highest(m)+1, "PENDING 3") }, AfterFinal},
	"another end":             {ended, func(h *history, m member) { h.publish(m.Request, highest(m)+1, "FAILED 1") }, AfterFinal},
	"a correction to nothing": {ended, func(h *history, m member) { h.publish(m.Request, highest(m)+1, "REVIEW 1 +correction") }, Backwards},
	"unmatched once more": {func(m member) bool { return m.asked && m.events != nil }, func(h *history, m member) {
		h.publish(m.Request, highest(m)+1, "SUCCEEDED 1 -unmatched")
	}, Backwards},
	"an old event comes last": {func(m member) bool { return len(m.events) > 1 }, func(h *history, m member) {
		h.publish(m.Request, first(m), m.events[0])
	}, StaleLast},
}

// Every spoiling of every legal history is found, at the refund that it spoiled or at its order.
func TestEveryBreachIsCaught(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(spoilings)) {
		s := spoilings[name]
		t.Run(name, func(t *testing.T) {
			wanted := slices.DeleteFunc(slices.Clone(lives), func(l life) bool { return !s.fits(member{life: l}) })
			rapid.Check(t, func(t *rapid.T) {
				h, members := draw(t, wanted)
				victims := slices.DeleteFunc(members, func(m member) bool { return !s.fits(m) })
				s.spoil(h, rapid.SampledFrom(victims).Draw(t, "victim"))
				r := h.audit(feeding(t)...)
				if r.Count(s.kind) == 0 {
					t.Fatalf("not found: %s\n%s", s.kind, r)
				}
				if r.OK() != (s.kind.Promise() == 0) {
					t.Fatalf("OK is %v\n%s", r.OK(), r)
				}
			})
		})
	}
}

// RefundBytes is the memory that is taken.
func TestMemory(t *testing.T) {
	const refunds = 50_000
	h := newHistory()
	c := New(h.options)
	before := heap()
	for i := range refunds {
		r := ask(fmt.Sprintf("2019010100%08d", i), fmt.Sprintf("rrn_16862800%08d", i/2), 10)
		c.Request(r)
		for sequence, status := range []refund.Status{refund.StatusPending, refund.StatusUnknown, refund.StatusSucceeded} {
			rec := refund.Record{Request: r.Request, Order: r.Order, Last: refund.Event{Sequence: int64(sequence + 1), Status: status, Matched: true, Attempt: 1}}
			c.Status(Status{Record: rec, Body: []byte(status)})
		}
		c.Payment(Payment{Merchant: "S1", RefundNo: r.RefundNo, Order: r.Order, Minor: 10})
	}
	per := (heap() - before) / refunds
	t.Logf("%d bytes a refund", per)
	if per > RefundBytes*11/10 {
		t.Errorf("%d bytes a refund: RefundBytes is %d", per, RefundBytes)
	}
	if r := c.Report(); !r.OK() {
		t.Errorf("%s", r)
	}
}

// heap is what is in use after two collections.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
