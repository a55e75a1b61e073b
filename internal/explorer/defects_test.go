package explorer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

var allDefects = slices.Concat(leaseDefects, journalDefects, []*defect{markBeforeWork, resendOnTimeOut, reserveAfterTheCall, commitBeforePublish, leaseIgnored, noIntent, lateDenialBelieved,
	deadQueryIsNotFound, deadQueryIsNotSent, notFoundAtOnce, noQuietTime, sequencesFromOne, sequencesFromOneHeld, assumeNew, tokensSurvive, onlyAcknowledged, noLook, heldLong})

// markBeforeWork: whoever comes second is told that all is done, as by a SETNX before the work.
var markBeforeWork = &defect{name: "mark_before_work", claims: func(p *process, inner refund.Claims) refund.Claims {
	return claimsFunc{inner, func(ctx context.Context, c refund.Claim) (refund.Claimed, error) {
		claimed, err := inner.Claim(ctx, c)
		if err != nil || claimed.Answer != refund.Yours && claimed.Answer != refund.InDoubt {
			return claimed, err
		}
		if !p.world.mark(c.Request.Key, c.Token) {
			claimed.Answer = refund.Finished
		}
		return claimed, nil
	}}
}}

// mark is true for the first token that asks.
func (w *world) mark(key refund.Key, token string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.scratch.marked[key] == "" {
		w.scratch.marked[key] = token
	}
	return w.scratch.marked[key] == token
}

// resendOnTimeOut: a call whose outcome is not known counts as not sent.
var resendOnTimeOut = &defect{name: "resend_on_time_out", account: func(a *refund.Account) {
	a.Gateway = gatewayFunc{Gateway: a.Gateway, call: func(o refund.Outcome) refund.Outcome {
		if o.Class == refund.Unknown {
			o.Class = refund.NotSent
		}
		return o
	}}
}}

// reserveAfterTheCall: a claim does not see what the order's other refunds have reserved; the store keeps an order for each
// refund.
var reserveAfterTheCall = &defect{name: "reserve_after_the_call",
	claims: func(_ *process, inner refund.Claims) refund.Claims {
		return claimsFunc{inner, func(ctx context.Context, c refund.Claim) (refund.Claimed, error) {
			c.Order += "#" + c.Request.RefundNo
			claimed, err := inner.Claim(ctx, c)
			claimed.Record = commonOrder(claimed.Record)
			return claimed, err
		}}
	},
	records: func(_ *process, inner refund.Records) refund.Records {
		return recordsFunc{Records: inner, seen: commonOrder, stored: func(rec refund.Record) refund.Record {
			rec.Order = commonOrder(rec).Order + "#" + rec.Request.RefundNo
			return rec
		}}
	},
}

// commonOrder is a record whose order is that of the request again.
func commonOrder(rec refund.Record) refund.Record {
	rec.Order, _, _ = strings.Cut(rec.Order, "#")
	return rec
}

// commitBeforePublish: the offset is committed once the refund is claimed.
var commitBeforePublish = &defect{name: "commit_before_publish", publisher: func(_ *process, inner refund.Publisher) refund.Publisher {
	return publisherFunc(func(ctx context.Context, rec refund.Record) error {
		if d, ok := ctx.Value(deliveryKey{}).(*delivery); ok {
			d.commitNow()
		}
		return inner.Publish(ctx, rec)
	})
}}

// leaseIgnored: the worker believes in its lease long after the store has given it to somebody else.
var leaseIgnored = &defect{name: "lease_ignored",
	handler: func(h *refund.Handler) { h.Lease = 10 * time.Minute },
	claims: func(_ *process, inner refund.Claims) refund.Claims {
		return claimsFunc{shortLease{inner}, func(ctx context.Context, c refund.Claim) (refund.Claimed, error) {
			c.Lease = lease
			return inner.Claim(ctx, c)
		}}
	},
}

type shortLease struct{ refund.Claims }

func (s shortLease) Resend(ctx context.Context, rec refund.Record, token string, _ time.Duration) (refund.Claimed, error) {
	return s.Claims.Resend(ctx, rec, token, lease)
}

// noIntent: nothing is published before the call.
var noIntent = &defect{name: "no_intent", publisher: func(_ *process, inner refund.Publisher) refund.Publisher {
	return publisherFunc(func(ctx context.Context, rec refund.Record) error {
		if rec.Last.Status == refund.StatusPending && rec.Last.Source == refund.FromWorker {
			return nil
		}
		return inner.Publish(ctx, rec)
	})
}}

// lateDenialBelieved: everybody takes himself for the latest attempt.
var lateDenialBelieved = &defect{name: "late_denial_believed",
	claims: func(p *process, inner refund.Claims) refund.Claims {
		return claimsFunc{inner, func(ctx context.Context, c refund.Claim) (refund.Claimed, error) {
			p.remember("token "+c.Request.Key.String(), c.Token)
			return inner.Claim(ctx, c)
		}}
	},
	records: func(p *process, inner refund.Records) refund.Records {
		return recordsFunc{Records: inner, seen: func(rec refund.Record) refund.Record {
			if token := p.remembered("token " + rec.Key().String()); token != "" {
				rec.Token = token
			}
			return rec
		}}
	},
}

