package ctl

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/kafka"
)

// trailing is what trail is told.
type trailing struct {
	who, what, merchant, refundNo, since string
	all, follow                          bool
}

func newTrail(r *run) *cobra.Command {
	var t trailing
	c := &cobra.Command{
		Use:   "trail",
		Short: "Show what operators changed: who, when, what, why, from where",
		Long: `Trail shows topic refund.audit: a line when a command that changes something
begins, and one when it ends, with what came of it. --all shows the lines between,
one for each refund or letter.`,
		Example: `  refundctl trail --since 24h
  refundctl trail --what "dlq redrive" --all
  refundctl trail --refund 201901010011
  refundctl trail --follow`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return r.trail(c.Context(), t) },
	}
	f := c.Flags()
	r.merchantFlag(c, &t.merchant, "only about the merchant `NAME`")
	f.StringVar(&t.who, "who", "", "only of the operator `NAME`")
	f.StringVar(&t.what, "what", "", "only of the `COMMAND`, such as submit or dlq redrive")
	f.StringVar(&t.refundNo, "refund", "", "only about the refund with this number `N`; all lines")
	f.StringVar(&t.since, "since", "", "from this `TIME` on (10m, 3d, 2023-06-09)")
	f.BoolVar(&t.all, "all", false, "each refund's and letter's line too")
	f.BoolVarP(&t.follow, "follow", "f", false, "go on with what comes, until Ctrl-C")
	return c
}

func (r *run) trail(ctx context.Context, t trailing) error {
	from, err := r.sinceFrom(t.since)
	if err != nil {
		return err
	}
	needs := kafkaUp
	if t.follow {
		needs |= forever
	}
	ctx, s, err := r.connect(ctx, needs)
	if err != nil {
		return err
	}
	defer s.close()
	if !t.follow {
		var rows []entry
		err := s.eachEntry(ctx, from, func(e entry) error {
			if t.wants(e) {
				rows = append(rows, e)
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.none(len(rows), "nothing is on the trail%s", t.filtered())
		return out.NewRows(r.Out, r.format, r.entryColumns()).All(rows)
	}
	columns := r.entryColumns()
	for i, width := range []int{23, 12, 12, 14, 6, 24} {
		columns[i].Width = width
	}
	rows := out.NewRows(r.Out, r.format, columns)
	show := func(e entry) error {
		if !t.wants(e) {
			return nil
		}
		return rows.Row(e)
	}
	err = s.Kafka.Tail(ctx, s.Topics.Audit, from, func(record kafka.Record) error {
		if e, ok := entryOf(record); ok {
			return show(e)
		}
		return nil
	})
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
		return nil
	}
	return err
}

// filtered says that there may be other lines.
func (t trailing) filtered() string {
	if t.who+t.what+t.merchant+t.refundNo+t.since == "" {
		return ""
	}
	return " like that"
}

func (t trailing) wants(e entry) bool {
	return (t.all || t.refundNo != "" || e.Phase != does) && (t.who == "" || e.Who == t.who) && strings.HasPrefix(e.What, t.what) &&
		(t.merchant == "" || e.Merchant == t.merchant) && (t.refundNo == "" || e.RefundNo == t.refundNo)
}
