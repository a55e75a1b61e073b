package dedupetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

// Differential runs random sequences of steps on a store and on the one in plain
// Go, and wants the same answers from both. More and longer ones: -rapid.checks,
// -rapid.steps.
func Differential(t *testing.T, open func(*testing.T) *Part) {
	rapid.Check(t, func(r *rapid.T) {
		one, other := open(t), Plain()
		defer one.Wipe()
		defer other.Wipe()
		p := &pair{T: r, one: one, other: other, seen: map[string][]refund.Record{}, tokens: []string{"t0"}}
		if rapid.IntRange(0, 9).Draw(r, "served") > 0 {
			p.begin(0)
		}
		r.Repeat(map[string]func(*rapid.T){
			"claim":     p.claim,
			"claim2":    p.claim, // the more often
			"claim3":    p.claim,
			"record":    p.record,
			"record2":   p.record,
			"resend":    p.resend,
			"published": p.published,
			"advance":   p.advance,
			"epoch":     p.epoch,
			"trouble":   p.trouble,
			"rebuild":   p.rebuild,
			"restore":   p.restore,
		})
	})
}

// pair is two stores that get the same steps.
type pair struct {
	*rapid.T
	one, other *Part
	seen       map[string][]refund.Record // answers so far, of each refund
	tokens     []string
	locks      [2]string
	highest    int64
}

func draw[V any](r *rapid.T, what string, of ...V) V { return rapid.SampledFrom(of).Draw(r, what) }

// both wants the same answer from both stores. Records are shown by their fields
// as %+v has them, so unlike clocks of our own are taken out before.
func both[V comparable](p *pair, r *rapid.T, what string, step func(Store) (V, error)) (V, bool) {
	got, err1 := step(p.one.Store)
	want, err2 := step(p.other.Store)
	if kind(err1) != kind(err2) {
		r.Fatalf("%s: errors differ\n one   %v\n other %v", what, err1, err2)
	}
	if err1 == nil && got != want {
		r.Fatalf("%s: answers differ\n one   %+v\n other %+v", what, got, want)
	}
	return got, err1 == nil
}

// kind is what an error means, without its words.
func kind(err error) string {
	var unavailable *refund.Unavailable
	var gone *dedupe.EpochMissingError
	var changed *dedupe.ServerChangedError
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &gone):
		return "gone " + gone.Merchant
	case errors.As(err, &changed):
		return fmt.Sprint("changed ", changed.Merchant, changed.Epoch)
	case errors.Is(err, dedupe.ErrRebuilding):
		return "rebuilding"
	case errors.Is(err, dedupe.ErrServing):
		return "serving"
	case errors.As(err, &unavailable):
		return "unavailable"
	}
	return "refused"
}

func unseen(rec refund.Record) refund.Record {
	rec.Seen = time.Time{}
	return rec
}

var numbers = []string{"r1", "r2", "r3", "r4"}

func (p *pair) request(r *rapid.T) refund.Claim {
	i := rapid.IntRange(0, len(numbers)-1).Draw(r, "refund")
	c := claimOf(numbers[i], "", order([]string{"o1", "o1", "o1", "o2"}[i]), amount([]int64{100, 400, 600, 1000}[i]))
	switch rapid.IntRange(0, 19).Draw(r, "other") {
	case 0:
		c.Request.Amount.Minor++
	case 1:
		c.Request.OrderAmount.Minor = 1500
	case 2:
		c.Request.Method = "Alipay"
	case 3:
		c.Order = "o3"
	case 4:
		c.Request.Amount.Currency, c.Request.OrderAmount.Currency = thb, thb
	case 5:
		c.Request.OrderAmount.Minor = 0
	}
	return c
}

func (p *pair) claim(r *rapid.T) {
	c := p.request(r)
	c.Token = p.token(r)
	c.Lease = draw(r, "lease", time.Second, 3*time.Second)
	c.FollowUp = draw(r, "follow-up", 0, 0, 0, 1, 2, 3)
	c.Place = draw(r, "place", "a/0/1", "a/0/2")
	c.FirstSeen = Start.Add(draw(r, "first seen", 0, time.Nanosecond, time.Minute))
	c.Limits = draw(r, "limits", refund.Limits{}, refund.Limits{}, refund.Limits{Rate: 1}, refund.Limits{Rate: 1}, refund.Limits{Rate: 1}, refund.Limits{Rate: 3},
		refund.Limits{MaxRefundsPerOrder: 2}, refund.Limits{OrderInterval: 2 * time.Second})
	got, ok := both(p, r, "claim", func(s Store) (refund.Claimed, error) {
		got, err := s.Claim(p.Context(), c)
		got.Record = unseen(got.Record)
		return got, err
	})
	if ok {
		p.keep(got.Record)
	}
}

