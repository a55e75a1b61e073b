package refund

import "time"

// News is one piece of knowledge about a refund: what a call, a query, a callback
// or an operator said.
type News struct {
	Source  Source
	Outcome Outcome
	// Token is that of the attempt (a call's news) or of the query's own lease.
	// News that deny that money moved count only from the latest holder.
	Token string
	// AsOf is the sequence that the record had when a query began: only a query
	// begun after a final status may correct it.
	AsOf int64
	// Begun is when a query began, by the store's clock.
	Begun time.Time
	// ResendAfter is how long past its end a doubtful attempt may still land.
	ResendAfter time.Duration
	// Overdue: open for longer than review_after.
	Overdue bool
	// Notice is what a callback told, for a refund that is not known here.
	Notice *Notice
	// Adopt is the request that a record known from a callback alone now gets.
	Adopt *Request
}

// Decision is what news make of a record.
type Decision struct {
	Record Record // as it shall be stored
	Write  bool   // Record differs from what is stored
	Event  bool   // ... by a new event, to be published
	Ask    bool   // a query is owed: a follow-up must be left
	Resend bool   // the gateway proved that it has no such refund: may be sent again under the query's lease
}
