package dedupe

import (
	"context"
	"fmt"
	"sync"

	"github.com/refundworker/refundworker/internal/refund"
)

// Epoch reads the merchant's epoch from its sentinel. Where there is none the
// error is *refund.Unavailable around *EpochMissingError; where the server is not
// the one that wrote it, around *ServerChangedError, which holds it.
func (s *Store) Epoch(ctx context.Context, merchant string) (int64, error) {
	raw, err := s.scripts.epoch.Run(ctx, s.client, []string{s.keys(merchant).sentinel()}, 0).Slice()
	if err != nil {
		return 0, unavailable(err)
	}
	return s.sentinel(merchant, raw)
}

// Begin starts an epoch: it writes the sentinel, with the identity of the server
// that is asked, where there is none or one with a lower epoch, and answers the
// epoch that is stored then. The first is 0, so that sequences begin at 1. It is
// for a merchant that is new; after a loss the rebuild ends with Finish, and while
// one is under way Begin is refused (ErrRebuilding).
func (s *Store) Begin(ctx context.Context, merchant string, epoch int64) (int64, error) {
	return s.begin(ctx, merchant, epoch, "")
}

func (s *Store) begin(ctx context.Context, merchant string, epoch int64, token string) (int64, error) {
	if epoch < 0 || epoch > refund.MaxMinor/refund.SequenceBlock {
		return 0, fmt.Errorf("dedupe: begin of epoch %d", epoch)
	}
	k := s.keys(merchant)
	raw, err := s.scripts.begin.Run(ctx, s.client, []string{k.sentinel(), k.rebuild()}, epoch, token).Slice()
	if err != nil {
		return 0, unavailable(err)
	}
	return s.sentinel(merchant, raw)
}

// sentinel reads the answer of lua/epoch.lua and lua/begin.lua and remembers the
// epoch.
func (s *Store) sentinel(merchant string, raw []any) (int64, error) {
	answer, err := parse(raw)
	if err != nil {
		return 0, err
	}
	s.epochs.forget(merchant)
	switch answer.word {
	case "gone":
		return 0, gone(merchant)
	case "server":
		return 0, changed(merchant, answer.value)
	case "locked":
		return 0, rebuilding(merchant)
	case "ok":
		epoch := answer.number(0)
		s.epochs.see(merchant, epoch)
		return epoch, nil
	}
	return 0, fmt.Errorf("dedupe: a script answered %q", answer.word)
}

// epoch is that of the last look.
func (s *Store) epoch(ctx context.Context, merchant string) (int64, error) {
	if epoch, ok := s.epochs.seen(merchant); ok {
		return epoch, nil
	}
	return s.Epoch(ctx, merchant)
}

// epochs are those that merchants' sentinels had last time.
type epochs struct {
	mu sync.RWMutex
	of map[string]int64
}

func (e *epochs) seen(merchant string) (epoch int64, ok bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	epoch, ok = e.of[merchant]
	return epoch, ok
}

func (e *epochs) see(merchant string, epoch int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.of[merchant] = epoch
}

func (e *epochs) forget(merchant string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.of, merchant)
}
