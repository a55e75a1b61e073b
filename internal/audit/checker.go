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
	// Parts, above 1, has what is given kept in so many files of Dir (empty: the system's folder for such) and looked at
	// one after another, so that memory holds one part of the refunds at a time. Close removes the files.
	Parts int
	Dir   string
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
	book       book           // all that was given, unless it is kept in files
	files      *spill         // one for each part of the refunds, or nil
	unreadable map[Place]bool // true: has its dead letter
	deadPlaces map[Place]struct{}
	tally      Summary
	seed       maphash.Seed
	statuses   []refund.Status
	currencies []refund.Currency
	merchants  names
}

// New makes a checker.
func New(o Options) *Checker {
	c := &Checker{
		options: o, book: book{}, unreadable: map[Place]bool{}, deadPlaces: map[Place]struct{}{},
		seed: maphash.MakeSeed(), merchants: names{at: map[string]uint32{}},
		tally: Summary{Final: map[refund.Status]int{}, Open: map[refund.Status]int{}, DeadLetters: map[refund.Reason]int{}},
	}
	if o.Parts > 1 {
		c.files = newSpill(o.Dir, o.Parts)
	}
	return c
}

// Incomplete takes Options.Books back: what was given of the books is a part, as it is of a system that is at work.
func (c *Checker) Incomplete() { c.options.Books = false }

// Err is the first trouble with the files, such as a full disk: what Report says then is worth nothing. Without
// Options.Parts it is nil.
func (c *Checker) Err() error { return c.files.failed() }

// Close removes the files. Without Options.Parts there is nothing to close.
func (c *Checker) Close() { c.files.close() }

// Request takes a record of the request topic that could be read.
func (c *Checker) Request(r Request) {
	c.tally.Requests++
	c.take(fact{
		kind: asked, key: r.Key, order: r.Order, content: c.hash(r.Content()),
		amount: r.Amount.Minor, total: r.OrderAmount.Minor, currency: intern(&c.currencies, r.Amount.Currency),
	})
}

// Unreadable takes a record of the request topic that is no valid request, and that the group has taken: it must have a
// dead letter. Feed none that still waits to be read.
func (c *Checker) Unreadable(at Place) {
	c.tally.Requests++
	_, dead := c.deadPlaces[at]
	c.unreadable[at] = dead
}

// Queued says that a message of this refund still waits: unread on the request topic, or on a delay topic.
func (c *Checker) Queued(key refund.Key) { c.take(fact{kind: waits, key: key}) }

// Status takes a record of the status topic.
func (c *Checker) Status(st Status) {
	c.tally.Statuses++
	rec, last := st.Record, st.Record.Last
	f := fact{
		kind: said, key: rec.Key(), order: rec.Order,
		amount: rec.Request.Amount.Minor, total: rec.Request.OrderAmount.Minor, currency: intern(&c.currencies, rec.Request.Amount.Currency),
		event:     event{sequence: last.Sequence, digest: maphash.Bytes(c.seed, st.Body), status: intern(&c.statuses, last.Status), flags: flagsOf(last)},
		partition: int32(st.Place.Partition),
	}
	if last.Matched {
		f.content = c.hash(rec.Request.Content())
	}
	c.take(f)
}

// DeadLetter takes a record of the dead-letter topic.
func (c *Checker) DeadLetter(d DeadLetter) {
	c.tally.DeadLetters[d.Reason]++
	if d.Request.RefundNo != "" {
		c.take(fact{kind: buried, key: d.Request.Key, content: c.hash(d.Request.Content())})
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
	kind := paid
	if p.Foreign {
		kind = paidForeign
	}
	c.take(fact{kind: kind, key: refund.Key{Merchant: p.Merchant, RefundNo: p.RefundNo}, order: p.Order, amount: p.Minor})
}

// take keeps a fact: in the book, or in its refund's file.
func (c *Checker) take(f fact) {
	merchant := c.merchants.number(f.key.Merchant)
	if c.files == nil {
		f.key.Merchant = c.merchants.list[merchant] // one copy of each name
		c.book.apply(f)
		return
	}
	c.files.put(c.part(f.key.Merchant, f.key.RefundNo), merchant, f)
}

// part is the file that a refund, or an order, belongs to.
func (c *Checker) part(merchant, name string) int {
	return int(maphash.Comparable(c.seed, refund.Key{Merchant: merchant, RefundNo: name}) % uint64(c.options.Parts))
}

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

// names are numbered in the order in which they come.
type names struct {
	list []string
	at   map[string]uint32
}

func (n *names) number(name string) uint32 {
	at, there := n.at[name]
	if !there {
		at = uint32(len(n.list))
		name = strings.Clone(name)
		n.list, n.at[name] = append(n.list, name), at
	}
	return at
}
