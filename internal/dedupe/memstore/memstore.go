// Package memstore is the store of refunds in plain Go: the same steps as
// package dedupe's scripts, with a clock that is given, and with the losses that
// a Redis may suffer. The crash explorer and tests of the money path run on it.
//
// It is held equal to the scripts by one shared suite (package dedupetest) and by
// random sequences of calls that run on both. It keeps nothing on disk.
//
// It knows the domain, and of package dedupe the errors.
package memstore

import (
	"sync"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

var (
	_ refund.Claims  = (*Store)(nil)
	_ refund.Records = (*Store)(nil)
)

// Options of a Store; the zero value works.
type Options struct {
	Retention time.Duration    // of final refunds; 0: for ever
	Now       func() time.Time // the store's clock; nil: time.Now, which is the bubble's inside testing/synctest
	Seen      func() time.Time // the caller's clock (refund.Record.Seen); nil: time.Now
	History   int              // how many writes Lose can take back; 0: none
}

// Store is safe for concurrent use; each method is one atomic step.
type Store struct {
	options Options

	mu      sync.Mutex
	state   *Image
	down    error
	changes []func()   // of the step that runs
	history [][]func() // of the steps before, oldest first
	writes  int
}

// New makes an empty store: like a fresh Redis it knows no merchant, so Begin
// comes first.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Seen == nil {
		o.Seen = time.Now
	}
	return &Store{options: o, state: &Image{merchants: map[string]*merchant{}}}
}

// Image is the whole content of a store at one instant.
type Image struct {
	server    int // identity: changes where a real server's would
	merchants map[string]*merchant
}

type merchant struct {
	sentinel *sentinel
	lock     *lock
	offsets  string
	records  map[string]entry
	orders   map[string]order
	rate     rate
	queue    map[string]int64 // refund number -> place, in microseconds
}

type sentinel struct {
	epoch  int64
	server int
	began  int64 // ms
}

type lock struct {
	token  string
	server int
	until  int64 // microseconds
}

// entry is a stored record with what the domain does not see of it.
type entry struct {
	rec     refund.Record
	content string
	query   bool  // the lease is for a query
	until   int64 // microseconds; 0: for ever
}
