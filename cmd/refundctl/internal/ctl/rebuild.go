package ctl

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newRebuild(r *run) *cobra.Command {
	var reason string
	var yes bool
	var wait time.Duration
	c := &cobra.Command{
		Use:   "rebuild MERCHANT --reason TEXT",
		Short: "Have what Redis knows of a merchant rebuilt from the status topic",
		Long: `Rebuild takes away the sentinel of a merchant in Redis, as if Redis had lost it. A
running worker then rebuilds the merchant from the status topic: nothing is claimed
or recorded for it during the quiet time (claim_lease and failover_grace) and the
scan, callbacks are answered with 503, other merchants go on. Only forward: what
Redis has and the topic does not is kept.

It is for a Redis that is not trusted any more. Without --yes it does nothing.`,
		Example:           `  refundctl rebuild S0003469 --reason "restored from an old snapshot" --yes`,
		Args:              exactly("MERCHANT"),
		ValidArgsFunction: r.completeMerchants,
		RunE:              func(c *cobra.Command, args []string) error { return r.rebuild(c.Context(), args[0], reason, yes, wait) },
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the trail: `TEXT` (required)")
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	c.Flags().DurationVar(&wait, "wait", 10*time.Minute, "how long to wait until the merchant is open again; 0: not at all")
	return c
}

func (r *run) rebuild(ctx context.Context, merchant, reason string, yes bool, wait time.Duration) error {
	if err := needed("--reason", reason, "the trail says why"); err != nil {
		return err
	}
	ctx, s, err := r.connect(ctx, kafkaUp|redisUp)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := s.account(merchant); err != nil {
		return err
	}
	roll, err := s.Control.Read(ctx)
	if err != nil {
		return err
	}
	if _, served := roll.Merchants[merchant]; !served {
		return wrong("merchant %s was never served: there is nothing to rebuild", merchant)
	}
	if !yes {
		fmt.Fprintf(r.Err, "merchant %s would stand still for %s and the time of a scan; --yes does it\n", merchant, s.Config.Worker.ClaimLease+s.Config.Redis.FailoverGrace)
		return nil
	}
	before, err := s.Store.Epoch(ctx, merchant)
	if err != nil {
		return fmt.Errorf("it is closed already: %w", err)
	}
	task, err := r.begin(ctx, s, entry{What: "rebuild", Why: reason, Merchant: merchant, Detail: fmt.Sprintf("epoch %d", before)})
	if err != nil {
		return err
	}
	err = s.Store.Forget(ctx, merchant)
	epoch := before
	if err == nil && wait > 0 {
		epoch, err = r.awaitEpoch(ctx, s, merchant, before, wait)
	}
	if written := task.end(ctx, err, "epoch %d", epoch); err == nil {
		err = written
	}
	if err == nil && wait > 0 {
		_, err = fmt.Fprintf(r.Err, "merchant %s is open again, epoch %d\n", merchant, epoch)
	}
	return err
}

// awaitEpoch waits for a worker to open the merchant under a higher epoch.
func (r *run) awaitEpoch(ctx context.Context, s *system, merchant string, before int64, wait time.Duration) (int64, error) {
	progress := r.progress()
	defer progress.Clear()
	began := r.Now()
	bounded, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		epoch, err := s.Store.Epoch(bounded, merchant)
		if err == nil && epoch > before {
			return epoch, nil
		}
		progress.Show("merchant %s is closed for %s, until a worker has rebuilt it", merchant, age(r.Now().Sub(began)))
		select {
		case <-bounded.Done():
			if ctx.Err() != nil {
				return before, ctx.Err()
			}
			return before, wrong("merchant %s is not open after %s: does a worker run? It goes on when one does", merchant, wait)
		case <-time.After(epochEvery):
		}
	}
}

const epochEvery = 200 * time.Millisecond
