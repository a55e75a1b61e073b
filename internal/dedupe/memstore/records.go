package memstore

import (
	"context"
	"errors"

	"github.com/refundworker/refundworker/internal/refund"
)

// Load implements refund.Records: lua/load.lua.
func (s *Store) Load(_ context.Context, key refund.Key) (refund.Record, error) {
	t, err := s.begin(key.Merchant)
	defer s.end()
	if err != nil {
		return refund.Record{}, err
	}
	if err := t.serving(); err != nil {
		return refund.Record{}, err
	}
	return t.answer(key), nil
}

// Published implements refund.Records: lua/published.lua.
func (s *Store) Published(_ context.Context, key refund.Key, sequence int64) (refund.Record, error) {
	t, err := s.begin(key.Merchant)
	defer s.end()
	if err != nil {
		return refund.Record{}, err
	}
	if err := t.serving(); err != nil {
		return refund.Record{}, err
	}
	if e, ok := t.load(key.RefundNo); ok && sequence > e.rec.Published {
		e.rec.Published = sequence
		t.touch(e)
	}
	return t.answer(key), nil
}

// Record implements refund.Records: lua/record.lua.
func (s *Store) Record(_ context.Context, next refund.Record, endLease string) (refund.Record, bool, error) {
	if next.Last.Sequence <= 0 || next.Request.Amount.Minor <= 0 || next.Last.Status == refund.StatusNone || next.Last.Source == "" || next.Holding == "" {
		return refund.Record{}, false, errors.New("memstore: record without sequence, amount, status, source or holding")
	}
	t, err := s.begin(next.Request.Merchant)
	defer s.end()
	if err != nil {
		return refund.Record{}, false, err
	}
	if err := t.serving(); err != nil {
		return refund.Record{}, false, err
	}
	ok, err := t.record(next, endLease)
	return t.answer(next.Key()), ok, err
}

var errSameSequence = errors.New("memstore: the event differs from the stored one without a higher sequence")

func (t *step) record(next refund.Record, endLease string) (bool, error) {
	old, known := t.load(next.Request.RefundNo)
	if next.Epoch != t.epoch || old.rec.Version != next.Version && old.rec.Version != next.Version+1 {
		return false, nil
	}
	e := entry{rec: next, content: next.Request.Content()}
	e.rec.Version = next.Version + 1
	if known {
		e.keep(old)
		if endLease != "" && endLease == old.rec.Token {
			e.rec.LeaseEnd = at(min(stamp(old.rec.LeaseEnd), t.ms()))
			if !old.query {
				e.rec.CallEnd = at(min(stamp(old.rec.CallEnd), t.ms()))
			}
		}
	}
	if e.rec.Last.Status.Final() && !e.rec.Doubt {
		e.rec.Token, e.rec.LeaseEnd, e.rec.Place, e.query = "", at(0), "", false
	}
	e.rec = stored(whole(e.rec))
	event := !known || old.rec.Last.Sequence != e.rec.Last.Sequence
	if known {
		e.rec.Last.OrderFullyRefunded = old.rec.Last.OrderFullyRefunded
	}
	if !event {
		e.rec.Last.Epoch = old.rec.Last.Epoch
	}
	if known && old.rec.Version == next.Version+1 {
		e.until = old.until
		return e == old, nil
	}
	if known && (e.rec.Last.Sequence < old.rec.Last.Sequence || !event && e.rec.Last != old.rec.Last) {
		return false, errSameSequence
	}
	var before *refund.Record
	if known {
		before = &old.rec
	}
	full := t.settle(before, e.rec, func(o *order) { o.pin(next.Request.OrderAmount.Minor, next.Request.Amount.Currency) })
	if event {
		e.rec.Last.OrderFullyRefunded = full
	}
	t.store(e)
	return true, nil
}

// keep takes over what only the store writes.
func (e *entry) keep(old entry) {
	r, o := &e.rec, old.rec
	r.Token, r.LeaseEnd, r.CallEnd = o.Token, o.LeaseEnd, o.CallEnd
	r.FollowUp, r.Place, r.Published = o.FollowUp, o.Place, o.Published
	e.query = old.query
	if o.Last.Matched || !r.Last.Matched {
		e.content = old.content
	}
}
