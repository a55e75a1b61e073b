package app

import (
	"errors"

	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/providers/transport"
)

// settings are the merchants as their gateways' packages take them.
func settings(merchants []config.Merchant) []providers.Settings {
	out := make([]providers.Settings, len(merchants))
	for i, m := range merchants {
		out[i] = Settings(m)
	}
	return out
}

// Settings is one merchant of the configuration as providers take it.
func Settings(m config.Merchant) providers.Settings {
	return providers.Settings{
		Merchant: m.Account(), Provider: m.Provider, Concurrency: m.Concurrency, MaxWait: m.MaxWait,
		Rate: m.Rate, ErrorRate: m.ErrorRate,
		Breaker: providers.Breaker{
			Window: m.Breaker.Window, MinCalls: m.Breaker.MinCalls, FailureRatio: m.Breaker.FailureRatio, OpenFor: m.Breaker.OpenFor,
		},
		MaxRefundsPerOrder: m.MaxRefundsPerOrder, OrderInterval: m.OrderInterval, ResendAfter: m.ResendAfter,
	}
}

// Load reads the configuration and has each merchant checked by its provider, so
// that all findings are told at once.
func Load(path string) (*config.Config, error) {
	pool := transport.NewPool(transport.Options{})
	defer pool.Close()
	return config.Load(path, config.CheckMerchants(func(m config.Merchant) error {
		_, err := providers.Build([]providers.Settings{Settings(m)}, pool, providers.Hooks{})
		var wrong *providers.MerchantError
		if errors.As(err, &wrong) {
			return wrong.Err
		}
		return err
	}))
}
