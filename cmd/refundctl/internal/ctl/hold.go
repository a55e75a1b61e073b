package ctl

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/statuslog"
)

func newHold(r *run) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "hold MERCHANT --reason TEXT",
		Short: "Hold a merchant's refunds: nothing new is sent",
		Long: `Hold stops refund calls of a merchant within a second in all workers. Its refunds
become WAITING with code on_hold; those that were sent are still followed up. The
hold stands on the control topic until refundctl release.`,
		Example:           `  refundctl hold S0003469 --reason "the account is being moved"`,
		Args:              exactly("MERCHANT"),
		ValidArgsFunction: r.completeMerchants,
		RunE:              func(c *cobra.Command, args []string) error { return r.hold(c.Context(), args[0], reason, true) },
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the trail and the events: `TEXT` (required)")
	return c
}

func newRelease(r *run) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "release MERCHANT --reason TEXT",
		Short: "Let a held merchant's refunds go on",
		Long: `Release ends an operator's hold. Refunds that wait behind it go on when their delay
is over: after a minute at first, longer where the hold was long.`,
		Example:           `  refundctl release S0003469 --reason "the account was moved"`,
		Args:              exactly("MERCHANT"),
		ValidArgsFunction: r.completeMerchants,
		RunE:              func(c *cobra.Command, args []string) error { return r.hold(c.Context(), args[0], reason, false) },
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the trail: `TEXT` (required)")
	return c
}

func (r *run) hold(ctx context.Context, merchant, reason string, on bool) error {
	if err := needed("--reason", reason, "the trail says why"); err != nil {
		return err
	}
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := s.account(merchant); err != nil {
		return err
	}
	what := "release"
	if on {
		what = "hold"
	}
	task, err := r.begin(ctx, s, entry{What: what, Why: reason, Merchant: merchant})
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if on {
		err = s.Control.Hold(bounded, statuslog.Hold{Merchant: merchant, Reason: reason, Who: r.Who, At: r.Now().UTC()})
	} else {
		err = s.Control.Release(bounded, merchant)
	}
	if written := task.end(ctx, err, "on the control topic"); err == nil {
		err = written
	}
	if err != nil {
		return err
	}
	return r.holds(ctx, s)
}

func newHolds(r *run) *cobra.Command {
	return &cobra.Command{
		Use:     "holds",
		Short:   "Show which merchants operators hold",
		Long:    "Holds shows the merchants that are held, as the control topic has it: since when, by whom, why.",
		Example: "  refundctl holds",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, s, err := r.connect(c.Context(), kafkaUp)
			if err != nil {
				return err
			}
			defer s.close()
			return r.holds(ctx, s)
		},
	}
}

// held is one hold of the answer.
type held struct {
	Merchant string    `json:"merchant"`
	Since    time.Time `json:"since"`
	Who      string    `json:"who"`
	Reason   string    `json:"reason"`
}

func (r *run) holds(ctx context.Context, s *system) error {
	all, _, err := s.Control.Holds(ctx)
	if err != nil {
		return err
	}
	var rows []held
	for _, merchant := range slices.Sorted(maps.Keys(all)) {
		rows = append(rows, held{merchant, all[merchant].At, all[merchant].Who, all[merchant].Reason})
	}
	r.none(len(rows), "no merchant is held")
	return out.NewRows(r.Out, r.format, []out.Column[held]{
		{Name: "held merchant", Cell: func(h held) string { return h.Merchant }},
		{Name: "since", Cell: func(h held) string { return r.clock(h.Since) }},
		{Name: "who", Cell: func(h held) string { return h.Who }},
		{Name: "reason", Cell: func(h held) string { return h.Reason }},
	}).All(rows)
}
