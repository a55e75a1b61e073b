package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/refundworker/refundworker/internal/refund"
)

// orderName is what a total belongs to.
type orderName struct{ merchant, order string }

// sums of one order. Ours are the refunds that were requested here before any callback told of them.
type sums struct {
	total        int64 // lowest that a succeeded or paid refund tells; 0: none tells
	ours, all    int64 // SUCCEEDED
	paid, booked int64 // by the books: ours, all
	currency     uint16
	told         bool
	unpinned     bool
}

// orders is promise 3. First all orders are summed up, then the refunds of those that are broken are named.
func (c *Checker) orders(found *[]Finding) {
	all := map[orderName]*sums{}
	for key, s := range c.refunds {
		ch := check{Checker: c, state: s, key: key}
		if succeeded := ch.now() == refund.StatusSucceeded; s.order != "" && (succeeded || s.standing > 0) {
			name := orderName{key.Merchant, s.order}
			if all[name] == nil {
				all[name] = &sums{}
			}
			all[name].add(s, succeeded)
		}
	}
	broken := map[orderName][]refund.Key{}
	for name, o := range all {
		if o.unpinned || o.total > 0 && max(o.all, o.booked) > o.total {
			broken[name] = nil
		}
	}
	if len(broken) == 0 {
		return
	}
	for key, s := range c.refunds {
		name := orderName{key.Merchant, s.order}
		if members, is := broken[name]; is {
			broken[name] = append(members, key)
		}
	}
	for name, members := range broken {
		slices.SortFunc(members, func(a, b refund.Key) int { return strings.Compare(a.RefundNo, b.RefundNo) })
		c.judge(found, name, all[name], members)
	}
}

func (o *sums) add(s *state, succeeded bool) {
	if s.total > 0 {
		o.unpinned = o.unpinned || o.told && (o.total != s.total || o.currency != s.currency)
		if !o.told || s.total < o.total || s.total == o.total && s.currency < o.currency {
			o.total, o.currency = s.total, s.currency
		}
		o.told = true
	}
	ours := s.ours()
	if succeeded {
		o.all += s.amount
		if ours {
			o.ours += s.amount
		}
	}
	if s.standing > 0 {
		o.booked += s.standing
		if ours && s.ourMoney {
			o.paid += s.standing
		}
	}
}

// ours: it was known here by its request before any callback told of it.
func (s *state) ours() bool {
	events := s.sorted()
	return len(events) > 0 && events[0].is(matched) || len(events) == 0 && len(s.asked) > 0
}

func (c *Checker) judge(found *[]Finding, name orderName, o *sums, members []refund.Key) {
	money := func(minor int64) string {
		return refund.Money{Minor: minor, Currency: c.currencies[o.currency]}.String()
	}
	say := func(kind Kind, words string, args ...any) {
		words = fmt.Sprintf(words, args...) + " (refunds " + list(members) + ")"
		*found = append(*found, Finding{Key: members[0], Kind: kind, Words: "order " + name.order + ": " + words})
	}
	if o.unpinned {
		say(OrderUnpinned, "its succeeded refunds disagree about its total or currency; the lowest is %s", money(o.total))
	}
	switch {
	case o.ours > o.total:
		say(OverTotal, "SUCCEEDED sums up to %s of %s", money(o.ours), money(o.total))
	case o.all > o.total:
		say(ForeignOverTotal, "SUCCEEDED sums up to %s of %s, with refunds made outside of this system", money(o.all), money(o.total))
	}
	switch {
	case o.paid > o.total:
		say(OverTotal, "the books hold payments of %s of %s", money(o.paid), money(o.total))
	case o.booked > o.total && o.all <= o.total:
		say(ForeignOverTotal, "the books hold payments of %s of %s, with some made outside of this system", money(o.booked), money(o.total))
	}
}

// list names a few.
func list(keys []refund.Key) string {
	const most = 10
	var names []string
	for _, key := range keys[:min(most, len(keys))] {
		names = append(names, key.RefundNo)
	}
	if more := len(keys) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
