package refund

import "cmp"

// correct replaces a final status, openly.
func (d *decider) correct(to Status) {
	d.become(to)
	d.out.Record.Last.Correction = true
}

// seed makes the record of a refund that is known from a callback alone.
func (d *decider) seed(n Notice) {
	rec := &d.out.Record
	rec.Request, rec.Order = n.Request, n.Order
	rec.FirstSeen = d.now
	rec.Holding = HoldsNothing
}

// adopt gives a record that is known from a callback alone its request. The
// gateway is asked before anything else.
func (d *decider) adopt(a Adoption) {
	if d.before.Last.Matched || !d.before.Known() {
		return
	}
	rec := &d.out.Record
	rec.Request, rec.Order = a.Request, a.Order
	rec.Doubt = rec.Last.Status.Final() // an open one is asked about in any case
	last := rec.Last
	held := rec.Holding
	d.become(last.Status)
	if rec.Doubt && held == HoldsReserved {
		rec.Holding = held // disputed
	}
	rec.Last.ProviderStatus, rec.Last.Code, rec.Last.Message = last.ProviderStatus, last.Code, last.Message
	rec.Last.OccurredAt = last.OccurredAt
	rec.Last.Matched = true
	d.out.Ask = true
}

// matched: a record that begins with a callback has no request yet.
func (d *decider) matched() bool {
	if d.before.Known() {
		return d.before.Last.Matched
	}
	return d.news.Notice == nil
}

// become writes a new event.
func (d *decider) become(status Status) {
	rec, o := &d.out.Record, &d.news.Outcome
	occurred := o.OccurredAt
	if occurred.IsZero() {
		occurred = d.now
	}
	last := rec.Last
	rec.Last = Event{
		Sequence: d.before.NextSequence(),
		Status:   status,
		Source:   d.news.Source,
		Matched:  d.matched(),
		Attempt:  d.before.Attempt,
		Epoch:    d.before.Epoch,

		ProviderStatus: o.ProviderStatus, Code: o.Code, Message: o.Message,
		// The gateway's names of the refund and of its payment stay known.
		ProviderRefundID: cmp.Or(o.ProviderRefundID, last.ProviderRefundID),
		TransactionID:    cmp.Or(o.TransactionID, last.TransactionID),
		OccurredAt:       occurred, RecordedAt: d.now,
	}
	switch {
	case status == StatusSucceeded:
		rec.Holding = HoldsSucceeded
	case status.Open():
		rec.Holding = HoldsReserved
	default:
		rec.Holding = HoldsNothing
	}
	if status.Final() {
		rec.Request.Reason, rec.Request.Terminal = "", ""
		rec.Missed = false
		if d.news.Adopt == nil {
			rec.Doubt = false
		}
	}
	if status == StatusWaiting {
		rec.Accepted = false
	}
	d.out.Write, d.out.Event = true, true
}
