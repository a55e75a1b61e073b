package refund

import "time"

// News is one piece of knowledge about a refund: what a call, a query, a callback
// or an operator said.
type News struct {
	Source  Source
	Outcome Outcome
	// Token is that of the attempt (a call's news) or of the query's own lease.
	// News of a call or query that deny that money moved count only from the
	// latest holder.
	Token string
	// AsOf is the sequence that the record had when a query began: only a query
	// begun after a final status may correct it.
	AsOf int64
	// Version is that of the record when a query began: only a query that has seen
	// every dispute may end it.
	Version int64
	// Begun is when a query began, by the store's clock.
	Begun time.Time
	// LandsWithin is how long past its end a doubtful attempt may still land: the
	// call's timeout and the merchant's resend_after together.
	LandsWithin time.Duration
	// Overdue: the refund has been open for longer than review_after.
	Overdue bool
	// Repeat: whoever brings these news is owed the newest event again, also where
	// nothing has changed.
	Repeat bool
	// Announced is the sequence that this delivery has itself published before its
	// call.
	Announced int64
	// Notice is what a callback told; it seeds the record of a refund that was
	// never requested here.
	Notice *Notice
	// Adopt is the request that a record known from a callback alone now gets.
	Adopt *Adoption
	// KeepLease: whoever holds the lease is not who brings these news.
	KeepLease bool
}

// Adoption is the request for a refund that was known from a callback alone, and
// what its total belongs to.
type Adoption struct {
	Request Request
	Order   string
}

// Decision is what news make of a record.
type Decision struct {
	Record Record // as it shall be stored
	Write  bool   // Record differs from what is stored
	Event  bool   // ... by a new event, to be published
	Ask    bool   // a query is owed: leave a follow-up before acknowledging
	Resend bool   // proved: the gateway has no such refund; it may be sent again under the query's lease
}

// Decide is the whole lifecycle: from a record and news of it to the record that
// follows, with at most one event. It is pure; now becomes recorded_at.
//
// Reading it: a refund is unsent (no event yet, or WAITING), open (PENDING,
// UNKNOWN, REVIEW) or final. News that money moved always count. News that deny
// it count only from whoever could not have been overtaken; from anyone else they
// only say: ask.
func Decide(rec Record, n News, now time.Time) Decision { return decide(&rec, &n, now) }

// decide is Decide, and changes neither. Records and news are large: passed on by
// value from step to step they double the stack of each refund under way.
func decide(rec *Record, n *News, now time.Time) Decision {
	d := &decider{news: *n, now: now, before: *rec, out: Decision{Record: *rec}}
	if n.Notice != nil && rec.Known() {
		d.news = NewsOf(*rec, *n.Notice) // held against the record that it meets, which may be another than it was read for
	}
	switch {
	case d.news.Adopt != nil:
		d.adopt(*d.news.Adopt)
	case rec.Last.Status.Final():
		d.final()
	case rec.Last.Status.Open():
		d.open()
	default:
		d.unsent()
	}
	return d.out
}

// decider is Decide at work; each method is one row of the lifecycle.
type decider struct {
	news   News
	now    time.Time
	before Record
	out    Decision
}

// unsent: no event yet, or WAITING. A query is made of it only in Doubt, after a
// rebuild.
func (d *decider) unsent() {
	if !d.before.Known() && d.news.Notice != nil {
		d.seed(*d.news.Notice)
	}
	switch d.news.Outcome.Class {
	case Succeeded:
		d.become(StatusSucceeded)
	case Declined: // of an attempt before this waiting, perhaps an overtaken one
		if d.before.Known() && !d.before.counts(&d.news) {
			d.dispute()
		} else {
			d.become(StatusFailed)
		}
	case Rejected:
		if !d.before.Doubt {
			d.become(StatusRejected)
		}
	case Pending:
		d.out.Record.Accepted = true
		d.become(StatusPending)
		d.out.Ask = true
	case NotSent, Misconfigured:
		if d.before.Last.Status == StatusNone {
			d.become(StatusWaiting)
		}
	case NotFound: // after a rebuild: proved, so it may be claimed as any waiting refund
		if d.before.Doubt && d.latest() && d.believable() && d.sawAll() {
			d.out.Record.Doubt, d.out.Record.Holding = false, HoldsNothing
			d.out.Write = true
		}
		d.out.Ask = d.before.Doubt && !d.out.Write
	case Unknown, Mismatch:
		d.unclear()
	}
}

// unclear: unsent, and news that money may have moved after all.
func (d *decider) unclear() {
	switch {
	case !d.before.Known() && d.news.Source == FromQuery: // forgotten, and never announced: it begins anew
	case !d.before.Known(): // a callback that cannot be read clearly: open until asked
		d.become(StatusUnknown)
	case d.news.Source == FromQuery && d.news.Overdue && d.before.Doubt:
		d.become(StatusReview)
	case d.news.Source == FromCallback && d.news.Outcome.Class == Unknown: // the gateway knows this number
		d.become(StatusUnknown)
	case d.news.Source == FromCallback && d.before.Doubt && d.before.Holding == HoldsReserved:
		d.out.Write = true // a query that is under way has not seen it
	case d.news.Source == FromCallback: // a mismatch changes no status; as an event it outlives a loss
		d.become(StatusWaiting)
		d.out.Record.Doubt, d.out.Record.Holding = true, HoldsReserved
	}
	d.out.Ask = true
}