func (p *pair) token(r *rapid.T) string {
	if rapid.Bool().Draw(r, "new token") {
		p.tokens = append(p.tokens, fmt.Sprint("t", len(p.tokens)))
		return p.tokens[len(p.tokens)-1]
	}
	return p.tokens[len(p.tokens)-1-rapid.IntRange(0, min(3, len(p.tokens)-1)).Draw(r, "token back")]
}

func (p *pair) keep(rec refund.Record) {
	no := rec.Request.RefundNo
	p.seen[no] = append(p.seen[no], rec)
}

// known is an answer from before, most often the newest.
func (p *pair) known(r *rapid.T) refund.Record {
	no := draw(r, "of", numbers...)
	if all := p.seen[no]; len(all) > 0 {
		return all[len(all)-1-rapid.IntRange(0, min(2, len(all)-1)).Draw(r, "back")]
	}
	return refund.Record{Request: refund.Request{Key: refund.Key{Merchant: merchant, RefundNo: no}}, StoreTime: Start}
}

func (p *pair) record(r *rapid.T) {
	rec := p.known(r)
	if rec.Request.Amount.Minor == 0 { // nothing but a key: a callback brings it
		c := p.request(r)
		c.Request.RefundNo = rec.Request.RefundNo
		rec.Request, rec.Order, rec.Provider = c.Request, draw(r, "order", c.Order, c.Order, ""), c.Provider
		rec.Last.Matched = rapid.Bool().Draw(r, "matched")
	}
	next := rec
	if rapid.IntRange(0, 3).Draw(r, "event") > 0 {
		next = eventOf(rec, draw(r, "status", refund.StatusWaiting, refund.StatusPending, refund.StatusUnknown, refund.StatusReview,
			refund.StatusSucceeded, refund.StatusSucceeded, refund.StatusFailed, refund.StatusRejected))
		next.Last.Source = draw(r, "source", refund.FromWorker, refund.FromCallback, refund.FromQuery, refund.FromOperator)
		next.Last.ProviderStatus = draw(r, "words", "", "TRADE", "a|b")
	}
	next.Accepted, next.Doubt = rapid.Bool().Draw(r, "accepted"), rapid.IntRange(0, 3).Draw(r, "doubt") == 0
	switch rapid.IntRange(0, 19).Draw(r, "odd") {
	case 0:
		next.Order = draw(r, "moved", "o1", "o2", "")
	case 1:
		next.Last.Status = draw(r, "changed", refund.StatusUnknown, refund.StatusFailed)
	case 2:
		next.Last.Matched = !next.Last.Matched
	case 3:
		next.Holding = draw(r, "held", refund.HoldsNothing, refund.HoldsReserved, refund.HoldsSucceeded)
	case 4:
		next.Version++
	}
	end := draw(r, "end", "", next.Token, p.tokens[0])
	type answer struct {
		rec refund.Record
		ok  bool
	}
	got, ok := both(p, r, "record", func(s Store) (answer, error) {
		rec, ok, err := s.Record(p.Context(), next, end)
		return answer{unseen(rec), ok}, err
	})
	if ok {
		p.keep(got.rec)
	}
}

func (p *pair) resend(r *rapid.T) {
	rec := p.known(r)
	token := draw(r, "token", rec.Token, rec.Token, p.tokens[len(p.tokens)-1])
	if token == "" {
		return
	}
	got, ok := both(p, r, "resend", func(s Store) (refund.Claimed, error) {
		got, err := s.Resend(p.Context(), rec, token, time.Second)
		got.Record = unseen(got.Record)
		return got, err
	})
	if ok {
		p.keep(got.Record)
	}
}

func (p *pair) published(r *rapid.T) {
	rec := p.known(r)
	sequence := max(1, rec.Last.Sequence+rapid.Int64Range(-1, 1).Draw(r, "sequence"))
	got, ok := both(p, r, "published", func(s Store) (refund.Record, error) {
		got, err := s.Published(p.Context(), rec.Key(), sequence)
		return unseen(got), err
	})
	loaded, _ := both(p, r, "load", func(s Store) (refund.Record, error) {
		got, err := s.Load(p.Context(), rec.Key())
		return unseen(got), err
	})
	if ok {
		if got != loaded {
			r.Fatalf("published answered %+v\nload %+v", got, loaded)
		}
		p.keep(got)
	}
}

