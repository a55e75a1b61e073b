package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
)

// wire is a gateway that is driven connection by connection.
type wire struct {
	address     string
	connections atomic.Int32
	requests    atomic.Int32 // read to the end of their body
	bytes       atomic.Int64 // received of any request
}

// listen serves each connection with serve, on a real socket, until the test
// ends.
func listen(t *testing.T, serve func(w *wire, c net.Conn)) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: l.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.connections.Add(1)
			serve(w, c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return w
}

// request reads one request with its body.
func (w *wire) request(r *bufio.Reader) (*http.Request, []byte, error) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(req.Body)
	w.bytes.Add(int64(len(body)) + 1)
	if err == nil {
		w.requests.Add(1)
	}
	return req, body, err
}

// reset closes a connection with a TCP reset.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

func client(t *testing.T, base string, options Options) *Client {
	t.Helper()
	pool := NewPool(options)
	t.Cleanup(pool.Close)
	c, err := pool.Client(account.Merchant{BaseURL: base, AllowHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// fails posts and answers the typed error.
func fails(t *testing.T, c *Client, ctx context.Context) *Error {
	t.Helper()
	answer, err := c.Post(ctx, "/refund", []byte(`{"a":"b"}`))
	var typed *Error
	if !errors.As(err, &typed) {
		t.Fatalf("got the answer %d %q and error %v, want an *Error", answer.Status, answer.Body, err)
	}
	return typed
}

func want(t *testing.T, got *Error, sent bool, stage Stage, outage bool) {
	t.Helper()
	if got.Sent != sent || got.Stage != stage || got.Outage() != outage {
		t.Errorf("%v: sent %v at %v, outage %v; want sent %v at %v, outage %v",
			got, got.Sent, got.Stage, got.Outage(), sent, stage, outage)
	}
}

// pipes dials in-memory connections, which a synctest bubble can wait for.
func pipes(serve func(n int, c net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	var n atomic.Int32
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			serve(int(n.Add(1)), theirs)
		}()
		return ours, nil
	}
}
