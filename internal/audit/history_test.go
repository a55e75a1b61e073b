package audit

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/refundworker/refundworker/internal/refund"
)

var hkd = refund.Currency{Code: "HKD", Exponent: 2}

// history is what lies on the topics and in the books, for tests to build and to spoil.
type history struct {
	options    Options
	requests   []Request
	statuses   []Status
	dead       []DeadLetter
	payments   []Payment
	queued     []refund.Key
	unreadable []Place
}

func newHistory() *history { return &history{options: Options{Whole: true, Books: true}} }

// kinds are the ways to feed a checker; any order of them must give the same verdict.
var feeds = []func(*history, *Checker){
	func(h *history, c *Checker) {
		for _, r := range h.requests {
			c.Request(r)
		}
	},
	func(h *history, c *Checker) {
		for _, s := range h.statuses {
			c.Status(s)
		}
	},
	func(h *history, c *Checker) {
		for _, d := range h.dead {
			c.DeadLetter(d)
		}
	},
	func(h *history, c *Checker) {
		for _, p := range h.payments {
			c.Payment(p)
		}
	},
	func(h *history, c *Checker) {
		for _, k := range h.queued {
			c.Queued(k)
		}
	},
	func(h *history, c *Checker) {
		for _, p := range h.unreadable {
			c.Unreadable(p)
		}
	},
}

// audit judges it, in memory and in files, which must be the same.
func (h *history) audit(order ...int) Report {
	if order == nil {
		order = []int{0, 1, 2, 3, 4, 5}
	}
	reports := []Report{}
	for _, parts := range []int{0, 3} {
		options := h.options
		options.Parts = parts
		c := New(options)
		for n, i := range order {
			feeds[i](h, c)
			if n == 2 {
				c.Report() // in between, which changes nothing
			}
		}
		reports = append(reports, c.Report())
		if err := c.Err(); err != nil {
			panic(err)
		}
		c.Close()
	}
	if !reflect.DeepEqual(reports[0], reports[1]) {
		panic(fmt.Sprintf("in memory\n%s\nin files\n%s", reports[0], reports[1]))
	}
	return reports[0]
}

// ask makes a request of an order's total of 10.00.
func ask(no, order string, minor int64) Request {
	return Request{Order: order, Request: refund.Request{
		Key: refund.Key{Merchant: "S1", RefundNo: no}, OrderNo: order, Flow: refund.FlowRefund,
		Amount: refund.Money{Minor: minor, Currency: hkd}, OrderAmount: refund.Money{Minor: 1000, Currency: hkd},
	}}
}

// request puts it on the topic.
func (h *history) request(r Request) { h.requests = append(h.requests, r) }

// publish puts an event on the status topic: words are STATUS with +correction, -unmatched, and the attempt as last.
func (h *history) publish(r Request, sequence int64, words string) {
	fields := strings.Fields(words)
	e := refund.Event{Sequence: sequence, Status: refund.Status(fields[0]), Matched: true, Source: refund.FromWorker}
	for _, w := range fields[1:] {
		switch w {
		case "+correction":
			e.Correction = true
		case "-unmatched":
			e.Matched = false
		default:
			_, _ = fmt.Sscan(w, &e.Attempt)
		}
	}
	h.event(r, e)
}

func (h *history) event(r Request, e refund.Event) {
	rec := refund.Record{Request: r.Request, Order: r.Order, Last: e}
	h.statuses = append(h.statuses, Status{
		Place: Place{Topic: "refund.status", Offset: int64(len(h.statuses))}, Record: rec, Body: []byte(fmt.Sprintf("%+v", rec)),
	})
}

func (h *history) pay(r Request) {
	h.payments = append(h.payments, Payment{Merchant: r.Merchant, RefundNo: r.RefundNo, Order: r.Order, Minor: r.Amount.Minor})
}

// lives publishes events in turn, sequences from 1.
func (h *history) lives(r Request, events ...string) {
	for i, words := range events {
		h.publish(r, int64(i+1), words)
	}
}

// well is a refund that went well.
func (h *history) well(no, order string, minor int64) Request {
	r := ask(no, order, minor)
	h.request(r)
	h.lives(r, "PENDING 1", "SUCCEEDED 1")
	h.pay(r)
	return r
}
