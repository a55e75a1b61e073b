package explorer

import (
	"context"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

var leaseDefects = []*defect{leaseFromAnswer, leaseFromAnswerDeaf, leaseByWallClock, noLookAfterPublishing, signedAgain, callLeavesLate,
	tokenOfPlace, resendWithoutTotal, resendWithoutToken}

// The worker's own look at its lease is taken out, and another one is put in its place: its lease begins, and is looked at,
// as the defect says. The store's is as ever.
var (
	// leaseFromAnswer: the lease begins, for the worker, when its claim is answered.
	leaseFromAnswer = ownLook("lease_from_answer", fromAnswer, true)
	// leaseByWallClock: a clock that is set back by a minute while the lease runs makes it a minute longer.
	leaseByWallClock = ownLook("lease_by_wall_clock", func(sent, _ time.Time) time.Time { return sent.Add(lease + time.Minute) }, true)
	// noLookAfterPublishing: whoever has published his intent in time calls, however late it has become.
	noLookAfterPublishing = ownLook("no_look_after_publishing", func(sent, _ time.Time) time.Time { return sent.Add(lease) }, false)
	// leaseFromAnswerDeaf: and nobody asks for a sign of life of his generation.
	leaseFromAnswerDeaf = func() *defect {
		d := ownLook("lease_from_answer_deaf", fromAnswer, true)
		d.deaf = true
		return d
	}()
)

func fromAnswer(_, answered time.Time) time.Time { return answered.Add(lease) }

func ownLook(name string, ends func(sent, answered time.Time) time.Time, beforeCall bool) *defect {
	d := &defect{name: name,
		handler: func(h *refund.Handler) { h.Lease = time.Hour },
		claims: func(p *process, inner refund.Claims) refund.Claims {
			return ownLease{inner, p, ends}
		},
	}
	if beforeCall {
		d.account = func(a *refund.Account) {
			p := a.Gateway.(gatewayPort).proc
			a.Gateway = signer{a.Gateway, func(r refund.Request) (refund.Call, error) {
				call, err := p.sign(r)
				return func(ctx context.Context) refund.Outcome {
					if p.leaseLeft(r.Key) < callTimeout {
						return refund.Outcome{Class: refund.NotSent, Message: "the lease was too short for the call"}
					}
					return call(ctx)
				}, err
			}}
		}
	} else {
		d.publisher = func(p *process, inner refund.Publisher) refund.Publisher {
			return publisherFunc(func(ctx context.Context, rec refund.Record) error {
				if intent(rec) && p.leaseLeft(rec.Key()) < callTimeout {
					return refund.ErrLapsed
				}
				return inner.Publish(ctx, rec)
			})
		}
	}
	return d
}

// intent says whether the record's newest event announces a call.
func intent(rec refund.Record) bool {
	return rec.Last.Status == refund.StatusPending && rec.Last.Source == refund.FromWorker
}

// ownLease remembers, per refund, when its process takes its newest lease to end.
type ownLease struct {
	refund.Claims
	proc *process
	ends func(sent, answered time.Time) time.Time
}

func (o ownLease) Claim(ctx context.Context, c refund.Claim) (refund.Claimed, error) {
	sent := time.Now()
	c.Lease = lease
	claimed, err := o.Claims.Claim(ctx, c)
	if claimed.Answer == refund.Yours {
		o.proc.holds(c.Request.Key, o.ends(sent, time.Now()))
	}
	return claimed, err
}

func (o ownLease) Resend(ctx context.Context, rec refund.Record, token string, _ time.Duration) (refund.Claimed, error) {
	sent := time.Now()
	claimed, err := o.Claims.Resend(ctx, rec, token, lease)
	if claimed.Answer == refund.Yours {
		o.proc.holds(rec.Key(), o.ends(sent, time.Now()))
	}
	return claimed, err
}

func (p *process) holds(key refund.Key, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leases == nil {
		p.leases = map[refund.Key]time.Time{}
	}
	p.leases[key] = until
}

func (p *process) leaseLeft(key refund.Key) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.leases[key])
}