func (p *process) remember(key, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.own == nil {
		p.own = map[string]string{}
	}
	p.own[key] = what
}

func (p *process) remembered(key string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.own[key]
}

// deadQueryIsNotFound and deadQueryIsNotSent: a query that brought no answer says that nothing was sent.
var (
	deadQueryIsNotFound = deadQueryIs("dead_query_is_not_found", refund.NotFound)
	deadQueryIsNotSent  = deadQueryIs("dead_query_is_not_sent", refund.NotSent)
)

func deadQueryIs(name string, class refund.Class) *defect {
	return &defect{name: name, account: func(a *refund.Account) {
		a.Gateway = gatewayFunc{Gateway: a.Gateway, query: func(o refund.Outcome) refund.Outcome {
			if o.Class == refund.Unknown && o.Outage {
				o.Class = class
			}
			return o
		}}
	}}
}

// notFoundAtOnce: "no such refund" counts although the call may still land.
var notFoundAtOnce = &defect{name: "not_found_at_once", account: func(a *refund.Account) { a.ResendAfter = 0 }}

// noQuietTime: a rebuild begins as soon as the loss is seen.
var noQuietTime = &defect{name: "no_quiet_time", quiet: new(time.Duration)}

// sequencesFromOne: a rebuild begins the same epoch again.
var sequencesFromOne = &defect{name: "sequences_from_one", index: func(_ *process, inner statuslog.Index) statuslog.Index {
	return sameEpoch{inner}
}}

type sameEpoch struct{ statuslog.Index }

func (s sameEpoch) Finish(ctx context.Context, merchant, token string, epoch int64) (int64, error) {
	at, err := s.Index.Finish(ctx, merchant, token, 0)
	if err != nil { // a failover's sentinel only goes up
		return s.Index.Finish(ctx, merchant, token, epoch)
	}
	return at, nil
}

// sequencesFromOneHeld: and events are held for long beside it.
var sequencesFromOneHeld = &defect{name: "sequences_from_one_held", index: sequencesFromOne.index, fresh: time.Hour}

// assumeNew: a store that knows nothing is taken for a new one.
var assumeNew = &defect{name: "assume_new", index: func(p *process, inner statuslog.Index) statuslog.Index {
	return newIndex{inner, p.world}
}}

type newIndex struct {
	statuslog.Index
	world *world
}

func (n newIndex) Note(ctx context.Context, merchant, offsets string) error {
	err := n.Index.Note(ctx, merchant, offsets)
	var missing *dedupe.EpochMissingError
	if errors.As(err, &missing) {
		_, err = n.world.store.Begin(ctx, merchant, 0)
	}
	return err
}

// tokensSurvive: after a rebuild a record still has the token that the store had kept, until somebody claims it anew.
var tokensSurvive = &defect{name: "tokens_survive",
	index: func(p *process, inner statuslog.Index) statuslog.Index { return oldTokens{inner, p.world} },
	records: func(p *process, inner refund.Records) refund.Records {
		return recordsFunc{Records: inner, seen: func(rec refund.Record) refund.Record {
			if rec.Known() && rec.Token == "" && !rec.Last.Status.Final() {
				rec.Token = p.world.survivor(rec.Key())
			}
			return rec
		}}
	},
}

type oldTokens struct {
	statuslog.Index
	world *world
}

func (o oldTokens) Restore(ctx context.Context, merchant, token string, recs []refund.Record) ([]refund.Record, error) {
	for _, rec := range recs {
		if stored, ok := o.world.store.peek(rec.Key()); ok && stored.Token != "" {
			o.world.mark(rec.Key(), stored.Token)
		}
	}
	return o.Index.Restore(ctx, merchant, token, recs)
}

func (w *world) survivor(key refund.Key) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.scratch.marked[key]
}

// onlyAcknowledged: a request that finds its refund open is done with.
var onlyAcknowledged = &defect{name: "only_acknowledged", verdict: func(d *delivery, v refund.Verdict) refund.Verdict {
	if d.followUp == 0 && !d.asked && v.Kind == refund.Later && v.Cause == refund.CauseFollowUp {
		return refund.Verdict{Kind: refund.Done}
	}
	return v
}}

// noLook: nobody looks at the record after publishing.
var noLook = &defect{name: "no_look", records: func(_ *process, inner refund.Records) refund.Records {
	return blind{inner}
}}

type blind struct{ refund.Records }

func (b blind) Published(ctx context.Context, key refund.Key, sequence int64) (refund.Record, error) {
	rec, err := b.Records.Published(ctx, key, sequence)
	rec.Last.Sequence = min(rec.Last.Sequence, sequence)
	return rec, err
}

// heldLong: an event is published however old it has become.
var heldLong = &defect{name: "held_long", fresh: time.Hour}
