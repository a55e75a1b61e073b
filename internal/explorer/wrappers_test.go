package explorer

import (
	"context"
	"slices"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// What follows wraps a port, to leave a rule out.

// claimsFunc replaces Claim.
type claimsFunc struct {
	refund.Claims
	claim func(context.Context, refund.Claim) (refund.Claimed, error)
}

func (c claimsFunc) Claim(ctx context.Context, claim refund.Claim) (refund.Claimed, error) {
	return c.claim(ctx, claim)
}

// resendFunc replaces Resend.
type resendFunc struct {
	refund.Claims
	resend func(context.Context, refund.Record, string, time.Duration) (refund.Claimed, error)
}

func (r resendFunc) Resend(ctx context.Context, rec refund.Record, token string, d time.Duration) (refund.Claimed, error) {
	return r.resend(ctx, rec, token, d)
}

// recordsFunc changes what a process sees of a record, and what it stores.
type recordsFunc struct {
	refund.Records
	seen, stored func(refund.Record) refund.Record
}

func (r recordsFunc) Load(ctx context.Context, key refund.Key) (refund.Record, error) {
	rec, err := r.Records.Load(ctx, key)
	return r.seen(rec), err
}

func (r recordsFunc) Published(ctx context.Context, key refund.Key, sequence int64) (refund.Record, error) {
	rec, err := r.Records.Published(ctx, key, sequence)
	return r.seen(rec), err
}

func (r recordsFunc) Record(ctx context.Context, next refund.Record, endLease string) (refund.Record, bool, error) {
	if r.stored != nil {
		next = r.stored(next)
	}
	rec, won, err := r.Records.Record(ctx, next, endLease)
	return r.seen(rec), won, err
}

type publisherFunc func(context.Context, refund.Record) error

func (f publisherFunc) Publish(ctx context.Context, rec refund.Record) error { return f(ctx, rec) }

// gatewayFunc changes what calls and queries mean.
type gatewayFunc struct {
	refund.Gateway
	call, query func(refund.Outcome) refund.Outcome
}

func (g gatewayFunc) Sign(r refund.Request) (refund.Call, error) {
	call, err := g.Gateway.Sign(r)
	if err != nil || g.call == nil {
		return call, err
	}
	return func(ctx context.Context) refund.Outcome { return g.call(call(ctx)) }, nil
}

func (g gatewayFunc) Query(ctx context.Context, rec refund.Record) refund.Outcome {
	out := g.Gateway.Query(ctx, rec)
	if g.query == nil {
		return out
	}
	return g.query(out)
}

// signer signs in another way.
type signer struct {
	refund.Gateway
	sign func(refund.Request) (refund.Call, error)
}

func (s signer) Sign(r refund.Request) (refund.Call, error) { return s.sign(r) }

// restoring changes what a rebuild brings back.
type restoring struct {
	statuslog.Index
	change func(context.Context, []refund.Record) []refund.Record
}

func (r restoring) Restore(ctx context.Context, merchant, token string, recs []refund.Record) ([]refund.Record, error) {
	return r.Index.Restore(ctx, merchant, token, r.change(ctx, slices.Clone(recs)))
}
