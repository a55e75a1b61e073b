package app

import (
	"context"
	"errors"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// route is the consumer.Handler: bytes to domain, to the refund.Handler, to the
// consumer's verdict.
type route struct {
	handler   *refund.Handler
	accounts  refund.Accounts
	calls     func(merchant string) int // its concurrency
	followUps *followUps
	schedule  refund.Schedule
	waited    func(cause string, d time.Duration)
	tracing   *telemetry.Tracing // nil: off
	group     string
}

// Route decodes the delivery, once, and puts it into the lane of its order.
func (r *route) Route(d *consumer.Delivery) (consumer.Lane, consumer.Work) {
	work, err := decode(*d)
	if err != nil {
		dead := consumer.Dead(reasonOf(err), err)
		return consumer.Lane{}, func(context.Context) consumer.Verdict { return dead }
	}
	routed, waits := time.Now(), true
	return r.lane(work.Request), func(ctx context.Context) consumer.Verdict {
		if waits { // the first try: works of one delivery never run at the same time
			waits = false
			r.waited(telemetry.WaitsForWork, time.Since(routed))
		}
		return verdict(r.process(ctx, d, work, routed))
	}
}

// panicked ends a delivery whose work panicked three times.
func (r *route) panicked(ctx context.Context, d consumer.Delivery, cause error) consumer.Verdict {
	work, err := decode(d)
	if err != nil {
		return consumer.Dead(reasonOf(err), err)
	}
	return verdict(r.handler.Salvage(ctx, work, cause, func(ctx context.Context, rec refund.Record) error {
		return r.followUps.FollowUp(ctx, rec, r.schedule.After(rec.FollowUp+1))
	}))
}

// decode makes the domain's work of a delivery. The error is an *events.Error.
func decode(d consumer.Delivery) (refund.Work, error) {
	read := events.DecodeRequest
	if d.Cause == consumer.CauseFollowUp {
		read = events.DecodeFollowUp
	}
	request, err := read(d.Value, events.As[events.Header](d.Headers))
	if err != nil {
		return refund.Work{}, err
	}
	work := refund.Work{Request: request, Place: d.Place(), FirstSeen: d.FirstSeen, Alive: d.Alive, Crowded: d.Crowded}
	if d.Cause == consumer.CauseFollowUp {
		work.FollowUp = max(d.FollowUp, 1)
	}
	return work, nil
}

// lane is the order that the refund belongs to, on its merchant's account: no more
// of a merchant's run than may call. An unknown merchant's message stands alone.
func (r *route) lane(request refund.Request) consumer.Lane {
	account, ok := r.accounts.Account(request.Merchant)
	if !ok {
		return consumer.Lane{}
	}
	merchant := request.Merchant
	return consumer.Lane{Name: merchant + "/" + account.Gateway.Order(request), Share: merchant, Most: r.calls(merchant)}
}

func reasonOf(err error) consumer.Reason {
	var decoding *events.Error
	if errors.As(err, &decoding) && decoding.Reason == events.Invalid {
		return consumer.ReasonInvalid
	}
	return consumer.ReasonUndecodable
}

// shortestPause before the same work runs again in its place.
const shortestPause = 10 * time.Millisecond

// verdict translates: the words are the same, the packages do not know each other.
func verdict(v refund.Verdict) consumer.Verdict {
	switch v.Kind {
	case refund.Done:
		return consumer.Done()
	case refund.Later:
		return consumer.Later(v.After, consumer.Cause(v.Cause), v.FollowUp)
	case refund.Dead:
		return consumer.Dead(consumer.Reason(v.Reason), v.Err)
	case refund.Again:
		return consumer.Again(max(v.After, shortestPause), v.Err.Error())
	case refund.Soon:
		return consumer.Soon(max(v.After, shortestPause), "its turn at the merchant's rate, or at its order's interval")
	default:
		return consumer.Abandon()
	}
}
