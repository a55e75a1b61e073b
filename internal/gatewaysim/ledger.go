package gatewaysim

import (
	"slices"
	"sync"
	"time"
)

// Entry is one movement of money. A refund number that is there twice was
// paid twice.
type Entry struct {
	Provider string `json:"provider"`
	Merchant string `json:"merchant"`
	// Order is out_trade_no or originalTransactionId.
	Order    string `json:"order"`
	RefundNo string `json:"refund_no"`
	// Amount in minor units; negative where the gateway took it back.
	Amount int64 `json:"amount"`
	// Currency is the merchant's; empty where not configured.
	Currency string    `json:"currency,omitempty"`
	Time     time.Time `json:"time"`
	// Call says which call of this refund number moved it, from 1.
	Call int `json:"call"`
	// RefundID is the gateway's own number of the movement.
	RefundID string `json:"refund_id"`
	// Calls and Queries of this refund number so far, when the ledger was read.
	Calls   int `json:"calls"`
	Queries int `json:"queries"`
}

// Refund is what a gateway knows of a refund number.
type Refund struct {
	Provider, Merchant, Order, RefundNo string
	// Amount and Total of the last call, in minor units; Total is 0 where
	// the gateway was not told it.
	Amount, Total int64
	Currency      string
	// Status as a truthful query tells it; empty where the gateway does
	// not know the refund (a call that was lost, or has not landed yet).
	Status string
	// Moved is the net sum in minor units, Movements the number of entries.
	Moved     int64
	Movements int
	// Calls and Queries that passed validation.
	Calls, Queries int
}

// Ledger answers all movements so far, in the order in which they happened
// within a merchant.
func (s *Sim) Ledger() []Entry {
	var all []Entry
	for _, key := range s.accountKeys() {
		a := s.accounts[key]
		a.mu.Lock()
		for _, e := range a.entries {
			r := a.refunds[e.RefundNo]
			e.Calls, e.Queries = r.calls, r.queries
			all = append(all, e)
		}
		a.mu.Unlock()
	}
	return all
}

// Refunds answers every refund number of which a valid call or query was
// seen, by provider, merchant and number.
func (s *Sim) Refunds() []Refund {
	var all []Refund
	for _, key := range s.accountKeys() {
		a := s.accounts[key]
		a.mu.Lock()
		first := len(all)
		for _, r := range a.refunds {
			all = append(all, a.view(r))
		}
		a.mu.Unlock()
		slices.SortFunc(all[first:], func(x, y Refund) int {
			if x.RefundNo < y.RefundNo {
				return -1
			}
			return 1
		})
	}
	return all
}

// Refund answers one of them; false where no valid call or query named it.
func (s *Sim) Refund(merchant, refundNo string) (Refund, bool) {
	a, err := s.find(merchant)
	if err != nil {
		return Refund{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.refunds[refundNo]
	if r == nil {
		return Refund{}, false
	}
	return a.view(r), true
}

func (s *Sim) accountKeys() []string {
	keys := make([]string, 0, len(s.accounts))
	for k := range s.accounts {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (a *account) view(r *refund) Refund {
	v := Refund{Provider: a.provider, Merchant: a.merchant, RefundNo: r.no, Amount: r.amount, Currency: a.currency,
		Calls: r.calls, Queries: r.queries, Moved: r.moved, Movements: r.movements}
	if r.sale != nil {
		v.Order, v.Total = r.sale.order, r.sale.total
	}
	if t := r.truth(); t != nil {
		v.Status = a.status(t)
	}
	return v
}

// Refusal is a call or query that failed validation: a client that follows
// the vendor's pages causes none.
type Refusal struct {
	Time     time.Time `json:"time"`
	Provider string    `json:"provider"`
	Merchant string    `json:"merchant"`
	// Code is the return_status or code answered.
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// maxRefusals bounds the memory that a client in a loop can take.
const maxRefusals = 1000

type refusals struct {
	mu    sync.Mutex
	list  []Refusal
	count int
}

func (r *refusals) add(x Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	if len(r.list) < maxRefusals {
		r.list = append(r.list, x)
	}
}

// Refusals answers the first thousand refused calls and how many there were.
func (s *Sim) Refusals() ([]Refusal, int) {
	s.refusals.mu.Lock()
	defer s.refusals.mu.Unlock()
	return slices.Clone(s.refusals.list), s.refusals.count
}
