package refund

import (
	"context"
	"time"
)

// send is the path of the money: intent, sign, look, call, settle. It begins with
// a claim, or a resend, that is ours.
//
// A crash before the call is safe: the intent, or the claim, says that money may
// move, and the next owner asks first. A crash after it is the same.
func (d *delivery) send(ctx context.Context, slot *heldSlot, rec *Record, held lease) Verdict {
	// The intent: the newest event says that money may move, on every in-sync
	// replica, before any byte leaves. A resend publishes the stored one again.
	if err := d.announce(ctx, rec, held); err != nil {
		slot.Done(Outcome{}) // what follows may take long, and calls nobody
		if ctx.Err() != nil || held.left() > 0 {
			return abandon(err) // lapsed, or draining: the next owner goes on
		}
		return d.settle(ctx, rec, d.unsentNews(held, "the intent could not be published in time"))
	}
	if rec.Token != held.token || !rec.Last.Status.Open() {
		return d.after(rec, false, 0) // others came between: the record is theirs
	}

	call, err := d.account.Gateway.Sign(rec.Request)
	if err != nil {
		out := Outcome{Class: Misconfigured, Code: CodeMisconfigured, Message: err.Error()}
		slot.Done(out)
		return d.settle(ctx, rec, d.callNews(rec, held, out))
	}

	// The look at the lease: whoever was paused until here sends nothing. Nothing
	// is signed again after it, so a call that leaves late is stale.
	if held.left() < d.account.Timeout {
		slot.Done(Outcome{})
		return d.settle(ctx, rec, d.unsentNews(held, "the lease was too short for the call"))
	}
	out := d.timed(ctx, RefundCall, rec, call)
	slot.Done(out)
	return d.settle(ctx, rec, d.callNews(rec, held, out))
}

// announce publishes the intent, at most until the lease ends.
func (d *delivery) announce(ctx context.Context, rec *Record, held lease) error {
	bounded, cancel := context.WithDeadline(ctx, held.ends)
	defer cancel()
	return d.Recorder.announce(bounded, rec, d.Alive)
}

// callNews is what the call of an announced attempt brought.
func (d *delivery) callNews(announced *Record, held lease, out Outcome) News {
	return News{Source: FromWorker, Outcome: out, Token: held.token, Announced: announced.Last.Sequence}
}

func (d *delivery) unsentNews(held lease, why string) News {
	return News{Source: FromWorker, Token: held.token, Outcome: Outcome{Class: NotSent, Message: why}}
}

// timed runs one call or query within the account's timeout and reports it.
func (d *delivery) timed(ctx context.Context, kind CallKind, rec *Record, call Call) Outcome {
	bounded, cancel := context.WithTimeout(ctx, d.account.Timeout)
	defer cancel()
	began := time.Now()
	out := call(bounded)
	if d.Called != nil {
		d.Called(CallReport{
			Merchant: d.account.Merchant, Provider: d.account.Provider, RefundNo: rec.Request.RefundNo, Attempt: rec.Attempt,
			Kind: kind, Outcome: out, Took: time.Since(began),
		})
	}
	return out
}

// settle takes a call's news to the store and the status topic, and says when
// this refund is looked at again.
func (d *delivery) settle(ctx context.Context, rec *Record, news News) Verdict {
	noted := Noted{Record: *rec}
	if err := d.Recorder.note(ctx, &noted, &news, d.Alive); err != nil {
		return abandon(err)
	}
	return d.after(&noted.Record, noted.Ask, news.Outcome.RetryAfter)
}

// after says what a refund in this state is owed: nothing more, another try, or a
// query.
func (d *delivery) after(rec *Record, ask bool, retry time.Duration) Verdict {
	switch {
	case rec.Last.Status == StatusWaiting && !rec.Doubt && d.FollowUp > 0: // it may tell no more than a callback did: no request
		return d.sameLater(d.Schedule.Again(retry, rec.Attempt))
	case rec.Last.Status == StatusWaiting && !rec.Doubt:
		return later(d.Schedule.Again(retry, rec.Attempt), CauseRetry)
	case rec.Last.Status.Final() && !rec.Doubt && !ask:
		return done()
	default:
		return d.followUp(rec)
	}
}

// followUp is the verdict that asks about an open refund later. Its number is one
// above the one that was taken last; of several with that number the first that
// is read goes on, the others end.
func (d *delivery) followUp(rec *Record) Verdict {
	number := rec.FollowUp + 1
	return Verdict{Kind: Later, After: d.Schedule.After(number), Cause: CauseFollowUp, FollowUp: number}
}
