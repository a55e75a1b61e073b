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

// What a share says of its refund, beside the amounts.
const (
	succeeds flags = 1 << iota
	isOurs
	paidByUs
)

// share is what a refund adds to its order's sums; false where that is nothing.
func (c check) share() (fact, bool) {
	succeeded := c.now() == refund.StatusSucceeded
	if c.order == "" || !succeeded && c.standing <= 0 {
		return fact{}, false
	}
	f := fact{kind: shares, key: c.key, order: c.order, amount: c.amount, total: c.total, standing: c.standing, currency: c.currency}
	if succeeded {
		f.event.flags |= succeeds
	}
	if c.ours() {
		f.event.flags |= isOurs
	}
	if c.ourMoney {
		f.event.flags |= paidByUs
	}
	return f, true
}

// ours: it was known here by its request before any callback told of it.
func (s *state) ours() bool {
	events := s.sorted()
	return len(events) > 0 && events[0].is(matched) || len(events) == 0 && len(s.asked) > 0
}

// orders is promise 3 for the orders whose shares are shown, which is done twice: first all orders are summed up, then
// the refunds of those that are broken are named.
func (c *Checker) orders(found *[]Finding, show func(each func(fact))) {
	all := map[orderName]*sums{}
	show(func(f fact) {
		name := orderName{f.key.Merchant, f.order}
		if all[name] == nil {
			all[name] = &sums{}
		}
		all[name].add(f)
	})
	broken := map[orderName][]refund.Key{}
	for name, o := range all {
		if o.unpinned || o.total > 0 && max(o.all, o.booked) > o.total {
			broken[name] = nil
		}
	}
	if len(broken) == 0 {
		return
	}
	show(func(f fact) {
		name := orderName{f.key.Merchant, f.order}
		if members, is := broken[name]; is {
			broken[name] = append(members, f.key)
		}
	})
	for name, members := range broken {
		if len(members) == 0 {
			continue // the files failed
		}
		slices.SortFunc(members, func(a, b refund.Key) int { return strings.Compare(a.RefundNo, b.RefundNo) })
		c.judge(found, name, all[name], members)
	}
}

func (o *sums) add(f fact) {
	if f.total > 0 {
		o.unpinned = o.unpinned || o.told && (o.total != f.total || o.currency != f.currency)
		if !o.told || f.total < o.total || f.total == o.total && f.currency < o.currency {
			o.total, o.currency = f.total, f.currency
		}
		o.told = true
	}
	ours := f.event.is(isOurs)
	if f.event.is(succeeds) {
		o.all += f.amount
		if ours {
			o.ours += f.amount
		}
	}
	if f.standing > 0 {
		o.booked += f.standing
		if ours && f.event.is(paidByUs) {
			o.paid += f.standing
		}
	}
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
