package ctl

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// watching is what watch is told.
type watching struct {
	merchant, refundNo, from, since string
	statuses                        []string
	count                           int
}

func newWatch(r *run) *cobra.Command {
	var w watching
	c := &cobra.Command{
		Use:   "watch",
		Short: "Show status events and dead letters as they come",
		Long: `Watch shows the status topic, and dead letters among it as status DEAD, from now
on or from an earlier place, until Ctrl-C. As JSON an event is what the topic has,
byte for byte.

Events of different refunds come in any order; of one refund an event counts only
where its sequence is higher than the last one's.`,
		Example: `  refundctl watch
  refundctl watch --merchant S0003469 --status FAILED,REVIEW,DEAD --from 2h
  refundctl watch --from beginning -o json | jq -r .refund_no`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return r.watch(c.Context(), w) },
	}
	f := c.Flags()
	r.merchantFlag(c, &w.merchant, "only of the merchant `NAME`")
	f.StringSliceVar(&w.statuses, "status", nil, "only these `STATUSES`, DEAD too, with commas between")
	f.StringVar(&w.refundNo, "refund", "", "only of the refund with this number `N`")
	f.StringVar(&w.from, "from", "", "where to begin: beginning, end, or a `TIME` (10m, 3d, 2023-06-09T11:06:46+08:00) (default end)")
	f.StringVar(&w.since, "since", "", "the same as --from with a `TIME`")
	f.IntVarP(&w.count, "count", "n", 0, "end after `N` of them")
	fatal(c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(allStatuses, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

// allStatuses are those of DESIGN.md, section 4, and DEAD.
var allStatuses = []string{
	string(refund.StatusWaiting), string(refund.StatusPending), string(refund.StatusUnknown), string(refund.StatusReview),
	string(refund.StatusSucceeded), string(refund.StatusFailed), string(refund.StatusRejected), "DEAD",
}

// errEnough ends reading.
var errEnough = errors.New("enough")

func (r *run) watch(ctx context.Context, w watching) error {
	for i, status := range w.statuses {
		w.statuses[i] = strings.ToUpper(status)
		if !slices.Contains(allStatuses, w.statuses[i]) {
			return usage("--status %s: want one of %s", status, strings.Join(allStatuses, ", "))
		}
	}
	word, flag := w.from, "--from"
	switch {
	case w.from != "" && w.since != "":
		return usage("--from and --since say the same: give one")
	case w.since != "":
		word, flag = w.since, "--since"
	case w.from == "":
		word = "end"
	}
	from, err := r.parseFrom(flag, word)
	if err != nil {
		return err
	}
	ctx, s, err := r.connect(ctx, kafkaUp|forever)
	if err != nil {
		return err
	}
	defer s.close()
	if w.merchant != "" {
		if _, err := s.account(w.merchant); err != nil {
			return err
		}
	}
	rows := out.NewRows(r.Out, r.format, r.happeningColumns())
	seen := map[string]bool{}
	shown := 0
	err = s.happenings(ctx, from, from, func(h happening) error {
		if h.dead == nil && h.err == nil {
			h.again = seen[h.status.ID()]
			if len(seen) < mostSeen {
				seen[h.status.ID()] = true
			}
		}
		if !w.wants(h) {
			return nil
		}
		if err := rows.Row(h); err != nil {
			return err
		}
		if shown++; shown == w.count {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) || ctx.Err() != nil {
		return nil
	}
	return err
}

// mostSeen bounds the memory by which repeats are told.
const mostSeen = 1_000_000

func (w watching) wants(h happening) bool {
	key := h.key()
	return (w.merchant == "" || key.Merchant == w.merchant) && (w.refundNo == "" || key.RefundNo == w.refundNo) &&
		(len(w.statuses) == 0 || slices.Contains(w.statuses, h.word()))
}

// happenings shows status topic and dead letters until ctx ends or each returns an
// error, one at a time.
func (s *system) happenings(ctx context.Context, statuses, letters kafka.From, each func(happening) error) error {
	var mu sync.Mutex
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		return s.Log.Watch(ctx, statuses, func(e statuslog.Entry) error {
			mu.Lock()
			defer mu.Unlock()
			return each(happened(e))
		})
	})
	all.Go(func() error {
		return s.Kafka.Tail(ctx, s.Topics.DeadLetters, letters, func(record kafka.Record) error {
			mu.Lock()
			defer mu.Unlock()
			return each(happening{dead: letterOf(record)})
		})
	})
	return all.Wait()
}
