package providers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/bluepay"
	"github.com/refundworker/refundworker/internal/providers/eftpay"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// Gateway is all that a gateway's package offers of one merchant: what the worker
// needs and what the bridge needs.
type Gateway interface {
	refund.Gateway
	// ParseCallback verifies a notification, then reads it. Every error is a
	// *refund.CallbackError.
	ParseCallback(body []byte) (refund.Notice, error)
	// Acknowledge is the reply by which the gateway stops repeating a notification.
	Acknowledge() (contentType string, body []byte)
	// Ping is a signed query about no refund. It moves no money: Hold where our
	// settings are refused, Outage where the gateway is not there.
	Ping(context.Context) refund.Outcome
}

// constructors are the gateways by the configuration's `provider`. A new one is a
// package and a line here.
var constructors = map[string]func(account.Merchant, *transport.Pool) (Gateway, error){
	eftpay.Name:  func(m account.Merchant, p *transport.Pool) (Gateway, error) { return eftpay.New(m, p) },
	bluepay.Name: func(m account.Merchant, p *transport.Pool) (Gateway, error) { return bluepay.New(m, p) },
}

// Names are the providers that a configuration may name, sorted.
func Names() []string { return slices.Sorted(maps.Keys(constructors)) }

// Settings are all of one merchant.
type Settings struct {
	account.Merchant
	Provider           string
	Concurrency        int           // calls at once
	MaxWait            time.Duration // for a slot
	Rate               int           // calls a second over all workers
	ErrorRate          int           // calls a second that end in errors; 0: no limit
	Breaker            Breaker
	MaxRefundsPerOrder int
	OrderInterval      time.Duration // between two refunds of one order
	ResendAfter        time.Duration
}

// Account is a merchant ready for work: the domain's account, its gateway with all
// that the bridge needs, and its guard.
type Account struct {
	refund.Account
	Callbacks Gateway
	Guard     *Guard
}

// Accounts are the merchants by name. It implements refund.Accounts.
type Accounts map[string]*Account

var _ refund.Accounts = Accounts(nil)

// Account implements refund.Accounts.
func (a Accounts) Account(merchant string) (*refund.Account, bool) {
	found, ok := a[merchant]
	if !ok {
		return nil, false
	}
	return &found.Account, true
}

// MerchantError is all that is wrong with one merchant's settings; what belongs to
// a key of the provider's own block is an *account.FieldError within it.
type MerchantError struct {
	Merchant string
	Provider string
	Err      error
}

func (e *MerchantError) Error() string {
	return fmt.Sprintf("merchant %s (%s): %v", e.Merchant, e.Provider, e.Err)
}
func (e *MerchantError) Unwrap() error { return e.Err }

// Build makes every merchant's account. Its error joins a *MerchantError for each
// that is wrong.
func Build(settings []Settings, pool *transport.Pool, hooks Hooks) (Accounts, error) {
	accounts := Accounts{}
	var wrong []error
	for _, s := range settings {
		a, err := build(s, pool, hooks)
		if err == nil && accounts[s.Name] != nil {
			err = errors.New("is there twice")
		}
		if err != nil {
			wrong = append(wrong, &MerchantError{Merchant: s.Name, Provider: s.Provider, Err: err})
			continue
		}
		accounts[s.Name] = a
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return accounts, nil
}

func build(s Settings, pool *transport.Pool, hooks Hooks) (*Account, error) {
	construct, known := constructors[s.Provider]
	if !known {
		return nil, &account.FieldError{Field: "provider", Err: fmt.Errorf("%q is none of: %s", s.Provider, strings.Join(Names(), ", "))}
	}
	gateway, err := construct(s.Merchant, pool)
	if err := errors.Join(s.check(), err); err != nil {
		return nil, err
	}
	guard := NewGuard(s.Name, Limits{
		Concurrency: s.Concurrency, MaxWait: s.MaxWait, ErrorRate: s.ErrorRate, Timeout: s.Timeout, Breaker: s.Breaker,
	}, gateway.Ping, hooks)
	return &Account{
		Account: refund.Account{
			Merchant: s.Name, Provider: s.Provider, Gateway: gateway, Slots: guard,
			Timeout: s.Timeout, MaxWait: s.MaxWait, ResendAfter: s.ResendAfter,
			Limits: refund.Limits{Rate: s.Rate, MaxRefundsPerOrder: s.MaxRefundsPerOrder, OrderInterval: s.OrderInterval},
		},
		Callbacks: gateway,
		Guard:     guard,
	}, nil
}

// check finds what would make a guard useless.
func (s Settings) check() error {
	var found []error
	for _, rule := range []struct {
		wrong bool
		what  string
	}{
		{s.Timeout <= 0, "timeout must be above 0: every call needs an end"},
		{s.Concurrency < 1, "concurrency must be at least 1"},
		{s.MaxWait < 0, "max_wait must not be negative"},
		{s.Rate < 1, "rate must be at least 1"},
		{s.ErrorRate < 0, "error_rate must not be negative"},
		{s.Breaker.Window <= 0, "breaker.window must be above 0"},
		{s.Breaker.MinCalls < 1, "breaker.min_calls must be at least 1"},
		{!(s.Breaker.FailureRatio > 0 && s.Breaker.FailureRatio <= 1), "breaker.failure_ratio must be above 0 and at most 1"},
		{s.Breaker.OpenFor <= 0, "breaker.open_for must be above 0"},
		{s.MaxRefundsPerOrder < 1, "max_refunds_per_order must be at least 1"},
		{s.OrderInterval < 0, "order_interval must not be negative"},
		{s.ResendAfter <= 0, "resend_after must be above 0: a call may land after its deadline"},
	} {
		if rule.wrong {
			found = append(found, errors.New(rule.what))
		}
	}
	return errors.Join(found...)
}
