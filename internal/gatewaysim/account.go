package gatewaysim

import (
	"fmt"
	"hash/fnv"
	"sync"
	"time"
)

// account is one merchant at one gateway: its sales, refunds and ledger,
// under one lock that is held for map look-ups only, never over a sleep, a
// signature or a write.
type account struct {
	provider, merchant, currency string
	eftpay                       EftPayMerchant
	bluepay                      BluePayMerchant

	mu      sync.Mutex
	sales   map[string]*sale
	refunds map[string]*refund
	byID    map[string]*attempt // by the gateway's own refund number
	byTrade map[string]*sale    // by the gateway's own sale number
	entries []Entry
}

func newAccount(provider, merchant, currency string) *account {
	return &account{provider: provider, merchant: merchant, currency: currency, sales: map[string]*sale{},
		refunds: map[string]*refund{}, byID: map[string]*attempt{}, byTrade: map[string]*sale{}}
}

func (a *account) key() string { return a.provider + "/" + a.merchant }

// sale is an original payment.
type sale struct {
	order           string
	tradeNo         string // the gateway's number
	total           int64  // minor units; 0 where the gateway was not told
	moved           int64
	paytype, wallet string
	paidAt          time.Time
	status          string
	numbers         []*refund // refund numbers called under it, in that order
	attempts        []*attempt
}

// refund is a refund number and every attempt at it that landed.
type refund struct {
	no                        string
	sale                      *sale
	amount                    int64
	paytype, wallet, terminal string
	callbackURL, reason       string
	apply                     bool
	calls, queries, movements int
	moved                     int64
	attempts                  []*attempt
}

type state int

const (
	processing state = iota
	applied          // eftPay's APPLY_SUCCESS
	succeeded
	failed
	cancelled
)

// attempt is one call that landed.
type attempt struct {
	refund         *refund
	sale           *sale
	id             string
	call           int
	amount         int64
	state          state
	full           bool // its success brought the sale's sum to its total
	created, ended time.Time
}

func (t *attempt) final() bool { return t.state >= succeeded }

// truth is the attempt that a query tells of: the last that succeeded, else
// the last one; nil where none landed.
func (r *refund) truth() *attempt {
	for i := len(r.attempts) - 1; i >= 0; i-- {
		if r.attempts[i].state == succeeded {
			return r.attempts[i]
		}
	}
	if n := len(r.attempts); n > 0 {
		return r.attempts[n-1]
	}
	return nil
}

// saleOf answers the sale of an order, creating it where create is set.
// The caller holds the lock.
func (a *account) saleOf(order string, create bool) *sale {
	sl := a.sales[order]
	if sl == nil && create {
		sl = &sale{order: order, tradeNo: fmt.Sprintf("E%020d", digest(a.key(), order))}
		a.sales[order], a.byTrade[sl.tradeNo] = sl, sl
	}
	return sl
}

// refundOf answers the refund of a number, creating it. The caller holds the
// lock. A number that moves to another order goes with its last call.
func (a *account) refundOf(no string, sl *sale) *refund {
	r := a.refunds[no]
	if r == nil {
		r = &refund{no: no}
		a.refunds[no] = r
	}
	if sl != nil && r.sale != sl {
		r.sale = sl
		sl.numbers = append(sl.numbers, r)
	}
	return r
}

// digest makes the gateway's own numbers: the same run gives the same ones.
func digest(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// status is an attempt's state in the words of its gateway.
func (a *account) status(t *attempt) string {
	if a.provider == ProviderBluePay {
		return [...]string{"PENDING", "PENDING", "COMPLETE", "FAILED", "CANCEL"}[t.state]
	}
	if t.state == succeeded && t.full {
		return "TRADE_CLOSED"
	}
	return [...]string{"TRADE_PROCESSING", "APPLY_SUCCESS", "TRADE_REFUND", "TRADE_FAIL", "TRADE_FAIL"}[t.state]
}

// Sale is an original payment that is registered before its refunds.
type Sale struct {
	// Order is out_trade_no or originalTransactionId.
	Order string `json:"order"`
	// Total in minor units; 0 leaves it unknown.
	Total int64 `json:"total"`
	// Paytype and Wallet are eftPay's paytype and payment_type; refunds
	// must name the same. Empty: learned from the first refund.
	Paytype string `json:"paytype"`
	Wallet  string `json:"wallet"`
	// PaidAt lets BluePay refuse refunds after 60 days; zero: never.
	PaidAt time.Time `json:"paid_at"`
	// Status is what eftPay's query without refund_no answers;
	// TRADE_SUCCESS unless set.
	Status string `json:"status"`
}

// RegisterSale tells a gateway of an original payment. Registered again, it
// is changed; what was refunded stays.
func (s *Sim) RegisterSale(merchant string, x Sale) error {
	a, err := s.find(merchant)
	if err != nil {
		return err
	}
	if x.Order == "" || x.Total < 0 {
		return fmt.Errorf("gatewaysim: sale %q with total %d: an order and a total of 0 or more are needed", x.Order, x.Total)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	sl := a.saleOf(x.Order, true)
	sl.total, sl.paytype, sl.wallet, sl.paidAt, sl.status = x.Total, x.Paytype, x.Wallet, x.PaidAt, x.Status
	return nil
}
