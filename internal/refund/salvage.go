package refund

import (
	"context"
	"fmt"
)

// Salvage ends a delivery whose work panicked for good: the message becomes a dead
// letter, and where the refund is open money may have moved, so its record is
// UNKNOWN and owed a follow-up, which leave writes before the verdict counts.
func (h *Handler) Salvage(ctx context.Context, w Work, cause error, leave func(context.Context, Record) error) Verdict {
	account, ok := h.Accounts.Account(w.Request.Merchant)
	if !ok {
		return dead(ReasonUnknownMerchant, "merchant %q is not in the configuration", w.Request.Merchant)
	}
	d := &delivery{Handler: h, Work: w, account: account}
	rec, err := d.stored(ctx)
	if err != nil {
		return d.undecided(ctx, err)
	}
	if rec.Known() && (rec.Last.Status.Open() || rec.Doubt) {
		lost := News{Source: FromWorker, Token: rec.Token, KeepLease: true, Outcome: Outcome{Class: Unknown, Message: "the handling of this refund failed; it is being asked about"}}
		noted, err := h.Recorder.Note(ctx, rec, lost, w.Alive)
		if err != nil {
			return abandon(err)
		}
		if err := h.Recorder.persist(ctx, "follow-up", func() error { return leave(ctx, noted.Record) }); err != nil {
			return abandon(err)
		}
	}
	return Verdict{Kind: Dead, Reason: ReasonInternal, Err: fmt.Errorf("this message cannot be handled: %w", cause)}
}
