package memstore

import (
	"time"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

// step is one atomic step on one merchant.
type step struct {
	s        *Store
	m        *merchant
	now      int64 // microseconds
	seen     time.Time
	merchant string
	epoch    int64
	began    int64 // when the epoch did, ms
}

// begin locks the store for a step; end must follow.
func (s *Store) begin(name string) (*step, error) {
	seen := s.options.Seen()
	s.mu.Lock()
	if s.down != nil {
		return nil, &refund.Unavailable{Why: "Redis cannot be reached", Err: s.down}
	}
	m := s.state.merchants[name]
	if m == nil {
		m = &merchant{records: map[string]entry{}, orders: map[string]order{}, queue: map[string]int64{}}
		s.state.merchants[name] = m
	}
	return &step{s: s, m: m, now: s.options.Now().UnixMicro(), seen: seen, merchant: name}, nil
}

func (s *Store) end() {
	if len(s.changes) > 0 {
		s.writes++
		if s.options.History > 0 {
			s.history = append(s.history, s.changes)
			s.history = s.history[max(0, len(s.history)-s.options.History):]
		}
		s.changes = nil
	}
	s.mu.Unlock()
}

// change replaces *at and remembers how to take that back.
func change[T any](t *step, at *T, to T) {
	was := *at
	*at = to
	t.s.changes = append(t.s.changes, func() { *at = was })
}

// put replaces one entry of a map and remembers how to take that back.
func put[V any](t *step, in map[string]V, key string, v V) {
	was, had := in[key]
	in[key] = v
	t.s.changes = append(t.s.changes, func() {
		if had {
			in[key] = was
		} else {
			delete(in, key)
		}
	})
}

// remove deletes one entry of a map, where it is, and remembers how to take that
// back.
func remove[V any](t *step, in map[string]V, key string) {
	was, had := in[key]
	if !had {
		return
	}
	delete(in, key)
	t.s.changes = append(t.s.changes, func() { in[key] = was })
}

// serving refuses a step where the sentinel is missing or another server's.
func (t *step) serving() error {
	held := t.m.sentinel
	if held == nil {
		return &refund.Unavailable{
			Why: "Redis knows nothing of merchant " + t.merchant,
			Err: &dedupe.EpochMissingError{Merchant: t.merchant}, Closed: true,
		}
	}
	if held.server != t.s.state.server {
		return &refund.Unavailable{
			Why: "Redis restarted or failed over",
			Err: &dedupe.ServerChangedError{Merchant: t.merchant, Epoch: held.epoch}, Closed: true,
		}
	}
	t.epoch, t.began = held.epoch, held.began
	return nil
}

func (t *step) ms() int64 { return t.now / 1000 }

// answer is the record as a caller gets it.
func (t *step) answer(key refund.Key) refund.Record {
	e, ok := t.load(key.RefundNo)
	if !ok {
		e.rec = refund.Record{Request: refund.Request{Key: key}}
	}
	e.rec.Epoch, e.rec.StoreTime, e.rec.Seen = t.epoch, at(t.ms()), t.seen
	return e.rec
}

func (t *step) load(refundNo string) (entry, bool) {
	e, ok := t.m.records[refundNo]
	if ok && e.until > 0 && e.until <= t.now {
		return entry{}, false
	}
	return e, ok
}

// store puts a record for ever while it is open, for the retention once it is
// final.
func (t *step) store(e entry) {
	e.until = 0
	if e.rec.Last.Status.Final() {
		e.until = t.after(t.s.options.Retention)
	}
	e.rec = stored(e.rec)
	put(t, t.m.records, e.rec.Request.RefundNo, e)
}

func (t *step) after(d time.Duration) int64 {
	if t.s.options.Retention <= 0 {
		return 0
	}
	return t.now + d.Microseconds()
}

// stored is a record as it comes back from being stored: instants in whole
// milliseconds and UTC, no clocks of answers, one currency.
func stored(r refund.Record) refund.Record {
	r.Epoch, r.StoreTime, r.Seen = 0, time.Time{}, time.Time{}
	for _, t := range []*time.Time{&r.LeaseEnd, &r.CallEnd, &r.FirstSeen, &r.Request.RequestedAt, &r.Last.OccurredAt, &r.Last.RecordedAt} {
		if !t.IsZero() {
			*t = at(t.UnixMilli())
		}
	}
	if total := r.Request.OrderAmount.Minor; total != 0 {
		r.Request.OrderAmount = refund.Money{Minor: total, Currency: r.Request.Amount.Currency}
	} else {
		r.Request.OrderAmount = refund.Money{}
	}
	return r
}

// whole drops what is not kept of a final refund.
func whole(r refund.Record) refund.Record {
	if r.Last.Status.Final() {
		r.Request.Terminal, r.Request.Reason = "", ""
	}
	return r
}

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// stamp is an instant in ms since 1970; 0 is the zero time.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
