package ctl

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/providers"
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
)

// system is what a command works on. Close it.
type system struct {
	app.Parts
	client *app.Client
}

func (s *system) close() { s.client.Close() }

// connect reads the configuration and makes sure that what is needed answers.
func (r *run) connect(ctx context.Context, needs need) (*system, error) {
	cfg, err := r.load()
	if err != nil {
		return nil, err
	}
	client, err := app.NewClient(cfg)
	if err != nil {
		return nil, usage("%w", err)
	}
	s := &system{Parts: client.Parts(), client: client}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if needs&kafkaUp != 0 {
		if err := s.Kafka.Ping(ctx); err != nil {
			s.close()
			return nil, away(ctx, err)
		}
	}
	if needs&redisUp != 0 {
		if err := s.PingRedis(ctx); err != nil {
			s.close()
			return nil, away(ctx, fmt.Errorf("redis: %v does not answer: %w", cfg.Redis.Addrs, err))
		}
	}
	return s, nil
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
