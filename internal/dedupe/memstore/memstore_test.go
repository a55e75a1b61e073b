package memstore_test

import (
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/dedupe/dedupetest"
	"github.com/refundworker/refundworker/internal/dedupe/memstore"
)

func TestStore(t *testing.T) {
	dedupetest.Run(t, func(*testing.T) *dedupetest.Part {
		now := dedupetest.Start
		store := memstore.New(memstore.Options{Retention: dedupetest.Retention, Now: func() time.Time { return now }})
		return &dedupetest.Part{
			Store:     store,
			Advance:   func(d time.Duration) { now = now.Add(d) },
			Wipe:      store.Wipe,
			Failover:  func() { store.Failover(0) },
			BreakLock: store.BreakLock,
		}
	})
}
