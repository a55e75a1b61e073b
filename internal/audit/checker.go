package audit

import (
	"hash/maphash"
	"slices"
	"strings"

	"github.com/refundworker/refundworker/internal/refund"
)

// Options say how much of what was ever written the checker is given.
type Options struct {
	// Whole: requests and statuses are all there that were ever written: nothing was compacted away or fell out of
	// retention. Only then can it be said that an intent, or a request, was never there.
	Whole bool
	// Books: the payments of all gateways are given, complete. Only then is SUCCEEDED without a payment a lie.
	Books bool
}

// Place is where a record lies.
type Place struct {
	Topic     string
	Partition int
	Offset    int64
}

// Request is one record of the request topic.
type Request struct {
	refund.Request
	Order string // what its total belongs to, as refund.Gateway.Order has it; empty: not known
}

// Status is one record of the status topic.
type Status struct {
	Place  Place
	Record refund.Record // Request, Order and Last, as restored from the event
	Body   []byte        // the value as it lies there; not kept
}

// DeadLetter is one record of the dead-letter topic.
type DeadLetter struct {
	Origin  Place // where the record lay that it is of
	Reason  refund.Reason
	Request refund.Request // zero where its bytes tell none
}

// Payment is one movement of money in a gateway's books.
type Payment struct {
	Merchant string
	RefundNo string
	Order    string // as the gateway names it; used where no request or status tells
	Minor    int64  // minor units of the merchant's currency; negative: taken back
	Foreign  bool   // surely not made by this system, but for example by staff at the gateway's portal
}

// Checker gathers. It is not safe for concurrent use.
type Checker struct {
	options    Options
	refunds    map[refund.Key]*state
	unreadable map[Place]bool // true: has its dead letter
	deadPlaces map[Place]struct{}
	tally      Summary
	seed       maphash.Seed
	statuses   []refund.Status
	currencies []refund.Currency
	merchants  map[string]string // one copy of each name
}

// New makes a checker.
func New(o Options) *Checker {
	return &Checker{
		options: o, refunds: map[refund.Key]*state{}, unreadable: map[Place]bool{}, deadPlaces: map[Place]struct{}{},
		seed: maphash.MakeSeed(), merchants: map[string]string{},
		tally: Summary{Final: map[refund.Status]int{}, Open: map[refund.Status]int{}, DeadLetters: map[refund.Reason]int{}},
	}
}

// Request takes a record of the request topic that could be read.
func (c *Checker) Request(r Request) {
	c.tally.Requests++
	s := c.state(r.Key)
	content := c.hash(r.Content())
	if !slices.Contains(s.asked, content) {
		s.asked = append(s.asked, content)
	}
	if !s.known() {
		c.remember(s, r.Request, r.Order)
	}
}

// Unreadable takes a record of the request topic that is no valid request, and that the group has taken: it must have a
// dead letter. Feed none that still waits to be read.
func (c *Checker) Unreadable(at Place) {
	c.tally.Requests++
	_, dead := c.deadPlaces[at]
	c.unreadable[at] = dead
}

// Queued says that a message of this refund still waits: unread on the request topic, or on a delay topic.
func (c *Checker) Queued(key refund.Key) { c.state(key).queued = true }

// Status takes a record of the status topic.
func (c *Checker) Status(st Status) {
	c.tally.Statuses++
	rec, last := st.Record, st.Record.Last
	s := c.state(rec.Key())
	s.place(int32(st.Place.Partition), last.Sequence)
	if !s.add(event{sequence: last.Sequence, digest: maphash.Bytes(c.seed, st.Body), status: c.status(last.Status), flags: flagsOf(last)}) {
		s.rewritten = append(s.rewritten, last.Sequence)
	}
	if last.Matched {
		content := c.hash(rec.Request.Content())
		s.changed = s.changed || s.said != 0 && s.said != content
		s.said = content
	}
	if last.Sequence == s.high {
		c.remember(s, rec.Request, rec.Order)
	}
}

// DeadLetter takes a record of the dead-letter topic.
func (c *Checker) DeadLetter(d DeadLetter) {
	c.tally.DeadLetters[d.Reason]++
	if d.Request.RefundNo != "" {
		s := c.state(d.Request.Key)
		s.dead = append(s.dead, c.hash(d.Request.Content()))
	}
	if _, there := c.unreadable[d.Origin]; there {
		c.unreadable[d.Origin] = true
	} else {
		c.deadPlaces[d.Origin] = struct{}{}
	}
}

// Payment takes an entry of a gateway's books.
func (c *Checker) Payment(p Payment) {
	c.tally.Payments++
	s := c.state(refund.Key{Merchant: p.Merchant, RefundNo: p.RefundNo})
	s.standing += p.Minor
	if p.Minor > 0 {
		s.paid++
		s.lastPaid = p.Minor
		s.ourMoney = s.ourMoney || !p.Foreign
	}
	if s.order == "" {
		s.order = strings.Clone(p.Order)
	}
}

// state finds or begins a refund's. Nothing of it keeps a caller's buffer alive.
func (c *Checker) state(key refund.Key) *state {
	if s, ok := c.refunds[key]; ok {
		return s
	}
	merchant, ok := c.merchants[key.Merchant]
	if !ok {
		merchant = strings.Clone(key.Merchant)
		c.merchants[merchant] = merchant
	}
	s := &state{}
	c.refunds[refund.Key{Merchant: merchant, RefundNo: strings.Clone(key.RefundNo)}] = s
	return s
}

// remember keeps what a refund is about: a status's word counts before a request's.
func (c *Checker) remember(s *state, r refund.Request, order string) {
	s.amount, s.total = r.Amount.Minor, r.OrderAmount.Minor
	s.currency = intern(&c.currencies, r.Amount.Currency)
	if order != "" && order != s.order {
		s.order = strings.Clone(order)
	}
}

func (c *Checker) status(st refund.Status) uint16 { return intern(&c.statuses, st) }

// hash of a content; never 0, which stands for none.
func (c *Checker) hash(content string) uint64 { return maphash.String(c.seed, content) | 1 }

// intern answers the place of a word in a table of few.
func intern[T comparable](table *[]T, word T) uint16 {
	at := slices.Index(*table, word)
	if at < 0 {
		at = len(*table)
		*table = append(*table, word)
	}
	return uint16(at)
}
