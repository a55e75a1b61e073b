//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/audit"
)

// Options of a run.
type Options struct {
	Length       time.Duration // of the faults, or in which nobody is touched; settling comes after it
	Seed         uint64
	Brokers      int
	KafkaVersion string
	Orders       float64   // made a second; an order has three refunds on average
	Race         bool      // run binaries with the race detector
	Dir          string    // for data and logs
	Out          io.Writer // progress and the verdict
}

// Run hurts everything at random while refunds flow. Its error says what must not
// have happened.
func Run(ctx context.Context, o Options) error {
	return play(ctx, o, plan{name: "chaos", rates: rates, logLevel: "debug", scripts: true, begin: func(s *System, _ *statuses, log io.Writer) deed {
		return &monkey{system: s, seed: o.Seed, length: o.Length, log: log, tally: faults{Kills: map[string]int{}}}
	}})
}

// plan is what a run does to its system.
type plan struct {
	name     string
	rates    map[string]int // of the gateways' misbehaviour
	scripts  bool           // and that which comes in scripts
	logLevel string         // of the daemons
	begin    func(system *System, seen *statuses, log io.Writer) deed
}

// deed is what is done to a system while refunds are published.
type deed interface {
	// run does it, until it is done or ctx ends, and then sees to it that everybody
	// is up.
	run(ctx context.Context)
	// wrongs are what must not have happened meanwhile.
	wrongs() []error
	// words tells what was done, for the summary.
	words(line func(name, words string, args ...any))
}

// run is one run under way.
type run struct {
	Options
	plan
	system *System
	seen   *statuses
	deed   deed
	shop   *shop
}

func play(ctx context.Context, o Options, p plan) error {
	began := time.Now()
	system, err := Start(ctx, o.Dir, SystemOptions{KafkaVersion: o.KafkaVersion, Brokers: o.Brokers, Workers: 2, Race: o.Race, LogLevel: p.logLevel,
		Gateway: map[string]any{"generator": map[string]any{"seed": o.Seed, "rates": p.rates}}})
	if err != nil {
		return err
	}
	defer system.Stop()
	fmt.Fprintf(o.Out, "%s: up in %s; %s from seed %d, then it settles; logs in %s\n",
		p.name, time.Since(began).Round(time.Second), o.Length, o.Seed, o.Dir)
	r := &run{Options: o, plan: p, system: system}
	return r.run(ctx)
}

func (r *run) run(ctx context.Context) error {
	client, err := app.NewClient(r.system.Config)
	if err != nil {
		return err
	}
	defer client.Close()
	r.seen = watch(ctx, client)
	defer r.seen.end()
	log, err := os.Create(filepath.Join(r.Dir, "faults.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	if err := r.publishDuring(ctx, client, log); err != nil {
		return err
	}
	took, unsettled := r.system.settle(ctx, r.seen, r.shop.tally, log)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	unseen := r.seen.end()
	report, err := r.system.Audit(ctx)
	if err != nil {
		return errors.Join(unsettled, unseen, fmt.Errorf("audit: %w", err))
	}
	wrongs := append(r.deed.wrongs(), unsettled, unseen, r.missing(report))
	if !report.OK() {
		wrongs = append(wrongs, errors.New("the audit found broken promises"))
	}
	wrongs = append(wrongs, r.trace(ctx, report))
	gateways := r.gatewayWords(ctx)
	r.system.saveMetrics()
	verdict := errors.Join(append(wrongs, r.system.End(), r.system.cries())...)
	r.summary(report, took, gateways, verdict)
	return verdict
}

// publishDuring publishes for as long as the plan goes on, then has the gateways
// behave.
func (r *run) publishDuring(ctx context.Context, client *app.Client, log io.Writer) error {
	r.shop = newShop(r.Seed, r.scripts)
	r.deed = r.begin(r.system, r.seen, log)
	making, done := context.WithCancel(ctx)
	defer done()
	publishing := make(chan error, 1)
	go func() {
		p := &publisher{shop: r.shop, client: client, books: r.system.Books, rate: r.Orders}
		publishing <- p.run(ctx, making.Done())
	}()
	r.deed.run(making)
	done()
	err := r.system.Books.Command(ctx, map[string]any{"generator": map[string]any{"seed": r.Seed, "rates": map[string]int{}}})
	return errors.Join(<-publishing, err)
}

// missing: what the brokers acknowledged to the publisher is on the topic.
func (r *run) missing(report audit.Report) error {
	if report.Requests < r.shop.tally.Messages {
		return fmt.Errorf("%d messages were acknowledged, the request topic has %d", r.shop.tally.Messages, report.Requests)
	}
	return nil
}
