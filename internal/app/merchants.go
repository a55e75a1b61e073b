package app

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/refundworker/refundworker/internal/bridge"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// merchants are the accounts in use. Others take their place all at once; work
// under way keeps the account that it began with.
type merchants struct {
	current atomic.Pointer[inService]

	mu   sync.Mutex // of holds, and of a change
	held map[string]statuslog.Hold
}

// inService are the accounts of one configuration, and how many calls each may make
// at once.
type inService struct {
	accounts providers.Accounts
	calls    map[string]int
	from     []config.Merchant
}

// all are the accounts at this moment, not to be changed.
func (m *merchants) all() providers.Accounts {
	if now := m.current.Load(); now != nil {
		return now.accounts
	}
	return nil
}

// configured are the merchants' settings at this moment.
func (m *merchants) configured() []config.Merchant { return m.current.Load().from }

// calls is a merchant's concurrency.
func (m *merchants) calls(name string) int { return m.current.Load().calls[name] }

// Account implements refund.Accounts.
func (m *merchants) Account(name string) (*refund.Account, bool) { return m.all().Account(name) }

// put replaces the accounts; operators' holds stay.
func (m *merchants) put(accounts providers.Accounts, from []config.Merchant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, account := range accounts {
		if h, is := m.held[name]; is {
			account.Guard.SetHold(true, h.Reason)
		}
	}
	now := &inService{accounts: accounts, calls: map[string]int{}, from: from}
	for _, one := range from {
		now.calls[one.Name] = one.Concurrency
	}
	m.current.Store(now)
}

// hold notes an operator's hold, or with nil that there is none, also of a merchant
// that comes later. It reports whether that is new.
func (m *merchants) hold(name string, h *statuslog.Hold) (changed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, was := m.held[name]
	if h != nil {
		m.held[name] = *h
	} else {
		delete(m.held, name)
	}
	if account, ok := m.all()[name]; ok {
		if h != nil {
			account.Guard.SetHold(true, h.Reason)
		} else {
			account.Guard.SetHold(false, "")
		}
		return was != (h != nil)
	}
	return false
}

// heldNow are the names of merchants that are held.
func (m *merchants) heldNow() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.held {
		names = append(names, name)
	}
	return names
}

// build makes the accounts of a configuration. Those of merchants that kept is
// told to keep are taken over, with their breakers and slots as they are.
func (c *core) build(from []config.Merchant, kept func(merchant string) bool) (providers.Accounts, error) {
	old, now, hooks := c.merchants.all(), providers.Accounts{}, c.guardHooks()
	for _, m := range from {
		if account, is := old[m.Name]; is && kept(m.Name) {
			now[m.Name] = account
			continue
		}
		made, err := providers.Build([]providers.Settings{Settings(m)}, c.pool, hooks)
		if err != nil {
			return nil, err
		}
		c.dress(made[m.Name], m.BaseURL)
		now[m.Name] = made[m.Name]
	}
	return now, nil
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

// callbackAccounts are the merchants as the bridge looks them up.
type callbackAccounts struct{ *merchants }

// Account implements bridge.Accounts.
func (a callbackAccounts) Account(merchant string) (bridge.Account, bool) {
	found, ok := a.all()[merchant]
	if !ok {
		return bridge.Account{}, false
	}
	return bridge.Account{Provider: found.Provider, Gateway: masked{found.Callbacks}}, true
}
