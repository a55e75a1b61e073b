package dedupe_test

import (
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/dedupe/dedupetest"
	"github.com/refundworker/refundworker/internal/dedupe/memstore"
)

// TestDifferential: the scripts and the store in plain Go answer alike.
func TestDifferential(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			client := server.dial(t)
			dedupetest.Differential(t, func(t *testing.T) (*dedupetest.Part, *dedupetest.Part) {
				scripts, _ := partOf(t, client)
				return scripts, memPart()
			})
		})
	}
}

func memPart() *dedupetest.Part {
	now := dedupetest.Start
	store := memstore.New(memstore.Options{Retention: dedupetest.Retention, Now: func() time.Time { return now }})
	return &dedupetest.Part{
		Store:     store,
		Advance:   func(d time.Duration) { now = now.Add(d) },
		Wipe:      store.Wipe,
		Failover:  func() { store.Failover(0) },
		BreakLock: store.BreakLock,
	}
}
