package memstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

// Epoch is dedupe.Store's.
func (s *Store) Epoch(_ context.Context, merchant string) (int64, error) {
	t, err := s.begin(merchant)
	defer s.end()
	if err != nil {
		return 0, err
	}
	if err := t.serving(); err != nil {
		return 0, err
	}
	return t.epoch, nil
}

// Begin is dedupe.Store's.
func (s *Store) Begin(_ context.Context, merchant string, epoch int64) (int64, error) {
	t, err := s.begin(merchant)
	defer s.end()
	if err != nil {
		return 0, err
	}
	if t.locked() {
		return 0, rebuilding(merchant)
	}
	return t.start(epoch)
}

// start raises the sentinel.
func (t *step) start(epoch int64) (int64, error) {
	if held := t.m.sentinel; held == nil || held.epoch < epoch {
		change(t, &t.m.sentinel, &sentinel{epoch: epoch, server: t.s.state.server, began: t.ms()})
	}
	if err := t.serving(); err != nil {
		return 0, err
	}
	return t.epoch, nil
}

// locked: somebody holds the right to rebuild (under whatever server).
func (t *step) locked() bool { return t.m.lock != nil && t.m.lock.until > t.now }

// mine: this token holds it, under this server.
func (t *step) mine(token string) bool {
	return t.locked() && t.m.lock.token == token && t.m.lock.server == t.s.state.server
}

// Lock is dedupe.Store's.
func (s *Store) Lock(_ context.Context, merchant string, ttl time.Duration) (string, error) {
	t, err := s.begin(merchant)
	defer s.end()
	if err != nil {
		return "", err
	}
	if t.locked() && t.m.lock.server == t.s.state.server {
		return "", rebuilding(merchant)
	}
	token := rand.Text()
	t.grant(token, ttl)
	return token, nil
}

func (t *step) grant(token string, ttl time.Duration) {
	change(t, &t.m.lock, &lock{token: token, server: t.s.state.server, until: t.now + ttl.Microseconds()})
}

// Refresh is dedupe.Store's.
func (s *Store) Refresh(_ context.Context, merchant, token string, ttl time.Duration) error {
	t, err := s.begin(merchant)
	defer s.end()
	if err != nil {
		return err
	}
	if !t.mine(token) {
		return rebuilding(merchant)
	}
	t.grant(token, ttl)
	return nil
}

// Unlock is dedupe.Store's.
func (s *Store) Unlock(_ context.Context, merchant, token string) error {
	t, err := s.begin(merchant)
	defer s.end()
	if err != nil {
		return err
	}
	if t.m.lock != nil && t.m.lock.token == token {
		change(t, &t.m.lock, nil)
	}
	return nil
}

// Finish is dedupe.Store's.
func (s *Store) Finish(_ context.Context, merchant, token string, epoch int64) (int64, error) {
	t, err := s.begin(merchant)
	defer s.end()
	if err != nil {
		return 0, err
	}
	if !t.mine(token) {
		return 0, rebuilding(merchant)
	}
	started, err := t.start(epoch)
	if err == nil {
		change(t, &t.m.lock, nil)
	}
	return started, err
}

// Restore is dedupe.Store's: lua/restore.lua.
func (s *Store) Restore(_ context.Context, merchant, token string, recs []refund.Record) (open []refund.Record, err error) {
	for _, rec := range recs {
		if rec.Request.Merchant != merchant || rec.Last.Sequence <= 0 || rec.Request.Amount.Minor <= 0 {
			return nil, errors.New("memstore: restore of another merchant's refund, or without sequence or amount")
		}
	}
	t, err := s.begin(merchant)
	defer s.end()
	if err != nil {
		return nil, err
	}
	if !t.mine(token) {
		return nil, rebuilding(merchant)
	}
	if t.serving() == nil {
		return nil, fmt.Errorf("memstore: restore of %s: %w", merchant, dedupe.ErrServing)
	}
	for _, rec := range recs {
		t.restore(rec)
		if stored := t.answer(rec.Key()); stored.Known() && !stored.Last.Status.Final() {
			open = append(open, stored)
		}
	}
	return open, nil
}

func (t *step) restore(rec refund.Record) {
	e := entry{content: rec.Request.Content()}
	e.rec = whole(refund.Record{
		Request: rec.Request, Last: rec.Last, Provider: rec.Provider, Order: rec.Order,
		Version: 1, Attempt: rec.Last.Attempt, Published: rec.Last.Sequence, FirstSeen: rec.FirstSeen,
	})
	old, known := t.load(rec.Request.RefundNo)
	retention := t.s.options.Retention
	if known && old.rec.Last.Status.Final() && !old.rec.Doubt && rec.Last.Sequence <= min(old.rec.Last.Sequence, old.rec.Published) {
		return
	}
	if known {
		e = e.onto(old)
	} else if rec.Last.Status.Final() && retention > 0 {
		if retention = rec.Last.RecordedAt.Add(retention).Sub(at(t.ms())); retention <= 0 {
			return
		}
	}
	r := &e.rec
	r.Holding = refund.HoldsNothing
	called := r.Last.Status.Open() || r.Attempt > 0 || r.Last.Status == refund.StatusWaiting && r.Last.Source == refund.FromCallback
	switch {
	case r.Last.Status == refund.StatusSucceeded:
		r.Holding = refund.HoldsSucceeded
	case r.Last.Status.Final():
		if r.Doubt {
			r.Holding = refund.HoldsReserved
		}
	case called:
		r.Holding, r.CallEnd = refund.HoldsReserved, at(t.ms())
	}
	if r.Last.Status == refund.StatusWaiting {
		r.Doubt = called
	}
	r.Missed = called && !r.Last.Status.Final()
	r.Token, r.LeaseEnd, r.Accepted, e.query = "", at(0), false, false
	var before *refund.Record
	if known {
		before = &old.rec
	}
	t.settle(before, *r, func(o *order) { o.pinAgain(*r, rec.Request.OrderAmount.Minor) })
	if !known && r.Last.Status.Final() { // kept for what is left of the retention
		e.until = t.after(retention)
		t.touch(e)
		return
	}
	t.store(e)
}

// onto goes forward from what is stored.
func (e entry) onto(old entry) entry {
	o, published := old.rec, max(old.rec.Published, e.rec.Last.Sequence)
	if e.rec.Last.Sequence <= o.Last.Sequence {
		e = old
	} else {
		e.rec.Attempt = max(o.Attempt, e.rec.Attempt)
		e.rec.CallEnd, e.rec.FollowUp, e.rec.Place, e.rec.FirstSeen = o.CallEnd, o.FollowUp, o.Place, o.FirstSeen
	}
	e.rec.Published, e.rec.Version = published, o.Version+1
	return e
}

// Note is dedupe.Store's.
func (s *Store) Note(_ context.Context, merchant, offsets string) error {
	t, err := s.begin(merchant)
	defer s.end()
	if err != nil {
		return err
	}
	if err := t.serving(); err != nil {
		return err
	}
	change(t, &t.m.offsets, offsets)
	return nil
}

// Noted is dedupe.Store's.
func (s *Store) Noted(_ context.Context, merchant string) (string, error) {
	t, err := s.begin(merchant)
	defer s.end()
	if err != nil {
		return "", err
	}
	return t.m.offsets, nil
}

func rebuilding(merchant string) error {
	return &refund.Unavailable{Why: "merchant " + merchant + " is being rebuilt", Err: dedupe.ErrRebuilding, Closed: true}
}
