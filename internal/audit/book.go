package audit

import (
	"slices"
	"strings"

	"github.com/refundworker/refundworker/internal/refund"
)

// RefundBytes is what a refund takes in memory while it is looked at, measured with an order of two refunds and three
// events: its names, events, and its part of the order's sums.
const RefundBytes = 450

// book has what was told of each refund.
type book map[refund.Key]*state

// apply takes a fact. Nothing of it is kept but copies of its names; the merchant's
// is one that stays.
func (b book) apply(f fact) {
	s := b[f.key]
	if s == nil {
		s = &state{}
		b[refund.Key{Merchant: f.key.Merchant, RefundNo: strings.Clone(f.key.RefundNo)}] = s
	}
	switch f.kind {
	case asked:
		if !slices.Contains(s.asked, f.content) {
			s.asked = append(s.asked, f.content)
		}
		if !s.known() {
			s.remember(f)
		}
	case waits:
		s.queued = true
	case said:
		s.hear(f)
	case buried:
		s.dead = append(s.dead, f.content)
	case paid, paidForeign:
		s.pay(f)
	}
}

// hear takes a status event.
func (s *state) hear(f fact) {
	s.place(f.partition, f.event.sequence)
	if !s.add(f.event) {
		s.rewritten = append(s.rewritten, f.event.sequence)
	}
	if f.content != 0 {
		s.changed = s.changed || s.said != 0 && s.said != f.content
		s.said = f.content
	}
	if f.event.sequence == s.high {
		s.remember(f)
	}
}

// pay takes an entry of the books.
func (s *state) pay(f fact) {
	s.standing += f.amount
	if f.amount > 0 {
		s.paid++
		s.lastPaid = f.amount
		s.ourMoney = s.ourMoney || f.kind == paid
	}
	if s.order == "" {
		s.order = strings.Clone(f.order)
	}
}

// remember keeps what a refund is about: a status's word counts before a request's.
func (s *state) remember(f fact) {
	s.amount, s.total, s.currency = f.amount, f.total, f.currency
	if f.order != "" && f.order != s.order {
		s.order = strings.Clone(f.order)
	}
}
