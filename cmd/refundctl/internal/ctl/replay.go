package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/chart"
	"github.com/refundworker/refundworker/cmd/refundctl/internal/load"
	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/refund"
)

// loading is what replay is told.
type loading struct {
	file, format, topic, merchant, since, until string
	sample                                      bool
	rate, rampTo, pace                          float64
	duration, drain                             time.Duration
	count                                       int
	thresholds, html, hgrm, json                string
	ledgers                                     []string
	rated                                       bool // a flag of the rate was given
}

// requestTopic is --topic without a name: that of the configuration.
const requestTopic = "requests"

func newReplay(r *run) *cobra.Command {
	var l loading
	c := &cobra.Command{
		Use:   "replay [FILE]",
		Short: "Load test: replay requests under fresh numbers, measure to the final status",
		Long: `Replay publishes requests and measures how long each takes to PENDING and to its
final status, from the time at which it was to be sent: the load is open, so a stall
is seen by all that had to wait for it. Refunds that have not ended count with their
age.

The requests are those of FILE (as submit takes it), of the request topic (--topic, or
--topic=NAME for another, such as a mirrored one; --since, --until), or samples
(--sample). Refund numbers and orders are fresh, under a run's id; refunds of one
order stay together. Amounts stay: simulated gateways misbehave by them.

They are sent at --rate, growing steadily to --ramp-to, and begin anew where they end;
or with --pace N as they came once, N times as fast: by the times of the topic's
records, or by requested_at of FILE.

All merchants must have test: true. --merchant M has every request sent to that one
merchant, of the same gateway and currency.

It ends with the audit's verdict on its own refunds, with --ledger against the
gateway's books too, and with thresholds: latencies to the final status (mean, min,
p50, p90, p95, p99, p99.9, max) and to PENDING (pending.p99 and so on), and counts
(lost, open, dead, failed, rejected, succeeded, late, errors, sent, rate, broken).
After Ctrl-C it reports what it has.

Exit code 0: done; 1: the audit found a broken promise; 99: a threshold was missed.`,
		Example: `  refundctl replay --sample --merchant S0003469 --rate 200 --duration 1m --threshold "p99<2s,lost==0"
  refundctl replay refunds.jsonl --rate 50 --ramp-to 500 --duration 5m --html load.html --hgrm load.hgrm
  refundctl replay --topic --since 1h --merchant S0003469 --pace 10
  refundctl replay --topic=prod.refund.requests --merchant S0003469 --rate 100 --count 10000 --ledger http://127.0.0.1:8090/ledger`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				l.file = args[0]
			}
			for _, name := range []string{"rate", "ramp-to", "duration"} {
				l.rated = l.rated || c.Flags().Changed(name)
			}
			return r.replay(c.Context(), l)
		},
	}
	f := c.Flags()
	r.merchantFlag(c, &l.merchant, "send all to the test merchant `NAME`")
	f.StringVar(&l.format, "format", "", "of FILE: jsonl or csv (default: by its first character)")
	f.StringVar(&l.topic, "topic", "", "replay the request topic, or with =`NAME` another")
	f.Lookup("topic").NoOptDefVal = requestTopic
	f.BoolVar(&l.sample, "sample", false, "replay samples of the merchant's gateway")
	f.StringVar(&l.since, "since", "", "of the topic, from this `TIME` on (10m, 3d, 2023-06-09)")
	f.StringVar(&l.until, "until", "", "of the topic, before this `TIME`")
	f.Float64Var(&l.rate, "rate", 50, "`N` refunds a second")
	f.Float64Var(&l.rampTo, "ramp-to", 0, "`N` a second at the end, growing steadily (default: --rate)")
	f.Float64Var(&l.pace, "pace", 0, "as they came, `N` times as fast, in place of a rate")
	f.DurationVar(&l.duration, "duration", 30*time.Second, "how long to send")
	f.IntVar(&l.count, "count", 0, "send `N` at most")
	f.DurationVar(&l.drain, "drain", time.Minute, "how long to wait for the last ones to end")
	f.StringVar(&l.thresholds, "threshold", "", "`BOUNDS` with commas between, such as p99<2s,lost==0")
	f.StringVar(&l.html, "html", "", "write one self-contained page with plots to `FILE`")
	f.StringVar(&l.hgrm, "hgrm", "", "write the latencies as HdrHistogram's text form to `FILE`")
	f.StringVar(&l.json, "json", "", "write the answer of -o json to `FILE`")
	f.StringArrayVar(&l.ledgers, "ledger", nil, "`FILE` or address of the gateway's ledger, JSON lines; may be repeated")
	fatal(c.MarkFlagFilename("html", "html"))
	fatal(c.MarkFlagFilename("hgrm", "hgrm"))
	fatal(c.MarkFlagFilename("json", "json"))
	return c
}

