package explorer

import (
	"context"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// What follows is store, one script a method.

func (s *scripts) Claim(_ context.Context, c refund.Claim) (refund.Claimed, error) {
	at := time.Now()
	claimed, err := script(s, true, func(ctx context.Context) (refund.Claimed, error) { return s.store.Claim(ctx, c) })
	claimed.Record = seen(claimed.Record, at)
	return claimed, err
}

func (s *scripts) Resend(_ context.Context, rec refund.Record, token string, lease time.Duration) (refund.Claimed, error) {
	at := time.Now()
	claimed, err := script(s, true, func(ctx context.Context) (refund.Claimed, error) { return s.store.Resend(ctx, rec, token, lease) })
	claimed.Record = seen(claimed.Record, at)
	return claimed, err
}

func (s *scripts) Load(_ context.Context, key refund.Key) (refund.Record, error) {
	at := time.Now()
	rec, err := script(s, false, func(ctx context.Context) (refund.Record, error) { return s.store.Load(ctx, key) })
	return seen(rec, at), err
}

func (s *scripts) Record(_ context.Context, next refund.Record, endLease string) (refund.Record, bool, error) {
	at := time.Now()
	answer, err := script(s, true, func(ctx context.Context) (recorded, error) {
		rec, won, err := s.store.Record(ctx, next, endLease)
		return recorded{rec, won}, err
	})
	return seen(answer.rec, at), answer.won, err
}

func (s *scripts) Published(_ context.Context, key refund.Key, sequence int64) (refund.Record, error) {
	at := time.Now()
	rec, err := script(s, true, func(ctx context.Context) (refund.Record, error) { return s.store.Published(ctx, key, sequence) })
	return seen(rec, at), err
}

func (s *scripts) Epoch(_ context.Context, merchant string) (int64, error) {
	return script(s, false, func(ctx context.Context) (int64, error) { return s.store.Epoch(ctx, merchant) })
}

func (s *scripts) Begin(_ context.Context, merchant string, epoch int64) (int64, error) {
	return script(s, true, func(ctx context.Context) (int64, error) { return s.store.Begin(ctx, merchant, epoch) })
}

func (s *scripts) Restore(_ context.Context, merchant, token string, recs []refund.Record) ([]refund.Record, error) {
	at := time.Now()
	open, err := script(s, true, func(ctx context.Context) ([]refund.Record, error) { return s.store.Restore(ctx, merchant, token, recs) })
	for i := range open {
		open[i] = seen(open[i], at)
	}
	return open, err
}

func (s *scripts) Finish(_ context.Context, merchant, token string, epoch int64) (int64, error) {
	return script(s, true, func(ctx context.Context) (int64, error) { return s.store.Finish(ctx, merchant, token, epoch) })
}

func (s *scripts) Lock(_ context.Context, merchant string, ttl time.Duration) (string, error) {
	return script(s, true, func(ctx context.Context) (string, error) { return s.store.Lock(ctx, merchant, ttl) })
}

func (s *scripts) Refresh(_ context.Context, merchant, token string, ttl time.Duration) error {
	_, err := script(s, true, func(ctx context.Context) (struct{}, error) { return plain(s.store.Refresh(ctx, merchant, token, ttl)) })
	return err
}

func (s *scripts) Unlock(_ context.Context, merchant, token string) error {
	_, err := script(s, true, func(ctx context.Context) (struct{}, error) { return plain(s.store.Unlock(ctx, merchant, token)) })
	return err
}

func (s *scripts) Note(_ context.Context, merchant, offsets string) error {
	_, err := script(s, true, func(ctx context.Context) (struct{}, error) { return plain(s.store.Note(ctx, merchant, offsets)) })
	return err
}

func (s *scripts) Noted(_ context.Context, merchant string) (string, error) {
	return script(s, false, func(ctx context.Context) (string, error) { return s.store.Noted(ctx, merchant) })
}
