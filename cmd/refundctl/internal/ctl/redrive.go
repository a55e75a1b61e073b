package ctl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// defaultAttempts caps loops: a letter that failed so often is left.
const defaultAttempts = 5

// redriving is what dlq redrive is told.
type redriving struct {
	letterFilter
	reason      string
	yes         bool
	perSecond   float64
	maxAttempts int
	wait        time.Duration
}

func newRedrive(r *run) *cobra.Command {
	var d redriving
	c := &cobra.Command{
		Use:   "redrive --reason TEXT",
		Short: "Publish dead letters to the request topic again",
		Long: `Redrive publishes dead letters to the request topic again, in the order in which
they failed, so refunds of one order stay in order. Without --yes it only shows
what it would do. Left are letters that would only come back, whose refund has
ended (what succeeded is never sent again), that were redriven or dropped before,
or that failed --max-attempts times.

Each letter is noted on the operators' trail once it is published. After Ctrl-C the
same command goes on where it was: what is noted is left. A letter between the two
is published twice, which moves no money twice.

Afterwards it waits (--wait) and says what came of them: how many ended how, how
many are back among the dead letters, and how many new ones came meanwhile.

Exit code 1: some are back.`,
		Example: `  refundctl dlq redrive --kind unknown_merchant --reason "merchant was added"
  refundctl dlq redrive --kind internal --merchant S0003469 --reason "fixed in 1.4.2" --rate 20 --yes
  refundctl dlq redrive --id 0/1234 --reason "asked by support" --yes --wait 2m`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return r.redrive(c.Context(), d) },
	}
	r.letterFlags(c, &d.letterFilter)
	f := c.Flags()
	f.StringVar(&d.reason, "reason", "", "why, for the trail: `TEXT` (required)")
	f.BoolVar(&d.yes, "yes", false, "do it")
	f.Float64Var(&d.perSecond, "rate", 50, "at most `N` a second")
	f.IntVar(&d.maxAttempts, "max-attempts", defaultAttempts, "leave letters that failed `N` times")
	f.DurationVar(&d.wait, "wait", 30*time.Second, "how long to wait for what comes of them; 0: not at all")
	return c
}

func (r *run) redrive(ctx context.Context, d redriving) error {
	switch {
	case strings.TrimSpace(d.reason) == "":
		return usage("--reason TEXT is missing: the trail says why")
	case d.perSecond <= 0 || d.maxAttempts < 1:
		return usage("--rate and --max-attempts must be above 0")
	}
	if _, err := d.check(r); err != nil {
		return err
	}
	ctx, s, err := r.connect(ctx, kafkaUp|redisUp)
	if err != nil {
		return err
	}
	defer s.close()
	letters, err := r.letters(ctx, s, d.letterFilter)
	if err != nil {
		return err
	}
	plans, err := r.plans(ctx, s, letters, d.maxAttempts)
	if err != nil {
		return err
	}
	if err := r.showPlans(plans); err != nil {
		return err
	}
	var chosen []planned
	for _, p := range plans {
		if p.redrive {
			chosen = append(chosen, p)
		}
	}
	switch {
	case len(plans) == 0:
		fmt.Fprintf(r.Err, "nothing to redrive: no open dead letters%s\n", d.filtered())
		return nil
	case len(chosen) == 0:
		fmt.Fprintf(r.Err, "nothing to redrive: all %d are left\n", len(plans))
		return nil
	case !d.yes:
		fmt.Fprintf(r.Err, "%d of %d would be published again; --yes does it\n", len(chosen), len(plans))
		return nil
	}
	return r.redriveAll(ctx, s, d, chosen)
}