func (p *pair) advance(r *rapid.T) {
	d := time.Duration(draw(r, "by", 1, 1000, 150_000, 999_999, 1_000_000, 2_500_000, 7_000_000, 46_800_000_000)) * time.Microsecond
	p.one.Advance(d)
	p.other.Advance(d)
}

func (p *pair) begin(epoch int64) {
	both(p, p.T, "begin", func(s Store) (int64, error) { return s.Begin(p.Context(), merchant, epoch) })
	p.highest = max(p.highest, epoch)
}

func (p *pair) epoch(r *rapid.T) {
	if rapid.IntRange(0, 3).Draw(r, "raise") == 0 {
		epoch := p.highest + rapid.Int64Range(-1, 1).Draw(r, "by")
		if epoch >= 0 {
			p.begin(epoch)
		}
	}
	both(p, r, "epoch", func(s Store) (int64, error) { return s.Epoch(p.Context(), merchant) })
	both(p, r, "noted", func(s Store) (string, error) { return s.Noted(p.Context(), merchant) })
	both(p, r, "note", func(s Store) (bool, error) { return true, s.Note(p.Context(), merchant, fmt.Sprint(p.highest)) })
}

// trouble is rare.
func (p *pair) trouble(r *rapid.T) {
	switch rapid.IntRange(0, 11).Draw(r, "trouble") {
	case 0:
		p.one.Wipe()
		p.other.Wipe()
	case 1, 2:
		p.one.Failover()
		p.other.Failover()
	case 3:
		p.one.BreakLock(merchant)
		p.other.BreakLock(merchant)
	}
}

// rebuild takes, keeps or gives back the right to rebuild, and ends rebuilds.
func (p *pair) rebuild(r *rapid.T) {
	switch rapid.IntRange(0, 4).Draw(r, "rebuild") {
	case 0, 1:
		var taken [2]string
		i := 0
		_, ok := both(p, r, "lock", func(s Store) (bool, error) {
			var err error
			taken[i], err = s.Lock(p.Context(), merchant, forever)
			i++
			return true, err
		})
		if ok {
			p.locks = taken
		}
	case 2:
		p.withLock(r, "refresh", func(s Store, token string) error { return s.Refresh(p.Context(), merchant, token, forever) })
	case 3:
		p.withLock(r, "unlock", func(s Store, token string) error { return s.Unlock(p.Context(), merchant, token) })
	case 4:
		p.highest++
		p.withLock(r, "finish", func(s Store, token string) error {
			_, err := s.Finish(p.Context(), merchant, token, p.highest)
			return err
		})
	}
}

func (p *pair) withLock(r *rapid.T, what string, step func(Store, string) error) {
	if p.locks[0] == "" {
		return
	}
	i := 0
	both(p, r, what, func(s Store) (bool, error) {
		i++
		return true, step(s, p.locks[i-1])
	})
}

func (p *pair) restore(r *rapid.T) {
	if p.locks[0] == "" {
		return
	}
	recs := rapid.SliceOfN(rapid.Custom(p.told), 1, 3).Draw(r, "restored")
	i := 0
	both(p, r, "restore", func(s Store) (string, error) {
		i++
		open, err := s.Restore(p.Context(), merchant, p.locks[i-1], recs)
		for k := range open {
			open[k] = unseen(open[k])
		}
		return fmt.Sprintf("%+v", open), err
	})
}

// told is what an event on the status topic may tell.
func (p *pair) told(r *rapid.T) refund.Record {
	c := p.request(r)
	rec := onTopic(c.Request.RefundNo, draw(r, "status", refund.StatusWaiting, refund.StatusPending, refund.StatusUnknown,
		refund.StatusSucceeded, refund.StatusFailed, refund.StatusRejected), rapid.Int64Range(1, 6).Draw(r, "sequence"), rapid.IntRange(0, 2).Draw(r, "attempt"))
	rec.Request, rec.Order = c.Request, draw(r, "order", c.Order, c.Order, "")
	rec.Last.Matched = rapid.IntRange(0, 3).Draw(r, "matched") > 0
	rec.Last.RecordedAt = Start.Add(-draw(r, "age", 0, time.Hour, 2*Retention))
	rec.Last.OrderFullyRefunded = rapid.Bool().Draw(r, "fully")
	return rec
}

// forever is longer than a test's clock goes: a server lets locks run out by its
// own.
const forever = 10 * Retention
