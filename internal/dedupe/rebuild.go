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
// stands for it. The error is *refund.Unavailable around ErrRebuilding where
// another process has it.
func (s *Store) Lock(ctx context.Context, merchant string, ttl time.Duration) (token string, err error) {
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

// Restore brings one refund back from its newest event on the status topic and
// answers what is stored of it now (Version 0 where it has been final for longer
// than the retention). rec has the event in Last, and of the request what the
// topic tells; content is the fingerprint that came with the event. What the
// refund holds, its doubt, attempt, leases and tokens are worked out here: see
// lua/restore.lua. Only forward, by sequence; safe to repeat, and to call for
// many refunds at once. Errors: *refund.Unavailable, also around ErrRebuilding;
// ErrServing.
func (s *Store) Restore(ctx context.Context, token string, rec refund.Record, content string) (refund.Record, error) {
	rec.Holding = refund.HoldsNothing
	if err := checkRecord(rec); err != nil {
		return refund.Record{}, err
	}
	if err := checkWord("content", content); err != nil {
		return refund.Record{}, err
	}
	rec = refund.Record{
		Request: rec.Request, Last: rec.Last, Provider: rec.Provider, Order: rec.Order, Epoch: rec.Epoch,
		Version: 1, Attempt: rec.Last.Attempt, Holding: refund.HoldsNothing, Published: rec.Last.Sequence, FirstSeen: rec.FirstSeen,
	}
	flags := "t"
	if rec.Last.OrderFullyRefunded {
		flags = "ft"
	}
	key, k := rec.Key(), s.keys(rec.Request.Merchant)
	seen := time.Now()
	raw, err := s.scripts.restore.Run(ctx, s.client,
		[]string{k.sentinel(), k.record(key.RefundNo), k.order(rec.Order), k.rebuild()},
		"", token, pack(rec, content, flags), rec.Request.OrderAmount.Minor, s.retention, k.orders()).Slice()
	if err != nil {
		return refund.Record{}, unavailable(err)
	}
	answer, err := parse(raw)
	if err != nil {
		return refund.Record{}, err
	}
	switch answer.word {
	case "ok":
		answer.seen = seen
		return answer.record(key)
	case "locked":
		return refund.Record{}, rebuilding(key.Merchant)
	case "serving":
		return refund.Record{}, fmt.Errorf("dedupe: restore of %s: %w", key, ErrServing)
	}
	return refund.Record{}, fmt.Errorf("dedupe: a script answered %q", answer.word)
}

// Note stores how far the status topic is surely reflected in Redis, in a form
// of the caller's. Errors: *refund.Unavailable.
func (s *Store) Note(ctx context.Context, merchant, offsets string) error {
	_, err := s.run(ctx, s.scripts.note, merchant, []string{s.keys(merchant).offsets()}, offsets)
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
