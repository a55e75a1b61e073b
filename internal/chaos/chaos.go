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
	Length       time.Duration // of the faults; settling comes after it
	Seed         uint64
	Brokers      int
	KafkaVersion string
	Orders       float64   // made a second; an order has three refunds on average
	Race         bool      // run binaries with the race detector
	Dir          string    // for data and logs
	Out          io.Writer // progress and the verdict
}

// Run is one run. Its error says what must not have happened.
func Run(ctx context.Context, o Options) error {
	began := time.Now()
	system, err := Start(ctx, o.Dir, SystemOptions{KafkaVersion: o.KafkaVersion, Brokers: o.Brokers, Workers: 2, Race: o.Race,
		Gateway: map[string]any{"generator": map[string]any{"seed": o.Seed, "rates": rates}}})
	if err != nil {
		return err
	}
	defer system.Stop()
	fmt.Fprintf(o.Out, "chaos: up in %s; %s of faults from seed %d, then it settles; logs in %s\n",
		time.Since(began).Round(time.Second), o.Length, o.Seed, o.Dir)
	r := &run{Options: o, system: system}
	return r.run(ctx)
}

// run is one run under way.
type run struct {
	Options
	system *System
	seen   *statuses
	monkey *monkey
	shop   *shop
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
	if err := r.hurt(ctx, client, log); err != nil {
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
	wrongs := append(r.monkey.wrongs, unsettled, unseen, r.missing(report))
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

// hurt publishes and torments for the run's length, then has the gateways behave
// and everybody up.
func (r *run) hurt(ctx context.Context, client *app.Client, log io.Writer) error {
	r.shop = newShop(r.Seed)
	r.monkey = &monkey{system: r.system, seed: r.Seed, length: r.Length, log: log, tally: faults{Kills: map[string]int{}}}
	making, cancel := context.WithTimeout(ctx, r.Length)
	defer cancel()
	publishing := make(chan error, 1)
	go func() {
		p := &publisher{shop: r.shop, client: client, books: r.system.Books, rate: r.Orders}
		publishing <- p.run(ctx, making.Done())
	}()
	r.monkey.run(making)
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