// sign is the process's gateway's.
func (p *process) sign(r refund.Request) (refund.Call, error) {
	return gatewayPort{gatewayOf(r.Merchant), p}.Sign(r)
}

// callLeavesLate is no defect of the system: a process is paused between its look at the lease and the socket.
var callLeavesLate = lateCall("call_leaves_late", false)

// signedAgain: what leaves then is signed only then.
var signedAgain = lateCall("signed_again", true)

// lateCall has a gate between the look at the lease and a call, whose own time begins behind it.
func lateCall(name string, signs bool) *defect {
	return &defect{name: name, account: func(a *refund.Account) {
		p := a.Gateway.(gatewayPort).proc
		a.Gateway = signer{a.Gateway, func(r refund.Request) (refund.Call, error) {
			call, err := p.sign(r)
			return func(ctx context.Context) refund.Outcome {
				p.pass(ctx, "look", after, r.Key.String())
				late, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
				defer cancel()
				if signs {
					call = must(p.sign(r))
				}
				return call(late)
			}, err
		}}
	}}
}

// tokenOfPlace: the token of a claim is where its message lies, so whoever is handed the same message has the same one.
var tokenOfPlace = &defect{name: "token_of_place",
	claims: func(p *process, inner refund.Claims) refund.Claims { return placeClaims{inner, p} },
	records: func(p *process, inner refund.Records) refund.Records {
		return placeRecords{recordsFunc{Records: inner, seen: p.ownToken}, p}
	},
}

type placeClaims struct {
	refund.Claims
	proc *process
}

func (c placeClaims) Claim(ctx context.Context, claim refund.Claim) (refund.Claimed, error) {
	c.proc.remember("place of "+claim.Token, claim.Place)
	c.proc.remember("token of "+claim.Place, claim.Token)
	claim.Token = claim.Place
	claimed, err := c.Claims.Claim(ctx, claim)
	claimed.Record = c.proc.ownToken(claimed.Record)
	return claimed, err
}

func (c placeClaims) Resend(ctx context.Context, rec refund.Record, token string, d time.Duration) (refund.Claimed, error) {
	claimed, err := c.Claims.Resend(ctx, rec, c.proc.remembered("place of "+token), d)
	claimed.Record = c.proc.ownToken(claimed.Record)
	return claimed, err
}

// ownToken shows a record whose token is a place with the token that the process itself has for it.
func (p *process) ownToken(rec refund.Record) refund.Record {
	if own := p.remembered("token of " + rec.Token); own != "" {
		rec.Token = own
	}
	return rec
}

type placeRecords struct {
	recordsFunc
	proc *process
}

func (r placeRecords) Record(ctx context.Context, next refund.Record, endLease string) (refund.Record, bool, error) {
	return r.recordsFunc.Record(ctx, next, r.proc.remembered("place of "+endLease))
}

// resendWithoutTotal: a resend takes no look at the order: nobody asks whether the room is still there.
var resendWithoutTotal = &defect{name: "resend_without_total", claims: func(_ *process, inner refund.Claims) refund.Claims {
	return resendFunc{inner, func(ctx context.Context, rec refund.Record, token string, d time.Duration) (refund.Claimed, error) {
		claimed, err := inner.Resend(ctx, rec, token, d)
		if claimed.Answer == refund.OverTotal {
			claimed.Answer = refund.Yours
		}
		return claimed, err
	}}
}}

// resendWithoutToken: whoever has the proof sends, whoever the store takes for the owner.
var resendWithoutToken = &defect{name: "resend_without_token", claims: func(p *process, inner refund.Claims) refund.Claims {
	return resendFunc{inner, func(ctx context.Context, rec refund.Record, token string, d time.Duration) (refund.Claimed, error) {
		claimed, err := inner.Resend(context.WithoutCancel(ctx), rec, token, d)
		if claimed.Answer == refund.NotYours {
			claimed = refund.Claimed{Answer: refund.Yours, Record: rec}
			claimed.Record.Token, claimed.Record.Seen = token, time.Now()
		}
		return claimed, err
	}}
}}