// open: PENDING, UNKNOWN or REVIEW: money may move.
func (d *decider) open() {
	switch d.news.Outcome.Class {
	case Succeeded:
		d.become(StatusSucceeded)
	case Declined:
		d.denied(StatusFailed)
	case NotSent, Misconfigured:
		if d.news.Source == FromWorker && !d.before.Accepted {
			d.denied(StatusWaiting)
		} else {
			d.out.Ask = true
		}
	case Rejected: // a resend that its order has no room for: proved not sent
		if d.latest() && d.news.Source == FromQuery {
			d.become(StatusRejected)
		}
	case Pending:
		d.accepted()
	case NotFound:
		d.notFound()
	case Unknown:
		d.unknown()
	case Mismatch:
		d.out.Ask = true
	}
}

// denied takes news that no money moved, where they cannot have been overtaken.
func (d *decider) denied(to Status) {
	if d.before.counts(&d.news) {
		d.become(to)
	} else {
		d.out.Ask = true
	}
}

// counts says whether news that deny that money moved come from somebody who
// cannot have been overtaken.
func (r *Record) counts(n *News) bool {
	switch n.Source {
	case FromOperator:
		return true
	case FromCallback: // it names no attempt: with more than one, or after a rebuild, which may have missed one, ask
		return r.Attempt <= 1 && !r.Missed
	default:
		return n.Token != "" && n.Token == r.Token
	}
}

// accepted: the gateway has the refund. "Processing" is no event, unless it
// clears up an unknown outcome.
func (d *decider) accepted() {
	if !d.before.Accepted {
		d.out.Record.Accepted, d.out.Write = true, true
	}
	switch {
	case d.news.Overdue && d.before.Last.Status != StatusReview:
		d.become(StatusReview)
	case d.before.Last.Status == StatusUnknown && !d.news.Overdue:
		d.become(StatusPending)
	}
	d.out.Ask = true
}

// notFound: a query's proof that the gateway has no such refund.
func (d *decider) notFound() {
	switch {
	case d.before.Accepted && d.latest(): // it said before that it had it
		if d.before.Last.Status != StatusReview {
			d.become(StatusReview)
		}
		d.out.Ask = true
	case d.latest() && d.believable() && d.before.Last.Matched:
		d.out.Resend = true
	default: // too early, or overtaken: the first call may still land
		d.unknown()
	}
}

// believable: "not found" counts only from a query begun when the doubtful attempt
// could no longer land.
func (d *decider) believable() bool {
	return !d.news.Begun.Before(d.before.CallEnd.Add(d.news.LandsWithin))
}

// unknown: sent, or perhaps sent, and no answer that says how it ended.
func (d *decider) unknown() {
	switch {
	case d.news.Overdue && d.before.Last.Status != StatusReview:
		d.become(StatusReview)
	case d.before.Last.Status == StatusPending && !d.before.Accepted && d.latest():
		d.become(StatusUnknown)
	}
	d.out.Ask = true
}

// final: SUCCEEDED, FAILED or REJECTED. What agrees changes nothing; what
// contradicts is asked about; only a query begun after that final, or an
// operator, corrects.
func (d *decider) final() {
	said := StatusNone
	switch d.news.Outcome.Class {
	case Succeeded:
		said = StatusSucceeded
	case Declined:
		said = StatusFailed
	case Mismatch:
		d.dispute()
		return
	}
	moved := d.before.Last.Status == StatusSucceeded
	contradicts := said != StatusNone && moved != (said == StatusSucceeded)
	agrees := said != StatusNone && !contradicts || !moved && d.news.Outcome.Class == NotFound
	switch {
	case d.news.Source == FromOperator && contradicts:
		d.correct(said)
	case d.news.Source == FromQuery && d.latest() && d.news.AsOf == d.before.Last.Sequence:
		if contradicts {
			d.correct(said)
		} else if agrees && d.sawAll() {
			d.out.Record.Doubt, d.out.Write = false, d.before.Doubt
			if !moved {
				d.out.Record.Holding = HoldsNothing
			}
		} else {
			d.dispute() // somebody had a reason to ask: until it is clear
		}
	case contradicts:
		d.dispute()
		if !moved && d.before.Holding == HoldsNothing { // its amount is nobody else's until then
			d.out.Record.Holding, d.out.Write = HoldsReserved, true
		}
	}
}

// dispute leaves a final status as it is and owes a query. It is written also where
// there was doubt before: a query that is under way has not seen it.
func (d *decider) dispute() {
	if !d.before.Doubt || d.news.Source != FromQuery {
		d.out.Record.Doubt, d.out.Write = true, true
	}
	d.out.Ask = true
}

// sawAll: nothing was recorded since the query began.
func (d *decider) sawAll() bool { return d.news.Version == d.before.Version }

// latest: the news come from whoever holds, or held last, the lease.
func (d *decider) latest() bool {
	return d.news.Token != "" && d.news.Token == d.before.Token
}
