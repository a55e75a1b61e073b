package ctl

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
)

// replaying is what callback replay is told.
type replaying struct {
	merchant, to  string
	dup, parallel int
	shuffle       bool
	seed          uint64
}

func newCallbackReplay(r *run) *cobra.Command {
	var p replaying
	c := &cobra.Command{
		Use:   "replay FILE",
		Short: "Send recorded callbacks again: doubled, out of order, at once",
		Long: `Replay sends the callbacks of FILE (see refundctl callback --help) to notify-bridge,
byte for byte. What was signed stays signed, so the bridge takes them as the
gateway's: repeats and old news change nothing, which is what a replay shows.

As callback trigger, it is for merchants with test: true, or where bridge and
gateway are both on this host. Exit code 1: one was not acknowledged.`,
		Example: `  refundctl callback replay recorded.jsonl --dup 2 --shuffle
  refundctl callback replay recorded.http --to http://127.0.0.1:8080 --parallel 8`,
		Args: exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return r.callbackReplay(c.Context(), args[0], p) },
	}
	f := c.Flags()
	r.merchantFlag(c, &p.merchant, "the merchant `NAME` whose callbacks they are (where FILE does not say)")
	f.StringVar(&p.to, "to", "", "`URL` of the bridge (default: the configuration's, on this host)")
	f.IntVar(&p.dup, "dup", 1, "send each `N` times")
	f.BoolVar(&p.shuffle, "shuffle", false, "in a random order")
	f.Uint64Var(&p.seed, "seed", 0, "`N` of the random order, which is printed (default: another each time)")
	f.IntVar(&p.parallel, "parallel", 1, "`N` at the same time")
	return c
}

func (r *run) callbackReplay(ctx context.Context, file string, p replaying) error {
	if p.dup < 1 || p.parallel < 1 {
		return usage("--dup and --parallel must be at least 1")
	}
	ctx, s, err := r.connect(ctx, nothing)
	if err != nil {
		return err
	}
	defer s.close()
	callbacks, err := r.readCallbacks(file, p.merchant)
	if err != nil {
		return err
	}
	targets := map[string]string{}
	for _, one := range callbacks {
		target, err := callbackURL(s.Config, one.Merchant, p.to)
		if err != nil {
			return err
		}
		if err := s.rehearsal(one.Merchant, target); err != nil {
			return err
		}
		targets[one.Merchant] = target
	}
	var order []recorded
	for _, one := range callbacks {
		order = append(order, slices.Repeat([]recorded{one}, p.dup)...)
	}
	if p.shuffle {
		if p.seed == 0 {
			p.seed = rand.Uint64N(1_000_000) + 1
		}
		random := rand.New(rand.NewPCG(p.seed, 0))
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		fmt.Fprintf(r.Err, "shuffled with --seed %d\n", p.seed)
	}
	answers := r.sendAll(ctx, order, targets, p.parallel)
	return r.showReplay(answers)
}

// sendAll sends in order, so many at a time, until ctx ends.
func (r *run) sendAll(ctx context.Context, order []recorded, targets map[string]string, parallel int) []sent {
	progress := r.progress()
	defer progress.Clear()
	answers := make([]sent, len(order))
	var all errgroup.Group
	all.SetLimit(parallel)
	for i, one := range order {
		if ctx.Err() != nil {
			answers = answers[:i]
			break
		}
		progress.Show("callback %d of %d", i+1, len(order))
		all.Go(func() error {
			answers[i] = r.post(ctx, targets[one.Merchant], []byte(one.Body))
			answers[i].Merchant = one.Merchant
			return nil
		})
	}
	_ = all.Wait() // nothing fails: each answer says what came of it
	return answers
}

// replayed is how often one answer came.
type replayed struct {
	Merchant   string `json:"merchant"`
	HTTPStatus int    `json:"http_status"`
	Words      string `json:"words"`
	Count      int    `json:"count"`
}

func (r *run) showReplay(answers []sent) error {
	counts := map[replayed]int{}
	acknowledged := true
	for _, a := range answers {
		counts[replayed{Merchant: a.Merchant, HTTPStatus: a.HTTPStatus, Words: a.Words}]++
		acknowledged = acknowledged && a.acknowledged()
	}
	rows := slices.SortedFunc(maps.Keys(counts), func(a, b replayed) int {
		return slices.Compare([]string{a.Merchant, fmt.Sprint(a.HTTPStatus), a.Words}, []string{b.Merchant, fmt.Sprint(b.HTTPStatus), b.Words})
	})
	for i := range rows {
		rows[i].Count = counts[rows[i]]
	}
	err := out.NewRows(r.Out, r.format, []out.Column[replayed]{
		{Name: "merchant", Cell: func(v replayed) string { return v.Merchant }},
		{Name: "answer", Cell: func(v replayed) string { return fmt.Sprint(v.HTTPStatus) }},
		{Name: "count", Cell: func(v replayed) string { return fmt.Sprint(v.Count) }},
		{Name: "meaning", Cell: func(v replayed) string { return v.Words }},
	}).All(rows)
	if err == nil && !acknowledged {
		err = found()
	}
	return err
}
