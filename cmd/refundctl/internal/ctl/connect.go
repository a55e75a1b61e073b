package ctl

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/refund"
)

// load reads the configuration.
func (r *run) load() (*config.Config, error) {
	path, err := config.Path(r.configFile)
	if err != nil {
		return nil, usage("%w", err)
	}
	cfg, err := app.Load(path)
	if err != nil {
		return nil, usage("the configuration is wrong:\n%w", err)
	}
	return cfg, nil
}

// need says what a command cannot do without.
type need int

const (
	nothing need = 0
	kafkaUp need = 1 << iota
	redisUp
	forever // it waits for what comes, so also for Kafka to come back
)

// system is what a command works on. Close it.
type system struct {
	app.Parts
	client  *app.Client
	timeout time.Duration
	now     func() time.Time
	stop    context.CancelFunc
	watched chan struct{}
}

func (s *system) close() {
	s.stop()
	<-s.watched
	s.client.Close()
}

// connect reads the configuration and makes sure that what is needed answers. The
// ctx that it answers ends when Kafka, where that is needed, has not answered for
// three times the timeout.
func (r *run) connect(ctx context.Context, needs need) (context.Context, *system, error) {
	cfg, err := r.load()
	if err != nil {
		return ctx, nil, err
	}
	client, err := app.NewClient(cfg)
	if err != nil {
		return ctx, nil, usage("%w", err)
	}
	watched, stop := context.WithCancel(ctx)
	s := &system{Parts: client.Parts(), client: client, timeout: r.timeout, now: r.Now, stop: stop, watched: make(chan struct{})}
	if err := s.reach(ctx, needs); err != nil {
		close(s.watched)
		s.close()
		return ctx, nil, err
	}
	go func() {
		defer close(s.watched)
		if needs&kafkaUp != 0 && needs&forever == 0 {
			r.lost = s.watch(watched)
			stop()
		}
	}()
	return watched, s, nil
}

// reach asks each part that is needed whether it is there.
func (s *system) reach(ctx context.Context, needs need) error {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if needs&kafkaUp != 0 {
		if err := s.Kafka.Ping(bounded); err != nil {
			return away(ctx, err)
		}
	}
	if needs&redisUp != 0 {
		if err := s.PingRedis(bounded); err != nil {
			return away(ctx, fmt.Errorf("redis: %v does not answer: %w", s.Config.Redis.Addrs, err))
		}
	}
	return ctx.Err() // they may have answered who was interrupted before
}

// watch returns nil once ctx has ended, or why Kafka has not answered for three
// times the timeout: what waits for it would wait for ever.
func (s *system) watch(ctx context.Context) error {
	heard := time.Now()
	tick := time.NewTicker(s.timeout / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		bounded, cancel := context.WithTimeout(ctx, s.timeout)
		err := s.Kafka.Ping(bounded)
		cancel()
		switch {
		case err == nil:
			heard = time.Now()
		case ctx.Err() == nil && time.Since(heard) >= 3*s.timeout:
			return err
		}
	}
}

// away is the end of a command that could not reach a part, or was interrupted.
func away(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	return unreachable(err)
}

// account is a merchant of the configuration.
func (s *system) account(merchant string) (*providers.Account, error) {
	a, ok := s.Accounts[merchant]
	if !ok {
		return nil, usage("merchant %q is not in the configuration", merchant)
	}
	return a, nil
}

// record is what Redis has of a refund; of a merchant that was never served, whom
// Redis need not know, nothing.
func (s *system) record(ctx context.Context, key refund.Key) (refund.Record, error) {
	rec, err := s.Store.Load(ctx, key)
	var missing *dedupe.EpochMissingError
	if !errors.As(err, &missing) {
		return rec, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	roll, wrong := s.Control.Read(ctx)
	if wrong != nil {
		return rec, wrong
	}
	if _, served := roll.Merchants[key.Merchant]; served {
		return rec, err
	}
	return refund.Record{Request: refund.Request{Key: key}}, nil
}

// merchantFlag adds --merchant with the configuration's names as completion.
func (r *run) merchantFlag(c *cobra.Command, into *string, words string) {
	c.Flags().StringVarP(into, "merchant", "m", "", words)
	fatal(c.RegisterFlagCompletionFunc("merchant", r.completeMerchants))
}

func (r *run) completeMerchants(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	cfg, err := r.load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, m := range cfg.Merchants {
		names = append(names, m.Name+"\t"+m.Provider)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
