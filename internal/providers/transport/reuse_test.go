package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
)

func merchant(base, proxy string) account.Merchant {
	return account.Merchant{BaseURL: base, Proxy: proxy}
}

func mustNotHold(t *testing.T, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%q repeats %q", text, secret)
		}
	}
}

func TestPostSendsTheBytesAndReadsTheAnswer(t *testing.T) {
	var got http.Header
	var path, body string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read, _ := io.ReadAll(r.Body)
		got, path, body = r.Header, r.Method+" "+r.URL.Path, string(read)
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, `{"x":1}`)
	}))
	defer server.Close()
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	answer, err := client(t, server.URL+"/VMP/", Options{RootCAs: roots}).Post(deadline(t), "/Servlet/x.do", []byte(`{"a":"退"}`))
	if err != nil || answer.Status != http.StatusTeapot || string(answer.Body) != `{"x":1}` {
		t.Fatalf("%d %q %v", answer.Status, answer.Body, err)
	}
	if path != "POST /VMP/Servlet/x.do" || body != `{"a":"退"}` || got.Get("Content-Type") != "application/json" {
		t.Errorf("%s, %q, %v", path, body, got)
	}
	if _, there := got["Idempotency-Key"]; there {
		t.Error("an Idempotency-Key makes net/http replay a POST")
	}
	if got.Get("Accept-Encoding") != "" {
		t.Error("a compressed answer may unfold into a large one")
	}
}

// A gateway that closes a kept connection between two exchanges costs nothing.
func TestIdleConnectionClosedBetweenExchanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests, conns := 0, 0
		c := client(t, "http://gateway.example", Options{Dial: pipes(func(n int, c net.Conn) {
			conns = n
			if _, _, err := (&wire{}).request(bufio.NewReader(c)); err == nil {
				requests++
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
			}
		})})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 3 {
			if _, err := c.Post(ctx, "/refund", []byte("pay")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the client has noticed
		}
		if requests != 3 || conns != 3 {
			t.Errorf("%d requests on %d connections", requests, conns)
		}
	})
}

// staleTransport is a kept connection that is found closed before our first byte:
// a race that no server can be made to lose on demand.
type staleTransport struct{ calls, wrote int }

func (s *staleTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	s.calls++
	ours, theirs := net.Pipe()
	theirs.Close()
	defer ours.Close()
	c := &watchedConn{Conn: ours}
	httptrace.ContextClientTrace(req.Context()).GotConn(httptrace.GotConnInfo{Conn: c, Reused: s.calls == 1})
	if s.calls > s.wrote {
		return nil, errors.New("http: server closed idle connection")
	}
	c.Write([]byte("x"))
	return nil, syscall.ECONNRESET
}

func TestStaleConnectionIsTriedOnceMoreOnlyWhenNothingWasWritten(t *testing.T) {
	for name, test := range map[string]struct {
		wrote, calls int
		sent         bool
	}{
		"nothing written": {wrote: 0, calls: 2, sent: false},
		"first written":   {wrote: 1, calls: 1, sent: true},
	} {
		t.Run(name, func(t *testing.T) {
			stale := &staleTransport{wrote: test.wrote}
			got := fails(t, &Client{base: "http://gateway.example", wire: stale, pooled: &http.Transport{}}, deadline(t))
			if stale.calls != test.calls || got.Sent != test.sent {
				t.Errorf("%d calls, sent %v: %v", stale.calls, got.Sent, got)
			}
		})
	}
}

func TestRoundTripperInPlaceOfHTTP(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		sent bool
	}{
		"refused": {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, false},
		"broken":  {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
		"other":   {io.ErrUnexpectedEOF, true},
	} {
		rt := roundTrip(func(*http.Request) (*http.Response, error) { return nil, test.err })
		if got := fails(t, client(t, "http://gateway.example", Options{RoundTripper: rt}), deadline(t)); got.Sent != test.sent {
			t.Errorf("%s: sent %v", name, got.Sent)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestMerchantsOfOneGatewayShareAClient(t *testing.T) {
	pool := NewPool(Options{})
	get := func(base, proxy string) *Client {
		c, err := pool.Client(merchant(base, proxy))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a := get("https://gateway.example/VMP", "")
	if a != get("https://gateway.example/VMP", "") || a == get("https://other.example/VMP", "") ||
		a == get("https://gateway.example/VMP", "http://proxy.example:3128") {
		t.Error("one client for each base_url and proxy")
	}
	if a.pooled.Proxy != nil {
		t.Error("a proxy of the environment would be used")
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	for _, m := range []account.Merchant{
		merchant("", ""), merchant("gateway.example", ""), merchant("http://gateway.example", ""), merchant("ftp://gateway.example", ""),
		merchant("https://user:canary@gateway.example", ""), merchant("https://gateway.example/?key=canary", ""),
		merchant("https://gateway.example", "canary:3128"), merchant("https://gateway.example", "ftp://canary"),
		merchant("https://gateway.example:port/canary", ""),
	} {
		_, err := NewPool(Options{}).Client(m)
		if err == nil {
			t.Errorf("%q by %q was accepted", m.BaseURL, m.Proxy)
			continue
		}
		mustNotHold(t, err.Error(), "canary")
	}
	for _, base := range []string{"http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"} {
		if _, err := NewPool(Options{}).Client(merchant(base, "")); err != nil {
			t.Errorf("%s is loopback: %v", base, err)
		}
	}
}
