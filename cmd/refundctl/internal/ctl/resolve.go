package ctl

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/internal/refund"
)

// resolving is what resolve is told.
type resolving struct {
	key                     refund.Key
	as, evidence, gatewayID string
	correct, force, yes     bool
}

func newResolve(r *run) *cobra.Command {
	var v resolving
	c := &cobra.Command{
		Use:   "resolve REFUND_NO --merchant M --as succeeded|failed --evidence TEXT",
		Short: "Say how a refund ended that the gateway cannot tell about",
		Long: `Resolve ends a refund by a person's word, source operator: for one that stays UNKNOWN
or in REVIEW, after the gateway's portal or a settlement has shown what happened.

It asks the gateway first, and refuses where the gateway says otherwise, or has the
refund and has not ended it; --force does it all the same. --force is needed as well
for a refund that is WAITING (nothing was sent: refundctl withdraw takes it back) or
PENDING (it becomes UNKNOWN or REVIEW by itself).

--as failed gives the amount back to its order, so it is refused while a call is
under way, and until resend_after past the end of the last one: until then it could
still land, and no flag changes that. --as succeeded needs no waiting. A final
status is replaced only with --correct, openly, as a correction.

Without --yes it only shows what the gateway says and what it would do.`,
		Example: `  refundctl resolve 201901010011 -m S0003469 --as succeeded --evidence "settlement of 2023-06-10, line 17" --yes
  refundctl resolve 201901010012 -m S0003469 --as failed --evidence https://tickets.example/4711 --yes`,
		Args: exactly("REFUND_NO"),
		RunE: func(c *cobra.Command, args []string) error {
			v.key.RefundNo = args[0]
			return r.resolve(c.Context(), v)
		},
	}
	f := c.Flags()
	r.merchantFlag(c, &v.key.Merchant, "the merchant `NAME` (required)")
	f.StringVar(&v.as, "as", "", "how it ended: `succeeded` or failed (required)")
	f.StringVar(&v.evidence, "evidence", "", "what shows it, for the trail and the event: `TEXT` or address (required)")
	f.StringVar(&v.gatewayID, "gateway-refund-id", "", "the gateway's own number `N` of the refund, where it is known")
	f.BoolVar(&v.correct, "correct", false, "also where it has a final status that says otherwise")
	f.BoolVar(&v.force, "force", false, "also where the gateway says otherwise, and where it is WAITING or PENDING")
	f.BoolVar(&v.yes, "yes", false, "do it")
	fatal(c.RegisterFlagCompletionFunc("as", cobra.FixedCompletions([]string{"succeeded", "failed"}, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

// resolutions by --as.
var resolutions = map[string]refund.Class{"succeeded": refund.Succeeded, "failed": refund.Declined}

func (r *run) resolve(ctx context.Context, v resolving) error {
	class, ok := resolutions[v.as]
	if !ok {
		return usage("--as %q: want succeeded or failed", v.as)
	}
	if err := needed("--merchant", v.key.Merchant, "numbers are unique within a merchant"); err != nil {
		return err
	}
	if err := needed("--evidence", v.evidence, "the trail says what shows it"); err != nil {
		return err
	}
	ctx, s, err := r.connect(ctx, kafkaUp|redisUp)
	if err != nil {
		return err
	}
	defer s.close()
	account, err := s.account(v.key.Merchant)
	if err != nil {
		return err
	}
	rec, err := s.Store.Load(ctx, v.key)
	if err != nil {
		return err
	}
	say := v.word(class, account.ResendAfter)
	if _, err := say(rec); err != nil {
		return err
	}
	told := r.askGateway(ctx, account, rec)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if told.contradicts(class) && !v.force {
		return wrong("%s, so it is not resolved as %s; --force does it all the same", told.words, v.as)
	}
	say = v.with(told, class).word(class, account.ResendAfter)
	answer := operated{Merchant: v.key.Merchant, RefundNo: v.key.RefundNo, Before: string(rec.Last.Status), Status: string(rec.Last.Status), Sequence: rec.Last.Sequence, Gateway: told.words}
	if !v.yes {
		d := refund.Decide(rec, mustSay(say, rec), s.now())
		answer.Words = fmt.Sprintf("would become %s; --yes does it", d.Record.Last.Status)
		if !d.Event {
			answer.Words = fmt.Sprintf("is %s already: nothing would change", rec.Last.Status)
		}
		return r.showOperated(answer)
	}
	task, err := r.begin(ctx, s, entry{What: "resolve --as " + v.as, Why: v.evidence, Merchant: v.key.Merchant, RefundNo: v.key.RefundNo,
		Detail: string(rec.Last.Status) + "; " + told.words})
	if err != nil {
		return err
	}
	after, changed, err := s.operate(ctx, rec, say)
	answer.Status, answer.Sequence, answer.Changed = string(after.Last.Status), after.Last.Sequence, changed
	if answer.Words = "resolved"; !changed {
		answer.Words = fmt.Sprintf("nothing changed: it is %s", after.Last.Status)
	}
	if written := task.end(ctx, err, "%s", answer.Words); err == nil {
		err = written
	}
	if err != nil {
		return err
	}
	return r.showOperated(answer)
}

func mustSay(say word, rec refund.Record) refund.News {
	news, _ := say(rec) // it was asked just before
	return news
}

// word is what the operator says, as long as it may be said of this record.
func (v resolving) word(class refund.Class, resendAfter time.Duration) word {
	return func(rec refund.Record) (refund.News, error) {
		status := rec.Last.Status
		lands := rec.CallEnd.Add(resendAfter)
		final := refund.StatusFailed
		if class == refund.Succeeded {
			final = refund.StatusSucceeded
		}
		switch {
		case !rec.Known():
			return refund.News{}, wrong("refund %s of merchant %s is not known: nothing to resolve", v.key.RefundNo, v.key.Merchant)
		case status == refund.StatusWaiting && !v.force:
			return refund.News{}, wrong("it is WAITING: nothing was sent; refundctl withdraw takes it back (--force, where the money was moved by hand)")
		case status == refund.StatusPending && !v.force:
			return refund.News{}, wrong("it is PENDING: being sent, or with the gateway; it becomes UNKNOWN or REVIEW by itself where that does not end (--force does not wait)")
		case status.Final() && status != final && !v.correct && (status == refund.StatusSucceeded || class == refund.Succeeded):
			return refund.News{}, wrong("it is %s, which is final; --correct replaces that openly", status)
		case class == refund.Declined && rec.LeaseEnd.After(rec.StoreTime):
			return refund.News{}, wrong("a call or a query of it may be under way for another %s: try again then", age(rec.LeaseEnd.Sub(rec.StoreTime)))
		case class == refund.Declined && !rec.CallEnd.IsZero() && rec.StoreTime.Before(lands):
			return refund.News{}, wrong("its last call may still land for another %s (resend_after): try again then", age(lands.Sub(rec.StoreTime)))
		}
		o := refund.Outcome{
			Class: class, ProviderRefundID: rec.Last.ProviderRefundID, TransactionID: rec.Last.TransactionID, Message: "resolved by an operator: " + v.evidence,
		}
		if v.gatewayID != "" {
			o.ProviderRefundID = v.gatewayID
		}
		return refund.News{Source: refund.FromOperator, Outcome: o}, nil
	}
}
