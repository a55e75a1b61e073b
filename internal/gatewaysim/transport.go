package gatewaysim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
)

var (
	errReset   error = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	errRefused error = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
)

// Transport is an http.RoundTripper that reaches the gateways without a
// socket, for tests in virtual time: whatever its host, a request goes to
// Handler. A client that gives up gets its context's error while the gateway
// goes on with the call, as over a network.
func (s *Sim) Transport() http.RoundTripper { return InProcess(s.handler, s) }

// InProcess is a Transport to any handler; sim lets Refuse and Close apply to
// it, and Close waits for its calls.
func InProcess(h http.Handler, sim *Sim) http.RoundTripper { return &transport{h, sim} }

type transport struct {
	handler http.Handler
	sim     *Sim
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.sim.door.isShut() || t.sim.closed() {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, errRefused
	}
	// The body is read first, so that the server side never waits for it.
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(r.Context())
	reader, writer := io.Pipe()
	end := context.AfterFunc(t.sim.base, func() {
		cancel()
		_ = writer.CloseWithError(io.ErrUnexpectedEOF)
	})
	hangUp := func() {
		end()
		cancel()
	}
	c := &pipeConn{header: http.Header{}, writer: writer, head: make(chan struct{})}
	request := r.Clone(ctx)
	request.Body = io.NopCloser(bytes.NewReader(body))
	request.ContentLength = int64(len(body))
	request.RequestURI = r.URL.RequestURI()
	request.RemoteAddr = "127.0.0.1:0"
	if !t.sim.spawn(func() { t.serve(c, request) }) {
		hangUp()
		return nil, errRefused
	}
	select {
	case <-c.head:
	case <-r.Context().Done():
		hangUp()
		_ = reader.CloseWithError(r.Context().Err())
		return nil, r.Context().Err()
	}
	if c.broken != nil && !c.wrote {
		hangUp()
		return nil, c.broken
	}
	// A client's deadline also ends the reading of a body.
	stop := context.AfterFunc(r.Context(), func() { _ = writer.CloseWithError(r.Context().Err()) })
	return &http.Response{Status: fmt.Sprintf("%d %s", c.status, http.StatusText(c.status)), StatusCode: c.status, Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1, Header: c.sent, ContentLength: -1, Request: r, Body: &pipeBody{reader, func() { stop(); hangUp() }}}, nil
}

func (t *transport) serve(c *pipeConn, r *http.Request) {
	defer c.finish()
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		} else if p != nil {
			c.breakOff(io.ErrUnexpectedEOF)
		}
	}()
	t.handler.ServeHTTP(c, r)
}

// pipeConn is the server's side of one exchange.
type pipeConn struct {
	header, sent http.Header
	status       int
	wrote        bool // a head was sent; set before head is closed
	broken       error
	once         sync.Once
	head         chan struct{}
	writer       *io.PipeWriter
}

func (c *pipeConn) Header() http.Header { return c.header }

func (c *pipeConn) WriteHeader(status int) {
	c.once.Do(func() {
		c.status, c.sent, c.wrote = status, c.header.Clone(), true
		close(c.head)
	})
}

func (c *pipeConn) Write(b []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	return c.writer.Write(b)
}

// Flush does nothing: each Write is seen at once.
func (c *pipeConn) Flush() {}

func (c *pipeConn) breakOff(err error) {
	c.once.Do(func() {
		c.broken = err
		close(c.head)
	})
	_ = c.writer.CloseWithError(err)
}

func (c *pipeConn) finish() {
	c.WriteHeader(http.StatusOK)
	_ = c.writer.Close()
}

type pipeBody struct {
	*io.PipeReader
	done func()
}

func (b *pipeBody) Close() error {
	b.done()
	return b.PipeReader.Close()
}
