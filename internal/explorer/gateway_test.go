package explorer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"net"

	"github.com/goccy/go-yaml"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/eftpay"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

const (
	secret    = "explorer-secret"
	notFound  = "40"
	callbacks = "https://bridge.example/v1/callbacks/"
	// tolerance of the simulated gateway for time stamps: a call that leaves so late that another attempt may have been
	// begun is refused as stale.
	tolerance = time.Minute
)

// gatewayOf is the real eftpay package for a merchant. It keeps nothing of a run: each call finds its world by its context.
var gatewayOf = func() func(merchant string) *eftpay.Gateway {
	var mu sync.Mutex
	all := map[string]*eftpay.Gateway{}
	pool := transport.NewPool(transport.Options{RoundTripper: wire{}})
	return func(merchant string) *eftpay.Gateway {
		mu.Lock()
		defer mu.Unlock()
		if all[merchant] == nil {
			block := fmt.Sprintf("user_confirm_key: %s\nsecret: %s\nnot_found_codes: ['%s']\nnotify_url: %s%s\n", merchant, secret, notFound, callbacks, merchant)
			all[merchant] = must(eftpay.New(account.Merchant{
				Name: merchant, BaseURL: "https://gateway.example/VMP", Currency: hkd, Exponent: 2, Timeout: callTimeout,
				Decode: func(into any) error { return yaml.UnmarshalWithOptions([]byte(block), into, yaml.Strict()) },
			}, pool))
		}
		return all[merchant]
	}
}()

func newSim(w *world) *gatewaysim.Sim {
	cfg := gatewaysim.Config{CallbackTransport: callbackWire{w}, TimeTolerance: tolerance,
		CallbackTimeout: 11 * time.Second} // not the instant at which the bridge gives up
	for _, m := range w.merchants {
		cfg.EftPay = append(cfg.EftPay, gatewaysim.EftPayMerchant{UserConfirmKey: m, Secret: secret, NotFoundStatus: notFound})
	}
	return must(gatewaysim.New(cfg))
}

// accounts are a process's merchants, each behind a guard of its own.
type accounts map[string]*refund.Account

func (a accounts) Account(merchant string) (*refund.Account, bool) {
	found, ok := a[merchant]
	return found, ok
}

func newAccounts(p *process) accounts {
	all := accounts{}
	for _, m := range p.world.merchants {
		gateway := gatewayOf(m)
		guard := providers.NewGuard(m, providers.Limits{
			Concurrency: 64, MaxWait: 5 * time.Second, ErrorRate: 6, Timeout: callTimeout,
			Breaker: providers.Breaker{Window: 30 * time.Second, MinCalls: 20, FailureRatio: 0.5, OpenFor: 15 * time.Second},
		}, gateway.Ping, providers.Hooks{})
		a := &refund.Account{
			Merchant: m, Provider: eftpay.Name, Gateway: gatewayPort{gateway, p}, Slots: slotsPort{guard, p},
			Timeout: callTimeout, MaxWait: 5 * time.Second, ResendAfter: resendAfter,
			Limits: refund.Limits{Rate: 100, MaxRefundsPerOrder: 50},
		}
		if p.world.defect.account != nil {
			p.world.defect.account(a)
		}
		all[m] = a
	}
	return all
}

// slotsPort is the guard behind gates.
type slotsPort struct {
	refund.Slots
	proc *process
}

func (s slotsPort) Acquire(ctx context.Context, kind refund.CallKind) (refund.Slot, *refund.Wait) {
	s.proc.pass(ctx, "slot", before, "")
	slot, wait := s.Slots.Acquire(ctx, kind)
	s.proc.pass(ctx, "slot", after, "")
	return slot, wait
}

// gatewayPort is the gateway behind gates: around the signing, and just before the call, which is after the look at the
// lease. The bytes have gates of their own (wire).
type gatewayPort struct {
	*eftpay.Gateway
	proc *process
}

func (g gatewayPort) Sign(r refund.Request) (refund.Call, error) {
	key := r.Key.String()
	g.proc.pass(g.proc.ctx, "sign", before, key)
	call, err := g.Gateway.Sign(r)
	g.proc.pass(g.proc.ctx, "sign", after, key)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) refund.Outcome {
		g.proc.pass(ctx, "call", before, key)
		out := call(about(ctx, key))
		g.proc.world.notef(ctx, "call of %s: %s %s", r.RefundNo, out.Class, out.Message)
		return out
	}, nil
}

func (g gatewayPort) Query(ctx context.Context, rec refund.Record) refund.Outcome {
	out := g.Gateway.Query(about(ctx, rec.Key().String()), rec)
	g.proc.world.notef(ctx, "query of %s: %s %s", rec.Request.RefundNo, out.Class, out.Message)
	return out
}

type (
	aboutKey struct{}
	worldKey struct{}
)

// about names the refund that a call is about.
func about(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, aboutKey{}, key)
}

// wire carries calls to the simulated gateways, with a gate before the bytes leave and one before the answer is read.
type wire struct{}

var errCut error = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

func (wire) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	p := processOf(ctx)
	if p == nil { // staff
		return ctx.Value(worldKey{}).(*world).sim.Transport().RoundTrip(r)
	}
	key, _ := ctx.Value(aboutKey{}).(string)
	op := "send"
	if strings.HasSuffix(r.URL.Path, "QRcodeTradeQuery.do") {
		op = "ask"
	}
	if d, ok := ctx.Value(deliveryKey{}).(*delivery); ok && key != "" {
		d.asked = true
	}
	if op == "send" && key != "" {
		p.world.mayMove(ctx, key)
	}
	if p.pass(ctx, op, before, key) {
		return nil, errRefused
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.world.lastCall = time.Now()
	answer, err := p.world.sim.Transport().RoundTrip(r)
	if err == nil {
		answer, err = arrived(answer)
	}
	if p.pass(ctx, op, after, key) {
		return nil, errCut
	}
	return answer, err
}

var errRefused error = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

// arrived has the whole answer in this process's buffers: a process that is frozen afterwards finds it there.
func arrived(answer *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(io.LimitReader(answer.Body, transport.MaxAnswer+1))
	answer.Body.Close()
	if err != nil {
		answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	} else {
		answer.Body = io.NopCloser(bytes.NewReader(body))
	}
	return answer, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// mayMove is told each call before it leaves: its intent must be on the topic.
func (w *world) mayMove(ctx context.Context, key string) {
	newest := w.newest[key]
	if !newest.Status.Open() || newest.Attempt < 1 {
		w.problem(ctx, "unannounced: a call of %s left, and the newest event on the status topic does not say that money may move: %q", key, newest.Status)
	}
}

// callbackWire carries callbacks to the bridge.
type callbackWire struct{ world *world }

func (c callbackWire) RoundTrip(r *http.Request) (*http.Response, error) {
	p := c.world.bridge.Load()
	if p.dead.Load() {
		return nil, errRefused
	}
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	return p.bridge.serve(r.Context(), r.URL.Path, body)
}

var errBridgeGone = errors.New("EOF")
