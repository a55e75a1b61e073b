package memstore

import (
	"context"
	"errors"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// Claim implements refund.Claims: lua/claim.lua.
func (s *Store) Claim(_ context.Context, c refund.Claim) (refund.Claimed, error) {
	if c.Token == "" || c.Lease < time.Millisecond || c.FollowUp == 0 && (c.Order == "" || c.Request.Amount.Minor <= 0) {
		return refund.Claimed{}, errors.New("memstore: claim without token, order, lease or amount")
	}
	t, err := s.begin(c.Request.Merchant)
	defer s.end()
	if err != nil {
		return refund.Claimed{}, err
	}
	if err := t.serving(); err != nil {
		return refund.Claimed{}, err
	}
	claimed := t.claim(c)
	claimed.Record = t.answer(c.Request.Key)
	return claimed, nil
}

func (t *step) claim(c refund.Claim) refund.Claimed {
	e, known := t.load(c.Request.RefundNo)
	if !known {
		if c.FollowUp > 0 {
			return refund.Claimed{Answer: refund.Missing}
		}
		return t.call(c, nil)
	}
	rec := e.rec
	status := rec.Last.Status
	// A dispute is not on the status topic: after a rebuild, who still follows up on
	// a final refund may have its reason.
	doubt := rec.Doubt || status.Final() && c.FollowUp > 0 && rec.Last.Epoch < t.epoch
	if rec.Token == c.Token {
		switch {
		case e.query && (status.Open() || doubt):
			return refund.Claimed{Answer: refund.InDoubt}
		case !e.query && status.Open():
			return refund.Claimed{Answer: refund.Yours}
		}
	}
	if c.FollowUp == 0 {
		if !e.same(c) {
			return refund.Claimed{Answer: refund.Conflict}
		}
		if !rec.Last.Matched {
			return refund.Claimed{Answer: refund.Unmatched}
		}
	}
	if status.Final() && !doubt {
		return refund.Claimed{Answer: refund.Finished}
	}
	if c.FollowUp > 0 {
		elsewhere := rec.Place != "" && rec.Place != c.Place
		if c.FollowUp < rec.FollowUp || c.FollowUp == rec.FollowUp && elsewhere {
			return refund.Claimed{Answer: refund.ChainEnded}
		}
	}
	if rec.LeaseEnd.UnixMilli() > t.ms() {
		if e.take(c) {
			t.touch(e)
		}
		return refund.Claimed{Answer: refund.Running}
	}
	if status.Open() && !doubt && c.FollowUp == 0 && rec.Accepted {
		return refund.Claimed{Answer: refund.Running}
	}
	if status.Open() || doubt {
		return t.query(c, e)
	}
	if !e.same(c) {
		return refund.Claimed{Answer: refund.Conflict}
	}
	return t.call(c, &e)
}

// same says whether the message speaks of the recorded refund.
func (e entry) same(c refund.Claim) bool {
	if e.rec.Last.Matched {
		return e.content == c.Request.Content()
	}
	return e.rec.Request.Amount == c.Request.Amount && (e.rec.Order == "" || e.rec.Order == c.Order)
}

// take makes this follow-up the one that goes on.
func (e *entry) take(c refund.Claim) bool {
	if c.FollowUp == 0 || c.FollowUp == e.rec.FollowUp && c.Place == e.rec.Place {
		return false
	}
	e.rec.FollowUp, e.rec.Place = c.FollowUp, c.Place
	return true
}

// touch stores a record without renewing how long it is kept.
func (t *step) touch(e entry) {
	e.rec = stored(e.rec)
	put(t, t.m.records, e.rec.Request.RefundNo, e)
}

// query gives the lease for a query.
func (t *step) query(c refund.Claim, e entry) refund.Claimed {
	if c.Limits.Rate > 0 {
		r := t.rate(c.Limits.Rate)
		if wait := t.waitForQuery(&r); wait > 0 {
			return later(wait)
		}
		t.countCall(r)
	}
	e.take(c)
	e.query = true
	if !e.rec.CallEnd.IsZero() && stamp(e.rec.CallEnd) < t.began { // it ended by another server's clock
		e.rec.CallEnd = at(t.began)
	}
	e.rec.Token, e.rec.LeaseEnd = c.Token, at(t.ms()+c.Lease.Milliseconds())
	e.rec.Version++
	t.touch(e)
	return refund.Claimed{Answer: refund.InDoubt}
}

// call gives the right to call, for a refund that was not called yet (nil) or
// surely not sent.
func (t *step) call(c refund.Claim, e *entry) refund.Claimed {
	no, req := c.Request.RefundNo, c.Request
	var r rate
	if c.Limits.Rate > 0 {
		r = t.rate(c.Limits.Rate)
		if wait := t.waitForCall(r, no); wait > 0 {
			return later(wait)
		}
	}
	o := t.order(c.Order)
	if free := o.last + c.Limits.OrderInterval.Milliseconds(); o.last > 0 && c.Limits.OrderInterval > 0 && free > t.ms() {
		return later((free - t.ms()) * 1000)
	}
	if e != nil {
		o.hold(e.rec, -1)
	}
	if refused := o.refuses(c); refused != 0 {
		remove(t, t.m.queue, no)
		return refund.Claimed{Answer: refused}
	}
	if c.Limits.Rate > 0 {
		remove(t, t.m.queue, no)
		t.countCall(r)
	}
	o.pin(req.OrderAmount.Minor, req.Amount.Currency)
	o.reserved += req.Amount.Minor
	o.count++
	if c.Limits.OrderInterval >= time.Millisecond {
		o.last = t.ms()
	}
	t.storeOrder(c.Order, o)

	if e == nil {
		e = &entry{content: req.Content()}
		e.rec = refund.Record{Request: req, Provider: c.Provider, Order: c.Order, FirstSeen: c.FirstSeen}
	} else {
		if e.rec.Order != c.Order {
			e.rec.Request, e.rec.Provider = req, c.Provider
		}
		e.rec.Request.Amount = c.Request.Amount // what is reserved is what is claimed
		e.rec.Order = c.Order
		e.take(c)
	}
	t.attempt(e, c.Token, c.Lease)
	t.pending(e)
	t.touch(*e)
	return refund.Claimed{Answer: refund.Yours}
}

// refuses answers 0 where the order has room.
func (o order) refuses(c refund.Claim) refund.ClaimAnswer {
	amount, total := c.Request.Amount, c.Request.OrderAmount.Minor
	switch {
	case o.count > 0 && (o.currency != amount.Currency || o.total > 0 && o.total != total):
		return refund.OrderConflict
	case o.reserved+o.succeeded+amount.Minor > total:
		return refund.OverTotal
	case c.Limits.MaxRefundsPerOrder > 0 && o.count >= c.Limits.MaxRefundsPerOrder:
		return refund.TooMany
	}
	return 0
}

// attempt begins another call under a lease.
func (t *step) attempt(e *entry, token string, lease time.Duration) {
	e.query = false
	r := &e.rec
	r.Version++
	r.Attempt++
	r.Holding = refund.HoldsReserved
	r.Accepted, r.Doubt = false, false
	r.Token, r.LeaseEnd = token, at(t.ms()+lease.Milliseconds())
	r.CallEnd = r.LeaseEnd
}

// pending makes the event that says so.
func (t *step) pending(e *entry) {
	r := &e.rec
	r.Missed = false
	before := *r
	before.Epoch = t.epoch
	r.Last = refund.Event{
		Sequence: before.NextSequence(), Epoch: t.epoch,
		Status: refund.StatusPending, Source: refund.FromWorker, Matched: true,
		Attempt: r.Attempt, OccurredAt: at(t.ms()), RecordedAt: at(t.ms()),
	}
}

func later(micros int64) refund.Claimed {
	return refund.Claimed{Answer: refund.NotNow, Wait: time.Duration(micros) * time.Microsecond}
}

// Resend implements refund.Claims: lua/resend.lua.
func (s *Store) Resend(_ context.Context, rec refund.Record, token string, lease time.Duration) (refund.Claimed, error) {
	if token == "" {
		return refund.Claimed{}, errors.New("memstore: resend without a token")
	}
	t, err := s.begin(rec.Request.Merchant)
	defer s.end()
	if err != nil {
		return refund.Claimed{}, err
	}
	if err := t.serving(); err != nil {
		return refund.Claimed{}, err
	}
	claimed := t.resend(rec, token, lease)
	claimed.Record = t.answer(rec.Key())
	return claimed, nil
}

func (t *step) resend(rec refund.Record, token string, lease time.Duration) refund.Claimed {
	e, known := t.load(rec.Request.RefundNo)
	now := e.rec
	if !known || now.Token != token || rec.Epoch != t.epoch || !now.Last.Matched {
		return refund.Claimed{Answer: refund.NotYours}
	}
	open := now.Last.Status.Open()
	if now.Version == rec.Version+1 && open && !e.query {
		return refund.Claimed{Answer: refund.Yours}
	}
	if now.Version != rec.Version || !e.query || now.LeaseEnd.UnixMilli() <= t.ms() || !open {
		return refund.Claimed{Answer: refund.NotYours}
	}
	o, total := t.order(rec.Order), rec.Request.OrderAmount.Minor
	o.hold(now, -1)
	if o.count > 0 && o.total > 0 {
		total = min(total, o.total)
	}
	if o.reserved+o.succeeded+now.Request.Amount.Minor > total {
		return refund.Claimed{Answer: refund.OverTotal}
	}
	o.pin(total, now.Request.Amount.Currency)
	t.attempt(&e, token, lease)
	o.hold(e.rec, 1)
	if o.last > 0 {
		o.last = t.ms()
	}
	t.storeOrder(rec.Order, o)
	if t.m.rate.interval > 0 {
		t.countCall(t.m.rate)
	}
	t.touch(e)
	return refund.Claimed{Answer: refund.Yours}
}
