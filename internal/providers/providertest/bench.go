package providertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// timeout bounds a call: virtual in process, and on a socket far longer than any
// answer that comes at all.
const timeout = 10 * time.Second

// bench is one gateway under test in front of its simulated vendor.
type bench struct {
	t       *testing.T
	s       Subject
	sim     *gatewaysim.Sim
	gateway Gateway
	inbox   *inbox
}

// inBubble runs a test in virtual time, gateway and vendor in one process.
func (s Subject) inBubble(t *testing.T, name string, test func(b *bench)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := s.newBench(t)
			b.open("https://gateway.example"+s.Path, transport.Options{RoundTripper: polite{t, b.sim.Transport()}})
			test(b)
		})
	})
}

// onSocket runs a test over TCP on the loopback.
func (s Subject) onSocket(t *testing.T, name string, test func(b *bench, server *gatewaysim.Server)) {
	t.Run(name, func(t *testing.T) {
		b := s.newBench(t)
		server, err := b.sim.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		b.open(server.URL()+s.Path, transport.Options{})
		test(b, server)
	})
}

func (s Subject) newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, s: s, inbox: &inbox{}}
	config := s.Sim
	config.CallbackTransport = b.inbox
	config.CallbackSchedule = []time.Duration{}
	sim, err := gatewaysim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	b.sim = sim
	return b
}

// open makes the gateway for a base_url.
func (b *bench) open(baseURL string, options transport.Options) {
	b.t.Helper()
	merchant := b.s.Account
	merchant.BaseURL, merchant.Timeout = baseURL, timeout
	pool := transport.NewPool(options)
	b.t.Cleanup(pool.Close)
	gateway, err := b.s.New(merchant, pool)
	if err != nil {
		b.t.Fatal(err)
	}
	b.gateway = gateway
}

// refund is a refund of this many minor units, of a payment of twice as much.
func (b *bench) refund(no string, minor int64) refund.Request {
	r := b.s.Request
	r.Merchant, r.RefundNo = b.s.Account.Name, no
	r.OrderNo, r.TransactionID = "order1", "T1"
	r.Amount = refund.Money{Minor: minor, Currency: b.s.Account.Currency}
	r.OrderAmount = refund.Money{Minor: 2 * minor, Currency: b.s.Account.Currency}
	return r
}

// script says how the calls of a refund number go.
func (b *bench) script(no string, steps ...gatewaysim.Step) {
	b.t.Helper()
	if err := b.sim.Script(no, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// call signs and makes one refund call.
func (b *bench) call(r refund.Request) refund.Outcome {
	b.t.Helper()
	if rejection := b.gateway.Check(r); rejection != nil {
		b.t.Fatalf("Check refuses the subject's own request: %+v", *rejection)
	}
	send, err := b.gateway.Sign(r)
	if err != nil {
		b.t.Fatalf("Sign: %v", err)
	}
	return b.send(send)
}

func (b *bench) send(send refund.Call) refund.Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return b.clean(send(ctx))
}

// query asks about a refund that was called once.
func (b *bench) query(r refund.Request) refund.Outcome {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return b.clean(b.gateway.Query(ctx, refund.Record{Request: r, Order: b.gateway.Order(r), Version: 1, Attempt: 1}))
}

// settle ends an open refund at the vendor.
func (b *bench) settle(no string, result gatewaysim.Result) {
	b.t.Helper()
	if err := b.sim.Settle(b.s.Merchant, no, result); err != nil {
		b.t.Fatal(err)
	}
}

// clean fails the test where an outcome shows a secret.
func (b *bench) clean(o refund.Outcome) refund.Outcome {
	b.t.Helper()
	b.secretless(o.Code + " " + o.Message + " " + o.ProviderStatus + " " + o.ProviderRefundID + " " + o.TransactionID)
	return o
}

func (b *bench) secretless(text string) {
	b.t.Helper()
	for _, secret := range b.s.Secrets {
		if strings.Contains(text, secret) {
			b.t.Errorf("shows a secret: %s", strings.ReplaceAll(text, secret, "(here)"))
		}
	}
}

// moved fails the test unless exactly these amounts moved under a number, by its
// one call.
func (b *bench) moved(r refund.Request, amounts ...int64) {
	b.t.Helper()
	var got []int64
	for _, e := range b.sim.Ledger() {
		if e.RefundNo == r.RefundNo {
			got = append(got, e.Amount)
			if e.Order != b.gateway.Order(r) || e.Calls != 1 {
				b.t.Errorf("moved for order %s by %d calls, want %s by one", e.Order, e.Calls, b.gateway.Order(r))
			}
		}
	}
	if !slices.Equal(got, amounts) {
		b.t.Errorf("the ledger has %d for %s, want %d", got, r.RefundNo, amounts)
	}
}

// called fails the test unless the vendor took this many calls of a number.
func (b *bench) called(no string, times int) {
	b.t.Helper()
	if known, _ := b.sim.Refund(b.s.Merchant, no); known.Calls != times {
		b.t.Errorf("the vendor saw %d calls of %s, want %d", known.Calls, no, times)
	}
}

// lawful fails the test where a call or query broke the vendor's pages.
func (b *bench) lawful() {
	b.t.Helper()
	if list, n := b.sim.Refusals(); n > 0 {
		b.t.Errorf("the vendor refused %d calls: %+v", n, list)
	}
}

func (b *bench) is(what string, o refund.Outcome, want ...refund.Class) {
	b.t.Helper()
	if !slices.Contains(want, o.Class) {
		b.t.Errorf("%s: %+v, want %v", what, o, want)
	}
}

// polite looks at each request on its way: net/http sends a POST with an
// idempotency key again when its connection breaks.
type polite struct {
	t    *testing.T
	next http.RoundTripper
}

func (p polite) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, header := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if _, there := r.Header[header]; there || r.GetBody != nil {
			p.t.Error("a request that net/http may send again by itself")
		}
	}
	return p.next.RoundTrip(r)
}

// inbox is where the vendor's notifications arrive: it keeps them and replies as
// it is told.
type inbox struct {
	mu     sync.Mutex
	bodies [][]byte
	reply  func(body []byte) (status int, contentType string, reply []byte)
}

func (in *inbox) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	in.mu.Lock()
	in.bodies = append(in.bodies, body)
	reply := in.reply
	in.mu.Unlock()
	status, contentType, text := http.StatusServiceUnavailable, "text/plain", []byte(nil)
	if reply != nil {
		status, contentType, text = reply(body)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader(text)), Request: r}, nil
}
