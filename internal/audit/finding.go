package audit

import (
	"cmp"
	"fmt"

	"github.com/refundworker/refundworker/internal/refund"
)

// Kind of a finding: a closed set.
type Kind string

const (
	// Lost (promise 1): asked for, and no status, no dead letter, nothing that still waits.
	Lost Kind = "lost"
	// Unasked (promise 1): a status of a request that nobody made.
	Unasked Kind = "unasked"

	// PaidTwice (promise 2): more than one payment of one refund.
	PaidTwice Kind = "paid_twice"
	// Unannounced (promise 2): money moved, and no event said before that it may.
	Unannounced Kind = "unannounced"
	// Denied (promise 2): money moved, and the status says that none did.
	Denied Kind = "denied"
	// Unpaid (promise 2): SUCCEEDED, and no money moved.
	Unpaid Kind = "unpaid"
	// WrongAmount (promise 2): another amount was paid than asked for.
	WrongAmount Kind = "wrong_amount"

	// OverTotal (promise 3): an order's refunds exceed its total, by the statuses or by the books.
	OverTotal Kind = "over_total"
	// OrderUnpinned (promise 3): succeeded refunds of one order disagree about its total or currency.
	OrderUnpinned Kind = "order_unpinned"

	// Rewritten (promise 4): one id with two contents.
	Rewritten Kind = "rewritten"
	// AfterFinal (promise 4): something other than a repeat, a correction or an adoption after a final status.
	AfterFinal Kind = "after_final"
	// Backwards (promise 4): a status that a refund cannot have at that place.
	Backwards Kind = "backwards"

	// StaleLast is a note: the last record of a key is not its highest sequence. Readers take the highest; publishing
	// the stored event again mends it.
	StaleLast Kind = "stale_last"
	// ForeignOverTotal is a note: an order is over its total by refunds that were made outside of this system.
	ForeignOverTotal Kind = "foreign_over_total"
	// TakenBack is a note: the gateway took a payment back and the status does not say so yet.
	TakenBack Kind = "taken_back"
)

// kinds says which promise a kind breaks; 0: it is a note, for a person to look at.
var kinds = map[Kind]int{
	Lost: 1, Unasked: 1,
	PaidTwice: 2, Unannounced: 2, Denied: 2, Unpaid: 2, WrongAmount: 2,
	OverTotal: 3, OrderUnpinned: 3,
	Rewritten: 4, AfterFinal: 4, Backwards: 4,
	StaleLast: 0, ForeignOverTotal: 0, TakenBack: 0,
}

// Promise is the number of the promise that a finding of this kind breaks; 0: none, it is a note.
func (k Kind) Promise() int { return kinds[k] }

// Finding names one refund and what is wrong with it.
type Finding struct {
	refund.Key // of an order: its first refund by number; RefundNo is empty where the record is no request
	Kind       Kind
	Words      string
}

func (f Finding) String() string {
	promise := "note"
	if n := f.Kind.Promise(); n > 0 {
		promise = fmt.Sprintf("promise %d", n)
	}
	name := f.Key.String()
	if f.RefundNo == "" {
		name = "-"
	}
	return fmt.Sprintf("%-9s  %-18s  %s  %s", promise, f.Kind, name, f.Words)
}

// compare gives findings one order: by merchant, refund, kind, words.
func compare(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.Merchant, b.Merchant), cmp.Compare(a.RefundNo, b.RefundNo), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Words, b.Words))
}
