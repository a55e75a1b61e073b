package dedupetest

import (
	"time"

	"github.com/refundworker/refundworker/internal/dedupe/memstore"
)

// Plain is the store in plain Go.
func Plain() *Part {
	now := Start
	store := memstore.New(memstore.Options{Retention: Retention, Now: func() time.Time { return now }})
	return &Part{
		Store:     store,
		Advance:   func(d time.Duration) { now = now.Add(d) },
		Wipe:      store.Wipe,
		Failover:  func() { store.Failover(0) },
		BreakLock: store.BreakLock,
	}
}
