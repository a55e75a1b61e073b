package dedupe

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// A rebuild of a merchant, after Epoch has said that something was lost: Lock;
// wait until every lease given before has ended; Restore each refund of the
// status topic, with Refresh well within the time to live; Finish with a higher
// epoch. Should it fail on the way, Unlock, and anybody may begin again:
// restoring twice does no harm.

// Lock takes the right to rebuild a merchant for ttl, and answers the token that
// stands for it. The server may be another than the one that Check saw at the
// start, so it is checked as well. The error is *refund.Unavailable around
// ErrRebuilding where another process has it.
func (s *Store) Lock(ctx context.Context, merchant string, ttl time.Duration) (token string, err error) {
	if err := s.checkServerOf(ctx, merchant); err != nil {
		return "", err
	}
	token = rand.Text()
	return token, s.hold(ctx, merchant, token, ttl, "take")
}

// Refresh holds the right for another ttl. The error is *refund.Unavailable
// around ErrRebuilding where it was lost: the rebuild must begin again.
func (s *Store) Refresh(ctx context.Context, merchant, token string, ttl time.Duration) error {
	return s.hold(ctx, merchant, token, ttl, "refresh")
}

func (s *Store) hold(ctx context.Context, merchant, token string, ttl time.Duration, how string) error {
	k := s.keys(merchant)
	raw, err := s.scripts.lock.Run(ctx, s.client, []string{k.sentinel(), k.rebuild()}, "", token, millis(ttl), how).Slice()
	if err != nil {
		return unavailable(err)
	}
	answer, err := parse(raw)
	if err == nil && answer.word != "ok" {
		err = rebuilding(merchant)
	}
	return err
}

// Unlock gives the right back; where it is not ours any more it does nothing.
func (s *Store) Unlock(ctx context.Context, merchant, token string) error {
	k := s.keys(merchant)
	err := s.scripts.unlock.Run(ctx, s.client, []string{k.sentinel(), k.rebuild()}, "", token).Err()
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// Finish ends a rebuild: it begins an epoch, which must be higher than any
// before, and gives the right back. It answers the epoch that is stored.
func (s *Store) Finish(ctx context.Context, merchant, token string, epoch int64) (int64, error) {
	stored, err := s.begin(ctx, merchant, epoch, token)
	if err != nil {
		return 0, err
	}
	_ = s.Unlock(ctx, merchant, token) // the epoch stands; a lock that is left runs out
	return stored, nil
}

// Restore brings refunds of a merchant back, each from its newest event on the
// status topic, in one step, and answers those that are not final, as they are
// stored now. Each rec has the event in Last, and its whole request. What a refund
// holds, its doubt, attempt, leases and tokens are worked out here: see
// lua/restore.lua. What has been final for longer than the retention is not
// stored. Only forward, by sequence; safe to repeat. Redis does nothing else
// meanwhile, some 15 us a refund: give it a hundred at a time. Errors:
// *refund.Unavailable, also around ErrRebuilding; ErrServing.
func (s *Store) Restore(ctx context.Context, merchant, token string, recs []refund.Record) (open []refund.Record, err error) {
	k := s.keys(merchant)
	names := append(make([]string, 0, 2+2*len(recs)), k.sentinel(), k.rebuild())
	args := append(make([]any, 0, 4+toldArguments*len(recs)), "", token, s.retention, k.orders())
	for _, rec := range recs {
		told, err := toldBy(merchant, rec)
		if err != nil {
			return nil, err
		}
		names = append(names, k.record(rec.Request.RefundNo), k.order(rec.Order))
		args = append(args, told...)
	}
	seen := time.Now()
	raw, err := s.scripts.restore.Run(ctx, s.client, names, args...).Slice()
	if err != nil {
		return nil, unavailable(err)
	}
	answer, err := parse(raw)
	switch {
	case err != nil:
		return nil, err
	case answer.word == "locked":
		return nil, rebuilding(merchant)
	case answer.word == "serving":
		return nil, fmt.Errorf("dedupe: restore of %s: %w", merchant, ErrServing)
	case answer.word != "ok" || len(answer.extra) != len(recs):
		return nil, fmt.Errorf("dedupe: a script answered %q and %d records, want %d", answer.word, len(answer.extra), len(recs))
	}
	for i, value := range answer.extra {
		if value == "" {
			continue
		}
		one := reply{clock: answer.clock, seen: seen}
		one.value, _ = value.(string)
		var rec refund.Record
		if err := one.record(recs[i].Key(), &rec); err != nil {
			return nil, err
		}
		open = append(open, rec)
	}
	return open, nil
}

// toldArguments is how many arguments lua/restore.lua takes of a refund.
const toldArguments = 7

// toldBy is what the status topic tells of a refund: those arguments, in their
// order.
func toldBy(merchant string, rec refund.Record) ([]any, error) {
	if rec.Request.Merchant != merchant {
		return nil, fmt.Errorf("dedupe: restore of %s beside refunds of %s", rec.Key(), merchant)
	}
	told := refund.Record{
		Request: rec.Request, Last: rec.Last, Provider: rec.Provider, Order: rec.Order,
		Version: 1, Attempt: rec.Last.Attempt, Holding: refund.HoldsNothing, Published: rec.Last.Sequence, FirstSeen: rec.FirstSeen,
	}
	flags, held := "", ""
	if rec.Last.OrderFullyRefunded {
		flags = "f"
	}
	if rec.Last.Status == refund.StatusSucceeded {
		told.Holding = refund.HoldsSucceeded
	}
	if rec.Last.Status.Final() {
		held = string(told.Holding)
	}
	if err := checkRecord(told); err != nil {
		return nil, err
	}
	amount := rec.Request.Amount
	return []any{pack(told, rec.Request.Content(), flags), rec.Request.OrderAmount.Minor,
		held, amount.Minor, packCurrency(amount.Currency), rec.Order, stamp(rec.Last.RecordedAt)}, nil
}

// Note stores how far the status topic is surely reflected in Redis, in a form
// of the caller's. Errors: *refund.Unavailable.
func (s *Store) Note(ctx context.Context, merchant, offsets string) error {
	_, err := s.run(ctx, "note", merchant, []string{s.keys(merchant).offsets()}, offsets)
	return err
}

// Noted answers what was noted last, also after the server changed; empty:
// nothing, read the topic from its beginning. Errors: *refund.Unavailable.
func (s *Store) Noted(ctx context.Context, merchant string) (string, error) {
	k := s.keys(merchant)
	raw, err := s.scripts.notes.Run(ctx, s.client, []string{k.sentinel(), k.offsets()}, "").Slice()
	if err != nil {
		return "", unavailable(err)
	}
	answer, err := parse(raw)
	return answer.value, err
}
