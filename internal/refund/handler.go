package refund

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Work is one delivery: a request, or the follow-up of an open refund.
type Work struct {
	Request   Request
	FollowUp  int    // 0: a request
	Place     string // topic/partition/offset of the message
	FirstSeen time.Time
	Alive     Alive
	// Crowded is 0 where it is this delivery's turn. Else the merchant's own
	// deliveries fill the place where others wait: this one has to wait elsewhere,
	// for about so long. Nil: never.
	Crowded func() time.Duration
}

// Handler takes one delivery to one verdict. Its steps, in this order: slot,
// claim, publish the intent, sign, look at the lease, call, record, publish,
// published. Package explorer leaves each of them out in turn and shows what
// breaks; DESIGN.md, section 3, says why.
type Handler struct {
	Accounts Accounts
	Claims   Claims
	Recorder *Recorder
	Schedule Schedule
	// Lease is how long a claim is ours. It is longer than a call with its
	// publishing before it, and at least a session timeout.
	Lease       time.Duration
	ReviewAfter time.Duration
	// Token makes a random token per claim.
	Token func() string
	// Called is told every call and query with what it brought. It may be nil.
	Called func(CallReport)
	// Claimed is told every answer to a claim or a resend. One that is ours is an event
	// of its own, PENDING, which no recorder sees. It may be nil.
	Claimed func(*Claimed)
}

// CallReport is one call or query at a gateway.
type CallReport struct {
	Merchant string
	Provider string
	RefundNo string
	Attempt  int
	Kind     CallKind
	Outcome  Outcome
	Took     time.Duration
}

// tellAfter: a wait of this length or more is told to subscribers (WAITING).
const tellAfter = time.Minute

// delivery is one Work at its account, on its way through the steps.
type delivery struct {
	*Handler
	Work
	account *Account
}

// Handle takes the delivery to its verdict. Deliveries of one order are handled
// one after another; that is the caller's to see to, for speed alone: two at once
// are safe.
func (h *Handler) Handle(ctx context.Context, w Work) Verdict {
	account, ok := h.Accounts.Account(w.Request.Merchant)
	if !ok {
		return dead(ReasonUnknownMerchant, "merchant %q is not in the configuration", w.Request.Merchant)
	}
	d := &delivery{Handler: h, Work: w, account: account}
	kind := QueryCall
	if w.FollowUp == 0 {
		kind = RefundCall
		if no := account.Gateway.Check(w.Request); no != nil {
			return d.reject(ctx, *no)
		}
	}
	if w.Crowded != nil {
		if after := w.Crowded(); after > 0 {
			return d.park(ctx, Wait{After: after, Code: CodeRateLimited, Message: "all of the merchant's calls have been under way for long"})
		}
	}
	slot, wait := d.slot(ctx, kind)
	if wait != nil {
		return d.park(ctx, *wait)
	}
	defer slot.Done(Outcome{})
	return d.claim(ctx, slot)
}

// slot is room for one call. It is given back by its first Done; the deferred one
// counts where no call was made, panics included.
func (d *delivery) slot(ctx context.Context, kind CallKind) (*heldSlot, *Wait) {
	slot, wait := d.account.Slots.Acquire(ctx, kind)
	if wait != nil {
		return nil, wait
	}
	return &heldSlot{Slot: slot}, nil
}

type heldSlot struct {
	Slot
	given sync.Once
}

func (h *heldSlot) Done(o Outcome) { h.given.Do(func() { h.Slot.Done(o) }) }

// lease is a claim's time, on our own monotonic clock, begun before the claim was
// sent: it ends for us before it ends for the store.
type lease struct {
	token string
	ends  time.Time
}

func (l lease) left() time.Duration { return time.Until(l.ends) }

// claim asks the store until it answers, then goes where the answer says.
func (d *delivery) claim(ctx context.Context, slot *heldSlot) Verdict {
	for {
		var claimed Claimed
		lease, err := d.take(ctx, &claimed)
		switch {
		case err != nil:
			return d.undecided(ctx, err)
		case claimed.Answer == Yours && d.FollowUp > 0:
			slot.Done(Outcome{})
			return d.sendForFollowUp(ctx, &claimed.Record, lease)
		case claimed.Answer == Yours:
			return d.send(ctx, slot, &claimed.Record, lease)
		case claimed.Answer == InDoubt:
			return d.query(ctx, slot, &claimed.Record, lease)
		case claimed.Answer == Conflict && d.FollowUp > 0 && d.Request != claimed.Record.Request && claimed.Record.Last.Matched:
			d.Request = claimed.Record.Request // that of a callback tells less than the request that came since
		case claimed.Answer == Unmatched:
			if err := d.adopt(ctx, &claimed.Record); err != nil {
				return d.undecided(ctx, err)
			}
		case claimed.Answer == NotNow && claimed.Wait < d.account.MaxWait:
			// In its place, but without the slot: it is another's until then.
			return Verdict{Kind: Soon, After: claimed.Wait}
		default:
			return d.unclaimed(ctx, &claimed)
		}
	}
}

// adopt gives a refund that was known from a callback alone its request.
func (d *delivery) adopt(ctx context.Context, rec *Record) error {
	_, err := d.Recorder.Note(ctx, *rec, News{Source: FromWorker, Adopt: &Adoption{d.Request, d.account.Gateway.Order(d.Request)}}, d.Alive)
	return err
}

// sendForFollowUp sends what a follow-up found to be surely not sent. Its slot was
// for a query, which an operator's hold and a breaker let pass sooner than a
// refund.
func (d *delivery) sendForFollowUp(ctx context.Context, rec *Record, held lease) Verdict {
	slot, wait := d.slot(ctx, RefundCall)
	if wait != nil {
		news := d.unsentNews(held, wait.Message)
		news.Outcome.Code, news.Outcome.RetryAfter = wait.Code, wait.After
		return d.settle(ctx, rec, news)
	}
	defer slot.Done(Outcome{})
	return d.send(ctx, slot, rec, held)
}

// take sends one claim until it is answered: the same token each time, so a lost
// reply is harmless, and the lease counted from before the first try.
func (d *delivery) take(ctx context.Context, claimed *Claimed) (lease, error) {
	claim := Claim{
		Request: d.Request, Provider: d.account.Provider, Order: d.account.Gateway.Order(d.Request),
		Token: d.Token(), Lease: d.Lease, FollowUp: d.FollowUp, Place: d.Place, FirstSeen: d.FirstSeen,
		Limits: d.account.Limits,
	}
	held := lease{token: claim.Token, ends: time.Now().Add(d.Lease)}
	bounded, cancel := context.WithTimeout(ctx, min(claimPatience, d.Lease))
	defer cancel()
	err := d.Recorder.persist(bounded, "claim", func() (err error) {
		*claimed, err = d.Claims.Claim(bounded, claim)
		return err
	})
	if err == nil {
		d.heard(claimed)
	}
	return held, err
}

func (d *delivery) heard(claimed *Claimed) {
	if d.Claimed != nil {
		d.Claimed(claimed)
	}
}

// claimPatience is how long a claim is tried while the work holds its lane and its
// merchant's slot; after it the work rests, and begins anew.
const claimPatience = 5 * time.Second

// undecided: the store did not answer, so nothing is assumed: the same work once
// more, or, where ctx has ended, by the next owner.
func (d *delivery) undecided(ctx context.Context, err error) Verdict {
	if ctx.Err() != nil || errors.Is(err, ErrLapsed) || errors.Is(err, ErrForgotten) {
		return abandon(err)
	}
	return Verdict{Kind: Again, After: time.Second, Err: err}
}
