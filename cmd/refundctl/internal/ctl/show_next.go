package ctl

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/refund"
)

// conclude puts the view in order and says what happens next, and why.
func (v *view) conclude(now time.Time, reviewAfter time.Duration) {
	slices.SortStableFunc(v.Requests, func(a, b asked) int { return a.Time.Compare(b.Time) })
	slices.SortStableFunc(v.Timeline, func(a, b event) int {
		return cmp.Or(a.Written.Compare(b.Written), cmp.Compare(a.status.Sequence, b.status.Sequence))
	})
	slices.SortStableFunc(v.DeadLetters, func(a, b *letter) int { return a.LastFailedAt.Compare(b.LastFailedAt) })
	slices.SortStableFunc(v.Operators, func(a, b entry) int { return a.At.Compare(b.At) })
	for _, l := range v.DeadLetters {
		l.State = stateOpen
		for _, e := range v.Operators {
			if e.Letter == l.ID && e.changesLetter() {
				l.State = map[string]string{whatRedrive: stateRedriven, whatDrop: stateDropped}[e.What]
			}
		}
	}
	slices.SortFunc(v.Waits, func(a, b waiting) int { return a.Due.Compare(b.Due) })
	if v.Record != nil {
		for i := range v.Waits {
			v.Waits[i].GoesOn = v.Record.goesOn(v.Waits[i])
		}
	}
	n := next{view: v, now: now, reviewAfter: reviewAfter}
	n.status, n.known = last(v.Timeline)
	if v.Record != nil && (!n.known || v.Record.Sequence > n.status.Sequence) {
		rec := v.Record.rec
		n.status, n.known = events.Status{Key: rec.Key(), Event: rec.Last, Final: rec.Last.Status.Final()}, true
	}
	n.say()
	v.Next, v.Stuck = n.words, n.stuck
}

// goesOn says whether a delayed message will do anything: the record holds the
// follow-up that was taken last, and where it lay.
func (r *record) goesOn(w waiting) bool {
	switch {
	case w.FollowUp == 0:
		return !r.rec.Last.Status.Final()
	case r.rec.Last.Status.Final() && !r.Doubt:
		return false
	case w.FollowUp == r.FollowUp:
		return r.Place == "" || r.Place == w.chain
	}
	return w.FollowUp > r.FollowUp
}

// next says what happens to a refund.
type next struct {
	*view
	now         time.Time
	reviewAfter time.Duration
	status      events.Status
	known       bool // there is a status
	words       []string
	stuck       bool
}

func (n *next) add(format string, args ...any) {
	n.words = append(n.words, fmt.Sprintf(format, args...))
}

func (n *next) say() {
	switch {
	case !n.known:
		n.unknown()
	case n.status.Final:
		n.final()
	default:
		n.open()
	}
	if n.Record != nil && n.Record.Published < n.Record.Sequence {
		n.add("Redis has an event that is not known to be published (sequence %d): whoever touches the refund next publishes it.", n.Record.Sequence)
	}
	if n.StoreAway != "" {
		n.add("Redis could not be asked (%s): this is what the topics say.", n.StoreAway)
	}
}

// unknown: nobody has begun with it.
func (n *next) unknown() {
	pending := false
	for _, request := range n.Requests {
		if !request.Taken {
			pending = true
			n.add("Its request waits to be read at %s; %d messages of that partition are before it.", request.Place, request.Behind)
		}
	}
	if w, ok := n.soonest(); ok {
		pending = true
		n.add("It waits at %s and is taken %s: %s.", w.Place, n.when(w.Due), causeWords(w.Cause))
	}
	if pending {
		return
	}
	if len(n.DeadLetters) > 0 {
		n.add("It is a dead letter: %s", letterWords(n.DeadLetters[len(n.DeadLetters)-1]))
		return
	}
	n.stuck = len(n.Requests) > 0
	if n.stuck {
		n.add("Its request was taken, yet there is neither a status nor a dead letter, and it waits nowhere. It may be at work this moment; ask again, and run refundctl audit if it stays so.")
	}
}