func (r *run) replay(ctx context.Context, l loading) error {
	if l.rampTo == 0 {
		l.rampTo = l.rate
	}
	switch {
	case l.pace < 0:
		return usage("--pace must be above 0")
	case l.pace > 0 && l.rated:
		return usage("--pace contradicts --rate, --ramp-to and --duration")
	case l.pace > 0 && l.sample:
		return usage("--pace: samples never came, so they have no pace")
	}
	schedule := load.Schedule{From: l.rate, To: l.rampTo, For: l.duration}
	if err := schedule.Check(); err != nil {
		return usage("%w", err)
	}
	thresholds, err := load.ParseThresholds(l.thresholds)
	if err != nil {
		return usage("--threshold: %w", err)
	}
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	requests, times, err := r.replayed(ctx, s, l)
	if err != nil {
		return err
	}
	if err := s.testMerchants(requests); err != nil {
		return err
	}
	if l.pace > 0 {
		schedule = load.Paced(times, l.pace)
	}
	schedule.Most = l.count
	t := &loadTest{run: r, system: s, loading: l, schedule: schedule, names: load.NewNames(r.Now()), source: load.NewSource(requests)}
	result, broken, err := t.all(ctx)
	if err != nil {
		if ctx.Err() != nil && result != nil { // what there is, before it ends as interrupted
			result.Audit = "not audited: interrupted\n"
			return errors.Join(err, r.showLoad(l, result))
		}
		return err
	}
	kept := result.Judge(thresholds, broken)
	if err := r.showLoad(l, result); err != nil {
		return err
	}
	switch {
	case !kept:
		return &exit{code: ExitMissed}
	case broken > 0:
		return found()
	}
	return nil
}

// showLoad answers, and writes the files that were asked for.
func (r *run) showLoad(l loading, result *load.Result) error {
	for name, write := range map[string]func(io.Writer) error{
		l.html: result.WritePage, l.hgrm: result.WriteHGRM,
		l.json: func(w io.Writer) error { return out.Object(w, result) },
	} {
		if name != "" {
			if err := writeFile(name, write); err != nil {
				return err
			}
		}
	}
	if r.format == out.JSON {
		return out.Object(r.Out, result)
	}
	return r.printLoad(result)
}

func (r *run) printLoad(v *load.Result) error {
	latency := func(l load.Latency) string {
		if l.Count == 0 {
			return ""
		}
		return fmt.Sprintf("p50 %s, p90 %s, p99 %s, p99.9 %s, max %s", chart.Millis(l.P50), chart.Millis(l.P90), chart.Millis(l.P99), chart.Millis(l.P999), chart.Millis(l.Max))
	}
	lines := []out.Line{
		{Name: "run", Words: fmt.Sprintf("%s, began %s: %s", v.Run, r.clock(v.Began), v.Load)},
		{Name: "sent", Words: fmt.Sprintf("%d of %d, %d late, %d not acknowledged", v.Sent, v.Planned, v.Late, v.Errors)},
		{Name: "ended", Words: fmt.Sprintf("%s; %d dead letters, %d still open, %d lost", endedWords(v), v.Dead, v.Open, v.Lost)},
		{Name: "rate", Words: fmt.Sprintf("%.1f refunds a second over %.1f s", v.Rate, v.Seconds)},
		{Name: "to PENDING", Words: latency(v.Pending)},
		{Name: "to the end", Words: latency(v.Latency)},
	}
	for _, t := range v.Thresholds {
		words := "kept"
		if !t.OK {
			words = "MISSED"
		}
		lines = append(lines, out.Line{Name: "threshold", Words: fmt.Sprintf("%s: %s (%s)", t.Threshold, words, t.Measured())})
	}
	if err := out.Block(r.Out, lines); err != nil {
		return err
	}
	_, err := fmt.Fprint(r.Out, v.Audit)
	return err
}

// endedWords says how many ended how.
func endedWords(v *load.Result) string {
	var words []string
	for _, status := range []refund.Status{refund.StatusSucceeded, refund.StatusFailed, refund.StatusRejected} {
		if n := v.Ended[string(status)]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, status))
		}
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
