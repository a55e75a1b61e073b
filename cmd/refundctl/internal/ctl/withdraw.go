package ctl

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/internal/refund"
)

func newWithdraw(r *run) *cobra.Command {
	var merchant, reason string
	c := &cobra.Command{
		Use:   "withdraw REFUND_NO --merchant M --reason TEXT",
		Short: "Take back a refund that was not sent yet",
		Long: `Withdraw makes a refund that was surely not sent (WAITING, or not begun) REJECTED
with code withdrawn. Its messages that still wait end by themselves. A refund for
which a call was announced cannot be withdrawn: the command says so and changes
nothing, also where a worker comes between.

The number cannot be used again.`,
		Example: `  refundctl withdraw 201901010011 --merchant S0003469 --reason "customer keeps the goods"`,
		Args:    exactly("REFUND_NO"),
		RunE: func(c *cobra.Command, args []string) error {
			return r.withdraw(c.Context(), refund.Key{Merchant: merchant, RefundNo: args[0]}, reason)
		},
	}
	r.merchantFlag(c, &merchant, "the merchant `NAME` (required)")
	c.Flags().StringVar(&reason, "reason", "", "why, for the trail and the event: `TEXT` (required)")
	return c
}

func (r *run) withdraw(ctx context.Context, key refund.Key, reason string) error {
	if err := needed("--merchant", key.Merchant, "numbers are unique within a merchant"); err != nil {
		return err
	}
	if err := needed("--reason", reason, "the trail says why"); err != nil {
		return err
	}
	ctx, s, err := r.connect(ctx, kafkaUp|redisUp)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := s.account(key.Merchant); err != nil {
		return err
	}
	rec, err := s.Store.Load(ctx, key)
	if err == nil && !rec.Known() {
		rec, err = s.unknownRequest(ctx, rec)
	}
	if err != nil {
		return err
	}
	task, err := r.begin(ctx, s, entry{What: "withdraw", Why: reason, Merchant: key.Merchant, RefundNo: key.RefundNo, Detail: statusOr(rec.Last.Status, "not begun")})
	if err != nil {
		return err
	}
	after, changed, err := s.operate(ctx, rec, func(refund.Record) (refund.News, error) {
		return refund.News{Source: refund.FromOperator, Outcome: refund.Outcome{Class: refund.Rejected, Code: refund.CodeWithdrawn, Message: reason}}, nil
	})
	answer := operated{Merchant: key.Merchant, RefundNo: key.RefundNo, Before: statusOr(rec.Last.Status, "not begun"), Status: string(after.Last.Status),
		Sequence: after.Last.Sequence, Changed: changed, Words: withdrawWords(after, changed)}
	if written := task.end(ctx, err, "%s", answer.Words); err == nil {
		err = written
	}
	if err != nil {
		return err
	}
	if err := r.showOperated(answer); err != nil {
		return err
	}
	if after.Last.Code != refund.CodeWithdrawn {
		return found()
	}
	return nil
}

func withdrawWords(after refund.Record, changed bool) string {
	switch status := after.Last.Status; {
	case changed:
		return "withdrawn"
	case after.Last.Code == refund.CodeWithdrawn:
		return "it was withdrawn before"
	case status.Open():
		return "not withdrawn: a call was announced, money may have moved; refundctl show says what happens next"
	case after.Doubt && !status.Final():
		return "not withdrawn: Redis was rebuilt, and the gateway is asked about it first"
	default:
		return "not withdrawn: it has ended as " + string(status)
	}
}
