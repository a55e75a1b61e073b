package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
)

func newDrop(r *run) *cobra.Command {
	var l letterFilter
	var reason string
	var yes bool
	c := &cobra.Command{
		Use:   "drop --reason TEXT",
		Short: "Note that dead letters need nothing more",
		Long: `Drop notes on the operators' trail that these dead letters need nothing more: they
are no longer shown by dlq ls and dlq groups, and not redriven. Their bytes stay on
the topic. Without --yes it only shows which they are.`,
		Example: `  refundctl dlq drop --id 0/1234 --reason "published anew as R17" --yes
  refundctl dlq drop --kind undecodable --since 2h --reason "a publisher's test" --yes`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return r.drop(c.Context(), l, reason, yes) },
	}
	r.letterFlags(c, &l)
	c.Flags().StringVar(&reason, "reason", "", "why, for the trail: `TEXT` (required)")
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	return c
}

func (r *run) drop(ctx context.Context, l letterFilter, reason string, yes bool) error {
	if strings.TrimSpace(reason) == "" {
		return usage("--reason TEXT is missing: the trail says why")
	}
	if _, err := l.check(r); err != nil {
		return err
	}
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	letters, err := r.letters(ctx, s, l)
	if err != nil {
		return err
	}
	if err := out.NewRows(r.Out, r.format, r.letterColumns()).All(letters); err != nil {
		return err
	}
	switch {
	case len(letters) == 0:
		fmt.Fprintf(r.Err, "nothing to drop: no open dead letters%s\n", l.filtered())
		return nil
	case !yes:
		fmt.Fprintf(r.Err, "%s would be dropped; --yes does it\n", count(len(letters), "dead letter", "dead letters"))
		return nil
	}
	task, err := r.begin(ctx, s, entry{What: whatDrop, Why: reason, Merchant: l.merchant, Detail: count(len(letters), "letter", "letters")})
	if err != nil {
		return err
	}
	dropped := 0
	for _, one := range letters {
		if err = ctx.Err(); err != nil {
			break
		}
		if err = task.line(ctx, entry{Letter: one.ID, Merchant: one.Merchant, RefundNo: one.RefundNo}); err != nil {
			break
		}
		dropped++
	}
	fmt.Fprintf(r.Err, "%d of %d dead letters dropped\n", dropped, len(letters))
	if written := task.end(ctx, err, "%d of %d dropped", dropped, len(letters)); err == nil {
		err = written
	}
	return err
}
