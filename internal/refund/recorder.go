package refund

import (
	"context"
	"time"
)

// Alive answers when the broker last confirmed that this process may speak for
// the delivery that it handles (monotonic), and the zero time once it may not. The
// bridge, which owns no partition, uses none.
type Alive func() time.Time

// Noted is what became of a piece of news.
type Noted struct {
	Record Record // as it is now
	Owed   bool   // a query is owed: leave a follow-up before acknowledging
}

// Recorder takes news to the store and to the status topic: decide, record,
// publish, published. Worker and bridge share it.
type Recorder struct {
	Records   Records
	Publisher Publisher
	// Fresh bounds, from the answer of the store, when an event may still be
	// published, and again how long the publishing may take: half a session
	// timeout.
	Fresh time.Duration
}

// Note applies news to the record (as loaded or claimed) and returns once the
// event, if one came of it, is durable on the status topic. News that change
// nothing publish the newest stored event again. An error says that nothing may
// be acknowledged: *Unavailable, or the publisher's.
func (r *Recorder) Note(ctx context.Context, rec Record, news News, alive Alive) (Noted, error) {
	return Noted{Record: rec}, nil
}
