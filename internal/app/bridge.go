package app

import (
	"context"
	"net"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/internal/admin"
	"github.com/refundworker/refundworker/internal/bridge"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// Bridge runs the notify-bridge until ctx ends, then lets callbacks under way end
// and returns nil. An error says what a person has to change.
func Bridge(ctx context.Context, cfg *config.Config, log zerolog.Logger, options ...Option) error {
	c, err := open(telemetry.Bridge, cfg, log, options...)
	if err != nil {
		return err
	}
	defer c.close()
	admins, err := net.Listen("tcp", cfg.Bridge.Admin)
	if err != nil {
		return err
	}
	callbacks, err := net.Listen("tcp", cfg.Bridge.Listen)
	if err != nil {
		admins.Close()
		return err
	}
	handler := bridge.Bridge{
		Accounts: callbackAccounts{&c.merchants}, Recorder: c.recorder, FollowUps: c.followUps(), Schedule: c.schedule,
		Limits: bridge.Limits{
			MaxBody: int64(cfg.Bridge.MaxBody), Timeout: cfg.Bridge.Timeout,
			MaxConcurrent: cfg.Bridge.MaxConcurrent, MaxPerMerchant: cfg.Bridge.MaxPerMerchant,
		},
		Log: c.log, Answered: c.countCallback,
	}.Handler()
	if c.tracing != nil {
		handler = c.tracing.Callbacks(handler)
	}

	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group errgroup.Group
	checks := append(c.checks(), admin.Check{Name: "bridge", Ready: func(context.Context) error {
		return c.starting.ready(func() error { return nil })
	}})
	group.Go(func() error {
		return admin.Serve(serving, admins, admin.Handler(promhttp.HandlerFor(c.metrics.Registry, promhttp.HandlerOpts{}), checks...))
	})
	group.Go(func() error { c.followSignals(serving, nil); return nil })
	group.Go(func() error {
		defer stop()
		if err := c.prepare(ctx); err != nil {
			callbacks.Close()
			return unlessEnded(ctx, err)
		}
		group.Go(func() error { c.watchClocks(serving); return nil })
		c.starting.done()
		c.log.Info().Str("listen", callbacks.Addr().String()).Int("merchants", len(c.merchants.all())).Msg("bridge starts")
		err := bridge.Serve(ctx, callbacks, handler, cfg.Bridge.Timeout, c.log)
		c.log.Info().Msg("bridge drained")
		return err
	})
	return group.Wait()
}
