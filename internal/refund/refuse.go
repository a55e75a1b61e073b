package refund

import (
	"context"
	"fmt"
	"time"
)

// unclaimed ends a delivery whose claim gave no right to call.
func (d *delivery) unclaimed(ctx context.Context, claimed *Claimed) Verdict {
	switch claimed.Answer {
	case NotNow:
		wait := Wait{After: claimed.Wait, Code: CodeRateLimited, Message: "the merchant's rate, or its order's interval, is used up"}
		return d.parkAs(ctx, wait, func(context.Context) (Record, error) { return d.begun(claimed.Record), nil })
	case Running, Finished:
		return d.repeat(ctx, claimed.Record)
	case ChainEnded:
		return done()
	case Conflict:
		return dead(ReasonConflict, "refund_no %s of merchant %s was used with other content: a new refund needs a new number", d.Request.RefundNo, d.Request.Merchant)
	case OrderConflict:
		return dead(ReasonOrderConflict, "order_amount or currency differs from what this order's other refunds say")
	case OverTotal:
		return d.reject(ctx, Rejection{CodeOverOrderTotal, "this amount and the order's other refunds exceed order_amount"})
	case TooMany:
		return d.reject(ctx, Rejection{CodeTooManyRefunds, fmt.Sprintf("the order has its %d refunds", d.account.Limits.MaxRefundsPerOrder)})
	case Missing:
		return dead(ReasonInternal, "follow-up %d of a refund that the store does not have", d.FollowUp)
	default:
		return dead(ReasonInternal, "the store answered a claim with %d", claimed.Answer)
	}
}

// repeat publishes the newest stored event again, same id, and sees to it that an
// open refund is followed up: whoever handles it may die. A follow-up need not
// repeat what is known to be on the topic.
func (d *delivery) repeat(ctx context.Context, rec Record) Verdict {
	if d.FollowUp == 0 || rec.Published < rec.Last.Sequence {
		published, err := d.Recorder.Publish(ctx, rec, d.Alive)
		if err != nil {
			return abandon(err)
		}
		rec = published
	}
	return d.after(&rec, false, 0)
}

// park keeps the message for a merchant that cannot be called now. A wait that
// people would notice is an event, once.
func (d *delivery) park(ctx context.Context, wait Wait) Verdict {
	return d.parkAs(ctx, wait, d.stored)
}

func (d *delivery) parkAs(ctx context.Context, wait Wait, record func(context.Context) (Record, error)) Verdict {
	if d.FollowUp > 0 {
		return d.sameLater(wait.After)
	}
	if wait.After >= tellAfter {
		rec, err := record(ctx)
		if err != nil {
			return d.undecided(ctx, err)
		}
		if !rec.Known() {
			out := Outcome{Class: NotSent, Code: wait.Code, Message: wait.Message}
			if _, err := d.Recorder.Note(ctx, rec, News{Source: FromWorker, Outcome: out}, d.Alive); err != nil {
				return abandon(err)
			}
		}
	}
	return later(wait.After, CauseParked)
}

// sameLater is the verdict of a follow-up that comes back as the same one: its
// number and its place stay.
func (d *delivery) sameLater(after time.Duration) Verdict {
	return Verdict{Kind: Later, After: after, Cause: CauseFollowUp, FollowUp: d.FollowUp}
}

// reject refuses a request here, before any call. A number that is known already
// keeps its status: the newest event is published again.
func (d *delivery) reject(ctx context.Context, why Rejection) Verdict {
	rec, err := d.stored(ctx)
	if err != nil {
		return d.undecided(ctx, err)
	}
	if d.conflicts(rec) {
		return d.unclaimed(ctx, &Claimed{Answer: Conflict, Record: rec})
	}
	if rec.Last.Status.Final() || rec.Last.Status.Open() {
		return d.repeat(ctx, rec)
	}
	noted, err := d.Recorder.Note(ctx, rec, News{Source: FromWorker, Outcome: Outcome{Class: Rejected, Code: why.Code, Message: why.Message}}, d.Alive)
	switch {
	case err != nil:
		return abandon(err)
	case d.conflicts(noted.Record): // another request of this number was recorded meanwhile
		return d.unclaimed(ctx, &Claimed{Answer: Conflict, Record: noted.Record})
	}
	return d.after(&noted.Record, noted.Ask, 0)
}

// conflicts says whether the refund's number stands for other content.
func (d *delivery) conflicts(rec Record) bool {
	return rec.Known() && rec.Last.Matched && rec.Request.Content() != d.Request.Content()
}

// stored is the refund's record, or for an unknown refund one that the request
// begins.
func (d *delivery) stored(ctx context.Context) (rec Record, err error) {
	err = d.Recorder.persist(ctx, "load", func() (err error) {
		rec, err = d.Recorder.Records.Load(ctx, d.Request.Key)
		return err
	})
	return d.begun(rec), err
}

// begun is the record, or where there is none yet the one that the request begins.
func (d *delivery) begun(rec Record) Record {
	if !rec.Known() {
		rec.Request, rec.Provider, rec.Order = d.Request, d.account.Provider, d.account.Gateway.Order(d.Request)
		rec.FirstSeen, rec.Holding = d.FirstSeen, HoldsNothing
	}
	return rec
}