func letterWords(l *letter) string {
	switch refund.Reason(l.Reason) {
	case refund.ReasonUndecodable, refund.ReasonInvalid:
		return "its publisher must publish it anew, put right (" + l.Error + ")."
	case refund.ReasonUnknownMerchant:
		return "put the merchant into the configuration, then refundctl dlq redrive (" + l.Error + ")."
	case refund.ReasonConflict:
		return "its number was used with other content: a new refund needs a new number."
	case refund.ReasonOrderConflict:
		return "its order_amount or currency differs from what the order's other refunds say: one of them is wrong."
	}
	return "an error of the worker's own; look at its log, then refundctl dlq redrive (" + l.Error + ")."
}

func (n *next) final() {
	switch n.status.Status {
	case refund.StatusSucceeded:
		n.add("Nothing: the money moved.")
	case refund.StatusRejected:
		n.add("Nothing: it was refused here before any call (%s). A new try needs a new refund_no.", statusWords(n.status))
	default:
		n.add("Nothing: the gateway refused or failed it, no money moved. A new try needs a new refund_no.")
	}
	if n.Record != nil && n.Record.Doubt {
		if w, ok := n.soonest(); ok {
			n.add("But something contradicted that: the gateway is asked %s.", n.when(w.Due))
		} else {
			n.stuck = true
			n.add("But something contradicted that, and nothing waits to ask the gateway: submit the same request again, which leaves a follow-up and sends nothing twice.")
		}
	}
}

func (n *next) open() {
	n.add("%s", n.state())
	if n.Record != nil && n.Record.running() {
		n.add("Somebody's lease on it runs for another %s: a call or a query may be under way.", age(n.Record.LeaseEnd.Sub(n.now)))
	}
	w, ok := n.soonest()
	switch {
	case ok && n.status.Status == refund.StatusWaiting:
		n.add("It is tried again %s, or as soon as that is possible: %s.", n.when(w.Due), causeWords(w.Cause))
	case ok:
		n.add("The gateway is asked %s (follow-up %d), unless its callback comes first.", n.when(w.Due), max(w.FollowUp, 1))
	case n.Record != nil && n.Record.running():
	default:
		for _, request := range n.Requests {
			if !request.Taken {
				n.add("Its request waits to be read at %s, which goes on with it.", request.Place)
				return
			}
		}
		n.stuck = true
		n.add("Nothing waits for it. It may be at work this moment; if it stays so, submit the same request again: that leaves a follow-up and sends nothing twice.")
	}
}

// state says what an open status means for the money.
func (n *next) state() string {
	switch n.status.Status {
	case refund.StatusWaiting:
		switch n.status.Code {
		case refund.CodeOnHold:
			return "Not sent: an operator holds the merchant (" + n.status.Message + "); refundctl release lets it go."
		case refund.CodeMisconfigured:
			return "Not sent: the gateway refuses the merchant's settings (" + n.status.Message + "); refundctl gateway ping says whether it still does."
		}
		return "Not sent yet: " + statusWords(n.status) + "."
	case refund.StatusReview:
		return fmt.Sprintf("A person should look: open for longer than review_after (%s), or the gateway contradicts itself. "+
			"Find out at the gateway whether the money moved, then refundctl resolve.", n.reviewAfter)
	case refund.StatusUnknown:
		return "Sent, and the outcome is not known (" + statusWords(n.status) + "): it is asked about, and sent again only on the gateway's proof that it has no such refund."
	}
	if n.Record != nil && n.Record.Accepted {
		return "The gateway has it and has not ended it."
	}
	return "A call was announced: money may move."
}

// soonest is the first message that goes on with the refund.
func (n *next) soonest() (waiting, bool) {
	i := slices.IndexFunc(n.Waits, func(w waiting) bool { return w.GoesOn })
	if i < 0 {
		return waiting{}, false
	}
	return n.Waits[i], true
}

func (n *next) when(t time.Time) string {
	if d := t.Sub(n.now); d > 0 {
		return "in " + age(d)
	}
	return "now (due for " + age(n.now.Sub(t)) + ")"
}

func causeWords(cause string) string {
	words := map[string]string{
		"retry":     "surely not sent, to be sent",
		"parked":    "parked behind a breaker, a limit or a hold",
		"follow-up": "to be asked about",
	}[cause]
	if words == "" {
		words = cause
	}
	return words
}
