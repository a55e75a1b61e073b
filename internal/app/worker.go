package app

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/internal/admin"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// Worker runs the worker until ctx ends, then drains and returns nil. An error
// says what a person has to change.
func Worker(ctx context.Context, cfg *config.Config, log zerolog.Logger, options ...Option) error {
	c, err := open(telemetry.Worker, cfg, log, options...)
	if err != nil {
		return err
	}
	defer c.close()
	listener, err := net.Listen("tcp", cfg.Worker.Admin)
	if err != nil {
		return err
	}
	keeper := c.keeper()
	c.lost = keeper.Wake
	work, err := c.consumer()
	if err != nil {
		listener.Close()
		return err
	}

	delayed := &due{status: work.Status, offsetsAt: c.kafka.OffsetsAt, spans: c.kafka.Spans, trouble: c.trouble}
	c.metrics.Collect(c.gatewayStates, delayed.states)

	// What the consumer's works need outlives them: the drain still records,
	// publishes and answers probes.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group errgroup.Group
	checks := append(c.checks(), admin.Check{Name: "consumer", Ready: func(context.Context) error { return c.starting.ready(work.Ready) }})
	group.Go(func() error {
		return admin.Serve(serving, listener, admin.Handler(promhttp.HandlerFor(c.metrics.Registry, promhttp.HandlerOpts{}), checks...))
	})
	group.Go(func() error { c.followSignals(serving, keeper.Serve); return nil })
	group.Go(func() error {
		defer stop()
		if err := c.prepareWorker(ctx); err != nil {
			return unlessEnded(ctx, err)
		}
		var held kafka.From
		if err := c.await(ctx, "holds", func(ctx context.Context) (err error) { held, err = c.readHolds(ctx); return err }, always); err != nil {
			return unlessEnded(ctx, err)
		}
		c.log.Info().Str("group", cfg.Kafka.Group).Int("merchants", len(c.merchants.all())).Msg("worker starts")
		group.Go(func() error { c.followHolds(serving, held); return nil })
		group.Go(func() error { keeper.Run(serving); return nil })
		group.Go(func() error { delayed.run(serving); return nil })
		group.Go(func() error { c.watchClocks(serving); return nil })
		c.starting.done()
		err := work.Run(ctx)
		c.log.Info().Msg("worker drained")
		return err
	})
	return group.Wait()
}

// consumer wires bytes to verdicts: decode, Handler, verdict.
func (c *core) consumer() (*consumer.Consumer, error) {
	handler := &refund.Handler{
		Accounts: &c.merchants, Claims: c.claims(), Recorder: c.recorder, Schedule: c.schedule,
		Lease: c.cfg.Worker.ClaimLease, ReviewAfter: c.cfg.Worker.ReviewAfter, Token: rand.Text,
		Called: func(r refund.CallReport) {
			c.metrics.Call(r)
			logCall(c.log, r)
		},
		Claimed: c.claimed,
	}
	r := &route{handler: handler, accounts: &c.merchants, calls: c.merchants.calls, followUps: c.followUps(), schedule: c.schedule, waited: c.metrics.Waited, tracing: c.tracing, group: c.cfg.Kafka.Group}
	return consumer.New(c.kafka, c.producer, r, consumer.Config{
		Panicked: r.panicked,
		Group:    c.cfg.Kafka.Group, Topics: c.topics(), Delays: c.delays, MaxInFlight: c.cfg.Worker.MaxInFlight,
		SessionTimeout: c.cfg.Kafka.SessionTimeout, DrainTimeout: c.cfg.Worker.DrainTimeout,
		OnOutOfRange: consumer.OutOfRange(c.cfg.Kafka.OnOutOfRange), Log: c.log, Metrics: c.consumerMetrics(),
	})
}

// keeperEvery is how often each merchant's sentinel is looked at.
const keeperEvery = 3 * time.Second

// keeper opens new merchants and rebuilds lost ones.
func (c *core) keeper() *statuslog.Keeper {
	topics := c.cfg.Kafka.Topics
	return statuslog.NewKeeper(statuslog.Config{
		Merchants: namesOf(c.cfg.Merchants), Index: c.store,
		Log:       &statuslog.Log{Reader: c.kafka, Topic: topics.Status},
		Control:   c.control(),
		FollowUps: c.followUps(), After: c.schedule.After,
		Quiet: c.cfg.Worker.ClaimLease + c.cfg.Redis.FailoverGrace,
		Every: keeperEvery, Logger: c.log, Metrics: c.rebuildMetrics(),
	})
}

// prepareWorker is prepare, and refuses a start that would leave delayed messages
// behind.
func (c *core) prepareWorker(ctx context.Context) error {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	return c.await(ctx, "kafka", func(ctx context.Context) error {
		return consumer.CheckDelays(ctx, c.kafka, c.cfg.Kafka.Group, c.topics(), c.delays)
	}, func(err error) bool {
		var behind *consumer.LeftBehindError
		return !errors.As(err, &behind)
	})
}

// unlessEnded: a start that was interrupted is no failure.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
