package refund

import (
	"context"
	"time"
)

// query asks the gateway about a refund whose outcome is in doubt, under a lease
// of its own, and settles what it says. Only its proof that the gateway has no
// such refund leads to a resend.
func (d *delivery) query(ctx context.Context, slot *heldSlot, rec *Record, held lease) Verdict {
	news := News{
		Source: FromQuery, Token: held.token, Repeat: d.FollowUp == 0, // a request that came again
		AsOf: rec.Last.Sequence, Version: rec.Version, Begun: rec.StoreTime,
		// A call that broke at once may land until its deadline and resend_after have
		// passed: what is known of its end is only when it returned to us.
		LandsWithin: d.account.Timeout + d.account.ResendAfter,
		Overdue:     rec.StoreTime.Sub(rec.FirstSeen) >= d.ReviewAfter,
	}
	news.Outcome = d.timed(ctx, QueryCall, rec, func(ctx context.Context) Outcome { return d.account.Gateway.Query(ctx, *rec) })
	slot.Done(news.Outcome)

	noted := Noted{Record: *rec}
	err := d.Recorder.note(ctx, &noted, &news, d.Alive)
	switch {
	case err != nil:
		return abandon(err)
	case noted.Resend:
		return d.resend(ctx, &noted.Record, held)
	default:
		return d.after(&noted.Record, noted.Ask, 0)
	}
}

// resend sends again under the same number, within the query's lease: a new
// attempt with a lease of its own, after another look at the order's total.
func (d *delivery) resend(ctx context.Context, rec *Record, proof lease) Verdict {
	slot, wait := d.slot(ctx, RefundCall)
	if wait != nil {
		return d.repeat(ctx, *rec)
	}
	defer slot.Done(Outcome{})
	bounded, cancel := context.WithDeadline(ctx, proof.ends)
	defer cancel()
	held := lease{token: proof.token, ends: time.Now().Add(d.Lease)}
	var claimed Claimed
	err := d.Recorder.persist(bounded, "resend", func() (err error) {
		claimed, err = d.Claims.Resend(bounded, *rec, proof.token, d.Lease)
		return err
	})
	if err == nil {
		d.heard(&claimed)
	}
	if err == nil && claimed.Answer == Yours {
		return d.send(ctx, slot, &claimed.Record, held)
	}
	switch {
	case ctx.Err() != nil:
		return abandon(err)
	case err == nil && claimed.Answer == OverTotal:
		return d.settle(ctx, &claimed.Record, News{Source: FromQuery, Token: proof.token, Outcome: Outcome{
			Class: Rejected, Code: CodeOverOrderTotal, Message: "not sent, and other refunds have taken the order's room since",
		}})
	default: // the proof has lapsed with its lease; a follow-up is left only of what is on the topic
		return d.repeat(ctx, *rec)
	}
}
