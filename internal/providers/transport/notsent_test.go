package transport

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync"
	"testing"

	"github.com/refundworker/refundworker/internal/refund"
)

func TestRefusedConnectionIsNotSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	got := fails(t, client(t, "http://"+l.Addr().String(), Options{}), deadline(t))
	want(t, got, false, Connecting, true)
	if o := got.Outcome(refund.RefundCall); o.Class != refund.NotSent || !o.Outage || o.Code != refund.CodeGatewayDown {
		t.Errorf("a refund call: %+v", o)
	}
	if o := got.Outcome(refund.QueryCall); o.Class != refund.Unknown || !o.Outage {
		t.Errorf("a query that cannot connect is unknown, never not sent: %+v", o)
	}
}

func TestUnknownHostIsNotSent(t *testing.T) {
	noServer := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server")
	}}
	dial := (&net.Dialer{Resolver: noServer}).DialContext
	got := fails(t, client(t, "http://gateway.invalid", Options{Dial: dial}), deadline(t))
	want(t, got, false, Resolving, true)
}

func TestUntrustedCertificateIsNotSent(t *testing.T) {
	hits := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it would print the refused handshake
	server.StartTLS()
	defer server.Close()
	got := fails(t, client(t, server.URL, Options{}), deadline(t))
	want(t, got, false, Handshaking, true)
	if hits != 0 {
		t.Errorf("the server got %d requests", hits)
	}
}

func TestHandshakeThatBreaksIsNotSent(t *testing.T) {
	w := listen(t, func(_ *wire, c net.Conn) {
		c.Read(make([]byte, 1))
		reset(c)
	})
	got := fails(t, client(t, "https://"+w.address, Options{}), deadline(t))
	want(t, got, false, Handshaking, true)
}

func TestContextEndedBeforeDialIsNotSentAndNoOutage(t *testing.T) {
	w := listen(t, func(w *wire, c net.Conn) {})
	ctx, cancel := context.WithCancel(deadline(t))
	cancel()
	got := fails(t, client(t, "http://"+w.address, Options{}), ctx)
	want(t, got, false, BeforeDial, false)
	if w.connections.Load() != 0 {
		t.Error("it dialled all the same")
	}
}

// A deadline that was over before we began is our own doing, too.
func TestDeadlineOverBeforeDialIsNoOutage(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	want(t, fails(t, client(t, "http://gateway.example", Options{}), ctx), false, BeforeDial, false)
}

// Whatever error net/http makes of it: we gave up, so the gateway is not to blame.
func TestGivingUpIsNoOutageByAnyError(t *testing.T) {
	ctx, cancel := context.WithCancel(deadline(t))
	rt := roundTrip(func(*http.Request) (*http.Response, error) {
		cancel()
		return nil, io.ErrUnexpectedEOF
	})
	got := fails(t, client(t, "http://gateway.example", Options{RoundTripper: rt}), ctx)
	want(t, got, true, Awaiting, false)
	if o := got.Outcome(refund.RefundCall); o.Class != refund.Unknown || !GivenUp(o) {
		t.Errorf("%+v", o)
	}
}

// A dial that hangs: our own giving up is no outage, the deadline is one.
func TestContextEndedWhileDialling(t *testing.T) {
	for name, outage := range map[string]bool{"cancelled": false, "deadline": true} {
		t.Run(name, func(t *testing.T) {
			began, ctx, cancel := make(chan struct{}), context.Context(nil), func() {}
			dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
				if tr := httptrace.ContextClientTrace(ctx); tr != nil {
					tr.ConnectStart("tcp", "gateway")
				}
				close(began)
				<-ctx.Done()
				return nil, ctx.Err()
			}
			if outage {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(t.Context(), 50e6)
				defer stop()
			} else {
				ctx, cancel = context.WithCancel(deadline(t))
			}
			go func() { <-began; cancel() }()
			got := fails(t, client(t, "http://gateway.example", Options{Dial: dial}), ctx)
			want(t, got, false, Connecting, outage)
		})
	}
}

// A proxy that refuses to connect us has not seen the request.
func TestProxyRefusalIsNotSent(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.ContentLength > 0 {
			t.Errorf("the proxy got %s with %d bytes", r.Method, r.ContentLength)
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	pool := NewPool(Options{})
	defer pool.Close()
	c, err := pool.Client(merchant("https://gateway.example", "http://user:canary@"+proxy.Listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	got := fails(t, c, deadline(t))
	want(t, got, false, Connecting, true)
	mustNotHold(t, got.Error(), "canary")
}

// What was reported as not sent can never be sent afterwards: a writer that
// wakes up late is refused, and of the two, writer and verdict, one wins.
func TestSealedExchangeNeverWrites(t *testing.T) {
	for range 2000 {
		ours, theirs := net.Pipe()
		ex, c := &exchange{}, &watchedConn{Conn: ours}
		c.serving.Store(ex)
		wrote := make(chan int)
		go func() {
			n, _ := c.Write([]byte("x"))
			wrote <- n
		}()
		go theirs.Read(make([]byte, 1))
		notSent := ex.seal()
		if n := <-wrote; notSent == (n == 1) {
			t.Fatalf("not sent: %v, bytes written: %d", notSent, n)
		}
		ours.Close()
		theirs.Close()
	}
}

// An exchange belongs to the connection of its first byte, whatever net/http
// would like to do on another one.
func TestExchangeWritesOnOneConnectionOnly(t *testing.T) {
	sink := func() *watchedConn { return &watchedConn{Conn: discard{}} }
	ex, first, second := &exchange{}, sink(), sink()
	first.serving.Store(ex)
	second.serving.Store(ex)
	var wg sync.WaitGroup
	var results [2]error
	for i, c := range []*watchedConn{first, second} {
		wg.Go(func() { _, results[i] = c.Write([]byte("x")) })
	}
	wg.Wait()
	if (results[0] == nil) == (results[1] == nil) {
		t.Fatalf("writes on two connections: %v and %v", results[0], results[1])
	}
}

type discard struct{ net.Conn }

func (discard) Write(b []byte) (int, error) { return len(b), nil }
