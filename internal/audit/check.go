package audit

import (
	"fmt"
	"slices"

	"github.com/refundworker/refundworker/internal/refund"
)

// check is one refund's examination.
type check struct {
	*Checker
	*state
	key   refund.Key
	found *[]Finding
}

func (c check) breach(kind Kind, words string, args ...any) {
	*c.found = append(*c.found, Finding{Key: c.key, Kind: kind, Words: fmt.Sprintf(words, args...)})
}

// now is the status of the highest sequence; none where there is no event.
func (c check) now() refund.Status {
	if len(c.events) == 0 {
		return refund.StatusNone
	}
	return c.statuses[c.sorted()[len(c.events)-1].status]
}

func (c check) money(minor int64) string {
	return refund.Money{Minor: minor, Currency: c.currencies[c.currency]}.String()
}

// kept is promise 1: each content that was asked for has its status, its dead letter, or its place in a queue.
func (c check) kept() {
	for _, content := range c.asked {
		switch {
		case content == c.said, slices.Contains(c.dead, content), c.queued:
		case len(c.events) == 0:
			c.breach(Lost, "requested, but it has no status, no dead letter, and waits nowhere")
		case c.said == 0:
			c.breach(Lost, "requested, but its only statuses come from a callback: the request was not taken up")
		default:
			c.breach(Lost, "requested with other content than its statuses have, and that request is no dead letter")
		}
	}
	if c.said != 0 && !slices.Contains(c.asked, c.said) {
		switch {
		case len(c.asked) > 0:
			c.breach(Unasked, "its statuses have another content than any request of it")
		case c.options.Whole:
			c.breach(Unasked, "it has statuses, but nobody requested it")
		}
	}
}

// forward is promise 4.
func (c check) forward() {
	for _, sequence := range c.rewritten {
		c.breach(Rewritten, "event %s/%d was published with different contents", c.key, sequence)
	}
	if c.changed {
		c.breach(Rewritten, "its statuses tell several amounts, orders or methods")
	}
	events := c.sorted()
	for i, e := range events {
		if e.sequence < 1 {
			c.breach(Backwards, "sequence %d: sequences begin at 1", e.sequence)
		}
		if e.is(correction) && !e.is(final) {
			c.breach(Backwards, "sequence %d corrects to %s: a correction is a final status", e.sequence, c.statuses[e.status])
		}
		if i == 0 {
			continue
		}
		before := events[i-1]
		if before.is(matched) && !e.is(matched) {
			c.breach(Backwards, "sequence %d is unmatched although sequence %d had its request", e.sequence, before.sequence)
		}
		adoption := !before.is(matched) && e.is(matched) && before.status == e.status
		if before.is(final) && !e.is(correction) && !adoption {
			c.breach(AfterFinal, "%s (sequence %d) after %s (sequence %d), neither a correction nor an adoption",
				c.statuses[e.status], e.sequence, c.statuses[before.status], before.sequence)
		}
	}
	if c.stale() {
		c.breach(StaleLast, "its last record has sequence %d, its highest is %d (%s)", c.tail, c.high, c.now())
	}
}

// once is promise 2, by the books.
func (c check) once() {
	if c.paid > 1 {
		c.breach(PaidTwice, "%d payments of one refund, standing at %s", c.paid, c.sum())
	}
	now := c.now()
	switch {
	case c.paid == 0:
		if c.options.Books && now == refund.StatusSucceeded {
			c.breach(Unpaid, "SUCCEEDED, but no payment is in the books")
		}
		return
	case c.standing <= 0:
		if now == refund.StatusSucceeded {
			c.breach(TakenBack, "SUCCEEDED, but the gateway took its payment back")
		}
	case !c.ourMoney: // staff may pay at the gateway what was refused here
	case now == refund.StatusFailed, now == refund.StatusRejected, now == refund.StatusWaiting:
		c.breach(Denied, "%s says that no money moved, but the books hold a payment of %s", now, c.sum())
	}
	if !c.ourMoney {
		return
	}
	c.announced()
	if c.known() && c.lastPaid != c.amount {
		c.breach(WrongAmount, "%s was asked for, the books hold a payment of %s", c.money(c.amount), c.money(c.lastPaid))
	}
}

// announced: an event said that money may move before any event said that it had.
func (c check) announced() {
	if len(c.events) == 0 {
		c.breach(Unannounced, "the books hold a payment of %s, but no event was ever published", c.sum())
		return
	}
	if !c.options.Whole {
		return // the intent may have been compacted away
	}
	for _, e := range c.sorted() {
		if e.is(intent) {
			return
		}
		if e.is(final) {
			break
		}
	}
	c.breach(Unannounced, "the books hold a payment of %s, but no event said before that money may move", c.sum())
}

// sum is the money that stands by the books, with a currency where one is known.
func (c check) sum() string {
	if !c.known() {
		return fmt.Sprintf("%d minor units", c.standing)
	}
	return c.money(c.standing)
}
