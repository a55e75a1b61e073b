package explorer

import (
	"context"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

var journalDefects = []*defect{leaderAlone, silentResend, waitingBelieved, silentResendBelieved, committedBeforeTheCall, chainsForgotten, polled,
	roomRefused, doubtByClock}

// leaderAlone: the intent is published without acks=all, so an election can lose it.
var leaderAlone = &defect{name: "leader_alone", leaderAlone: true}

// silentResend: a resend publishes nothing before its call.
var silentResend = &defect{name: "silent_resend", claims: silentClaims, publisher: silentPublisher}

func silentClaims(p *process, inner refund.Claims) refund.Claims {
	return resendFunc{inner, func(ctx context.Context, rec refund.Record, token string, d time.Duration) (refund.Claimed, error) {
		claimed, err := inner.Resend(ctx, rec, token, d)
		if claimed.Answer == refund.Yours {
			p.remember("resend of "+rec.Key().String(), "silent")
		}
		return claimed, err
	}}
}

func silentPublisher(p *process, inner refund.Publisher) refund.Publisher {
	return publisherFunc(func(ctx context.Context, rec refund.Record) error {
		about := "resend of " + rec.Key().String()
		silent := p.remembered(about) != "" && rec.Last.Status.Open()
		p.remember(about, "")
		if silent {
			return nil
		}
		return inner.Publish(ctx, rec)
	})
}

// waitingBelieved: what the topic calls waiting was, for a rebuild, surely not sent, however often it was called; and a
// compaction leaves nothing but the last record of each key.
var waitingBelieved = &defect{name: "waiting_believed", index: believing, forgetful: true}

// silentResendBelieved is both.
var silentResendBelieved = &defect{name: "silent_resend_believed", claims: silentClaims, publisher: silentPublisher, index: believing, forgetful: true}

func believing(_ *process, inner statuslog.Index) statuslog.Index {
	return restoring{inner, func(_ context.Context, recs []refund.Record) []refund.Record {
		for i := range recs {
			if recs[i].Last.Status == refund.StatusWaiting {
				recs[i].Last.Attempt = 0
			}
		}
		return recs
	}}
}

// committedBeforeTheCall: once the intent is published, the message's offset is committed; then the call is made.
var committedBeforeTheCall = &defect{name: "committed_before_the_call", publisher: func(_ *process, inner refund.Publisher) refund.Publisher {
	return publisherFunc(func(ctx context.Context, rec refund.Record) error {
		err := inner.Publish(ctx, rec)
		if d, ok := ctx.Value(deliveryKey{}).(*delivery); ok && err == nil && intent(rec) {
			d.commitNow()
		}
		return err
	})
}}

// commitNow commits the delivery's message, whatever becomes of it.
func (d *delivery) commitNow() {
	d.world.broker.mu.Lock()
	d.handed.done = true
	d.world.broker.mu.Unlock()
	d.world.commit(d.member, d.tp)
}

// chainsForgotten: which follow-up of a refund goes on is known by the store alone, in a place of its own, and every other
// one is dropped: after a loss all are.
var chainsForgotten = &defect{name: "chains_forgotten",
	verdict: func(d *delivery, v refund.Verdict) refund.Verdict {
		if v.Kind == refund.Later && v.Cause == refund.CauseFollowUp {
			d.world.goesOn(d.key, v.FollowUp)
		}
		return v
	},
	claims: func(p *process, inner refund.Claims) refund.Claims {
		return claimsFunc{inner, func(ctx context.Context, c refund.Claim) (refund.Claimed, error) {
			if c.FollowUp > 0 && p.world.chain(c.Request.Key) != c.FollowUp {
				return refund.Claimed{Answer: refund.ChainEnded}, nil
			}
			return inner.Claim(ctx, c)
		}}
	},
}

func (w *world) goesOn(key refund.Key, followUp int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scratch.chains[key] = followUp
}

func (w *world) chain(key refund.Key) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.scratch.chains[key]
}

func (w *world) forgetChains() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.scratch.chains)
}

// polled: the server's identity is looked at every few seconds instead of by each script.
var polled = &defect{name: "polled", polled: 4 * time.Second}

// roomRefused: a rebuild gives a refund its reservation back only while its order has room.
var roomRefused = &defect{name: "room_refused", index: func(_ *process, inner statuslog.Index) statuslog.Index {
	return restoring{inner, func(_ context.Context, recs []refund.Record) []refund.Record {
		held := map[string]int64{}
		for i, rec := range recs {
			moves := rec.Last.Status.Open() || rec.Last.Status == refund.StatusWaiting && rec.Last.Attempt > 0
			if moves && held[rec.Order]+rec.Request.Amount.Minor > rec.Request.OrderAmount.Minor {
				recs[i].Last.Status, recs[i].Last.Attempt = refund.StatusWaiting, 0
			} else if moves || rec.Last.Status == refund.StatusSucceeded {
				held[rec.Order] += rec.Request.Amount.Minor
			}
		}
		return recs
	}}
}}

// doubtByClock: nothing is brought back; in its place whatever is claimed within ten minutes of a loss is asked about first.
var doubtByClock = &defect{name: "doubt_by_clock",
	index: func(p *process, inner statuslog.Index) statuslog.Index { return forgotten{inner, p.world} },
	claims: func(p *process, inner refund.Claims) refund.Claims {
		return claimsFunc{inner, func(ctx context.Context, c refund.Claim) (refund.Claimed, error) {
			claimed, err := inner.Claim(ctx, c)
			if claimed.Answer == refund.Yours && p.world.doubtful(c.Request.Merchant) {
				claimed.Answer = refund.InDoubt
			}
			return claimed, err
		}}
	},
}

type forgotten struct {
	statuslog.Index
	world *world
}

func (f forgotten) Restore(context.Context, string, string, []refund.Record) ([]refund.Record, error) {
	return nil, nil
}

func (f forgotten) Finish(ctx context.Context, merchant, token string, epoch int64) (int64, error) {
	at, err := f.Index.Finish(ctx, merchant, token, epoch)
	if err == nil && epoch > 0 {
		f.world.mu.Lock()
		defer f.world.mu.Unlock()
		f.world.scratch.opened[merchant] = time.Now()
	}
	return at, err
}

const doubtfulFor = 10 * time.Minute

func (w *world) doubtful(merchant string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ever := w.scratch.opened[merchant]
	return ever && time.Since(at) < doubtfulFor
}