// redriveAll publishes one letter after another, notes each, and waits for what
// comes of them. A crash between the publishing and the note is safe: the letter
// is published once more, and its refund is known by then.
func (r *run) redriveAll(ctx context.Context, s *system, d redriving, chosen []planned) error {
	follower, err := s.follow(ctx)
	if err != nil {
		return err
	}
	task, err := r.begin(ctx, s, entry{What: whatRedrive, Why: d.reason, Merchant: d.merchant, Detail: count(len(chosen), "letter", "letters")})
	if err != nil {
		return err
	}
	published, err := r.publishLetters(ctx, s, d, task, chosen)
	var outcome redriven
	if err == nil && d.wait > 0 {
		outcome, err = r.awaitLetters(ctx, follower, d.wait, published)
	}
	outcome.Published = len(published)
	if written := task.end(ctx, err, "%s", outcome); err == nil {
		err = written
	}
	if ctx.Err() != nil {
		fmt.Fprintf(r.Err, "%d of %d were published; the same command goes on with the others\n", len(published), len(chosen))
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	return r.showOutcome(outcome)
}

func (r *run) publishLetters(ctx context.Context, s *system, d redriving, task *errand, chosen []planned) (published []planned, err error) {
	progress := r.progress()
	defer progress.Clear()
	limiter := rate.NewLimiter(rate.Limit(d.perSecond), max(1, int(d.perSecond)))
	for _, p := range chosen {
		if err := limiter.Wait(ctx); err != nil {
			return published, err
		}
		// From here on this letter is done to its note, also where Ctrl-C comes between.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout)
		err := s.publishLetter(bounded, p)
		if err == nil {
			published = append(published, p)
			err = task.line(bounded, entry{Letter: p.letter.ID, Merchant: p.letter.Merchant, RefundNo: p.letter.RefundNo, Detail: p.why})
		}
		cancel()
		if err != nil {
			return published, err
		}
		progress.Show("redriven %d of %d", len(published), len(chosen))
	}
	return published, nil
}

func (s *system) publishLetter(ctx context.Context, p planned) error {
	if p.followUp == nil {
		return s.Producer.Write(ctx, p.record(s.Topics.Requests))
	}
	value, headers := events.EncodeRequest(p.followUp.Request)
	return s.Delayer.Write(ctx, consumer.Delayed{
		Key: []byte(p.followUp.Key().String()), Value: value, Headers: events.As[kafka.Header](headers),
		After: s.Delays[0], Cause: consumer.CauseFollowUp, FollowUp: p.followUp.FollowUp + 1,
	})
}

// redriven is what came of a redrive.
type redriven struct {
	Published int            `json:"published"`
	Ended     map[string]int `json:"ended"` // refunds by final status
	Open      int            `json:"open"`  // not ended within --wait
	Back      int            `json:"back"`  // dead letters again
	New       int            `json:"new"`   // dead letters of others, meanwhile
}

func (o redriven) String() string {
	words := []string{fmt.Sprintf("%d published", o.Published)}
	for _, status := range []refund.Status{refund.StatusSucceeded, refund.StatusFailed, refund.StatusRejected} {
		if n := o.Ended[string(status)]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, status))
		}
	}
	for _, part := range []struct {
		n     int
		words string
	}{{o.Open, "still open"}, {o.Back, "back among the dead letters"}, {o.New, "new dead letters of others meanwhile"}} {
		if part.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", part.n, part.words))
		}
	}
	return strings.Join(words, ", ")
}

func (r *run) awaitLetters(ctx context.Context, f *follower, most time.Duration, published []planned) (redriven, error) {
	outcome := redriven{Ended: map[string]int{}}
	open := map[refund.Key]bool{}
	for _, p := range published {
		open[p.letter.request.Key] = true
	}
	progress := r.progress()
	defer progress.Clear()
	bounded, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	err := f.system.happenings(bounded, f.statuses, f.letters, func(h happening) error {
		switch {
		case h.dead != nil && !open[h.key()]:
			outcome.New++
		case h.dead != nil:
			outcome.Back++
			delete(open, h.key())
		case h.ended() && open[h.key()]:
			outcome.Ended[h.word()]++
			delete(open, h.key())
		}
		progress.Show("waiting for %d refunds: %s", len(open), outcome)
		if len(open) == 0 {
			return errEnough
		}
		return nil
	})
	outcome.Open = len(open)
	if errors.Is(err, errEnough) || bounded.Err() != nil && ctx.Err() == nil {
		err = nil
	}
	return outcome, err
}

func (r *run) showOutcome(o redriven) error {
	var err error
	if r.format == out.JSON {
		err = out.Object(r.Out, map[string]redriven{"outcome": o})
	} else {
		_, err = fmt.Fprintln(r.Out, o)
	}
	if err == nil && o.Back > 0 {
		err = found()
	}
	return err
}
