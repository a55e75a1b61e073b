package ctl

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/refund"
)

func newShow(r *run) *cobra.Command {
	var merchant, since string
	c := &cobra.Command{
		Use:   "show REFUND_NO",
		Short: "Show everything that is known of one refund, and what happens next",
		Long: `Show gathers one refund from everywhere: its requests, its record in Redis, its
status events in order with who brought them, where it waits and until when, its
dead letters, and what operators did to it. It says what happens next, and why.

It reads the topics from their beginning, or --since; a compacted status topic
may hold the last event only.

Exit code 1: nothing is known of it, or it is open and nothing waits for it.`,
		Example: `  refundctl show 201901010011
  refundctl show 201901010011 --merchant S0003469 -o wide
  refundctl show 201901010011 -o json | jq .next`,
		Args: exactly("REFUND_NO"),
		RunE: func(c *cobra.Command, args []string) error { return r.show(c.Context(), args[0], merchant, since) },
	}
	r.merchantFlag(c, &merchant, "only the refund of the merchant `NAME` (default: of any)")
	c.Flags().StringVar(&since, "since", "", "read the topics from this `TIME` on (10m, 3d, 2023-06-09) (default: all)")
	return c
}

// view is all that is known of one refund.
type view struct {
	Merchant    string    `json:"merchant"`
	RefundNo    string    `json:"refund_no"`
	Next        []string  `json:"next"`
	Stuck       bool      `json:"stuck"` // open, and nothing waits for it
	Record      *record   `json:"record,omitempty"`
	StoreAway   string    `json:"store_away,omitempty"` // why Redis could not be asked
	Requests    []asked   `json:"requests"`
	Timeline    []event   `json:"timeline"`
	Waits       []waiting `json:"waits"`
	DeadLetters []*letter `json:"dead_letters"`
	Operators   []entry   `json:"operators"`
}

// asked is one message of the request topic.
type asked struct {
	Place   string    `json:"place"`
	Time    time.Time `json:"time"`
	Taken   bool      `json:"taken"`  // the workers' group has committed it
	Behind  int64     `json:"behind"` // messages before it that are not taken
	Problem string    `json:"problem,omitempty"`

	request refund.Request
}

// waiting is one message of a delay topic that was not taken yet.
type waiting struct {
	Place    string    `json:"place"`
	Topic    string    `json:"topic"`
	Due      time.Time `json:"due"`
	Cause    string    `json:"cause"`
	FollowUp int       `json:"follow_up,omitempty"`
	GoesOn   bool      `json:"goes_on"` // false: a later follow-up was taken, this one only ends

	chain string // the place by which its chain knows it
}

func (r *run) show(ctx context.Context, refundNo, merchant, since string) error {
	from, err := r.sinceFrom(since)
	if err != nil {
		return err
	}
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	if merchant != "" {
		if _, err := s.account(merchant); err != nil {
			return err
		}
	}
	g := &gathering{run: r, system: s, merchant: merchant, refundNo: refundNo, from: from, views: map[string]*view{}}
	if err := g.gather(ctx); err != nil {
		return err
	}
	if len(g.views) == 0 {
		return wrong("nothing is known of refund %s%s: no request, no status, no dead letter", refundNo, ofMerchant(merchant))
	}
	stuck := false
	for i, name := range slices.Sorted(maps.Keys(g.views)) {
		v := g.views[name]
		v.conclude(r.Now(), s.Config.Worker.ReviewAfter)
		stuck = stuck || v.Stuck
		if r.format == out.JSON {
			err = out.Object(r.Out, v)
		} else {
			if i > 0 {
				fmt.Fprintln(r.Out)
			}
			err = r.printView(v)
		}
		if err != nil {
			return err
		}
	}
	if stuck {
		return found()
	}
	return nil
}

func ofMerchant(name string) string {
	if name == "" {
		return ""
	}
	return " of merchant " + name
}
