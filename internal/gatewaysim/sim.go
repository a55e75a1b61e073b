package gatewaysim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Sim is both gateways, their ledger and their misbehaviour. All methods are
// safe for use by several goroutines.
type Sim struct {
	cfg      Config
	clock    Clock
	accounts map[string]*account // by accountKey; never changed after New
	scripts  *scripts
	outbox   *outbox
	refusals refusals
	handler  http.Handler

	door  door
	base  context.Context // ends with Close
	end   context.CancelFunc
	done  <-chan struct{}
	start sync.RWMutex   // orders enter before or after Close
	work  sync.WaitGroup // calls being answered and callbacks on the wire
}

// New makes the gateways. Close ends them. The error names every merchant
// whose settings are wrong.
func New(cfg Config) (*Sim, error) {
	s := &Sim{cfg: cfg.withDefaults(), accounts: map[string]*account{}}
	s.base, s.end = context.WithCancel(context.Background())
	s.done = s.base.Done()
	s.clock = s.cfg.Clock
	var errs []error
	add := func(a *account, err error) {
		if err == nil && s.accounts[a.key()] != nil {
			err = fmt.Errorf("%s merchant %q is there twice", a.provider, a.merchant)
		}
		if err != nil {
			errs = append(errs, err)
			return
		}
		s.accounts[a.key()] = a
	}
	for _, m := range s.cfg.EftPay {
		m = m.withDefaults()
		a := newAccount(ProviderEftPay, m.UserConfirmKey, m.Currency)
		a.eftpay = m
		add(a, m.check())
	}
	for _, m := range s.cfg.BluePay {
		a := newAccount(ProviderBluePay, m.AppID, m.Currency)
		a.bluepay = m
		add(a, m.check())
	}
	if s.cfg.Generator != nil {
		errs = append(errs, s.cfg.Generator.Check())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("gatewaysim: %w", err)
	}
	s.scripts = newScripts(s.cfg.MagicAmounts, s.cfg.Generator)
	s.outbox = newOutbox(s)
	mux := http.NewServeMux()
	mux.HandleFunc(s.cfg.Prefix+"/Servlet/JSAPIService.do", s.eftpayService)
	mux.HandleFunc(s.cfg.Prefix+"/Servlet/QRcodeTradeQuery.do", s.eftpayQueryA)
	mux.HandleFunc("/open-api/payment/refund", s.bluepayRefund)
	mux.HandleFunc("/open-api/refund/payments", s.bluepayQuery)
	s.handler = mux
	return s, nil
}

// Handler is both gateways as one handler, for a server or for Transport.
func (s *Sim) Handler() http.Handler { return s.handler }

// Prefix is the path before eftPay's own paths, "/VMP" by default.
func (s *Sim) Prefix() string { return s.cfg.Prefix }

// Close ends hanging calls, stops callbacks and waits for those on the wire.
// What was still to land or to settle never does.
func (s *Sim) Close() {
	s.start.Lock()
	s.end()
	s.start.Unlock()
	s.door.closeAll()
	s.work.Wait()
}

func (s *Sim) closed() bool { return s.base.Err() != nil }

// after runs f later, unless the simulator was closed meanwhile.
func (s *Sim) after(d time.Duration, f func()) {
	s.clock.AfterFunc(d, func() {
		if !s.closed() {
			f()
		}
	})
}

// enter counts work that Close waits for, until work.Done; false where it is
// closed.
func (s *Sim) enter() bool {
	s.start.RLock()
	defer s.start.RUnlock()
	if s.closed() {
		return false
	}
	s.work.Add(1)
	return true
}

// spawn runs f in a goroutine that Close waits for; false where it is closed.
func (s *Sim) spawn(f func()) bool {
	if !s.enter() {
		return false
	}
	go func() {
		defer s.work.Done()
		f()
	}()
	return true
}

func (s *Sim) account(provider, merchant string) *account {
	return s.accounts[provider+"/"+merchant]
}

// find answers the account of a merchant of whichever provider.
func (s *Sim) find(merchant string) (*account, error) {
	if a := s.account(ProviderEftPay, merchant); a != nil {
		return a, nil
	}
	if a := s.account(ProviderBluePay, merchant); a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("gatewaysim: no merchant %q: name a user_confirm_key or an app_id of the configuration", merchant)
}

// Script sets how the successive calls of a refund number go; written as
// merchant/number, of that merchant's alone. It replaces what was set before
// for its calls; queries and notifications stay.
func (s *Sim) Script(refundNo string, steps ...Step) error {
	return s.scripts.set(refundNo, Script{Calls: steps}, callPart)
}

// ScriptQueries sets how the successive queries of a refund number go. For
// BluePay, whose queries name no refund number, a query takes the step of
// the first refund under that original that has one left.
func (s *Sim) ScriptQueries(refundNo string, steps ...Step) error {
	return s.scripts.set(refundNo, Script{Queries: steps}, queryPart)
}

// ScriptNotifications sets the callbacks of a refund number, in place of the
// single true one.
func (s *Sim) ScriptNotifications(refundNo string, ns ...Notification) error {
	return s.scripts.set(refundNo, Script{Notifications: ns}, notificationPart)
}

// SetScript replaces the whole script of a refund number.
func (s *Sim) SetScript(refundNo string, sc Script) error {
	return s.scripts.set(refundNo, sc, callPart|queryPart|notificationPart)
}

// ScriptOf answers what is left of the script of a refund number, or of
// merchant/number, under which those lie that magic or the generator wrote.
func (s *Sim) ScriptOf(refundNo string) Script { return s.scripts.left(refundNo) }

// SetGenerator changes the generator; nil switches it off. Refund numbers
// that were seen before keep their scripts.
func (s *Sim) SetGenerator(g *Generator) error {
	if g != nil {
		if err := g.Check(); err != nil {
			return err
		}
	}
	s.scripts.setGenerator(g)
	return nil
}
