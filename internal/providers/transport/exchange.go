package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
)

// exchange is one request under way. Its owner is the connection that wrote its
// first byte; from then on no other connection may write for it, and once it is
// sealed none may at all. That makes "sent" one compare-and-set, whatever
// net/http's goroutines still do after RoundTrip has returned.
type exchange struct {
	owner   atomic.Pointer[watchedConn]
	reached atomic.Int32
	reused  atomic.Bool // the last connection had carried another exchange before
}

// sealed is the owner of an exchange that failed before its first byte.
var sealed = &watchedConn{}

// seal answers true where no byte was written; then none ever will be.
func (ex *exchange) seal() bool { return ex.owner.CompareAndSwap(nil, sealed) }

// may says whether c may write for this exchange: it is the first, or the one
// that wrote before.
func (ex *exchange) may(c *watchedConn) bool {
	return ex.owner.CompareAndSwap(nil, c) || ex.owner.Load() == c
}

func (ex *exchange) stage() Stage { return Stage(ex.reached.Load()) }

// reach moves the stage forward, never back: two addresses are dialled at once.
func (ex *exchange) reach(s Stage) {
	for {
		was := ex.reached.Load()
		if was >= int32(s) || ex.reached.CompareAndSwap(was, int32(s)) {
			return
		}
	}
}

func (ex *exchange) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { ex.reach(Resolving) },
		ConnectStart:      func(string, string) { ex.reach(Connecting) },
		TLSHandshakeStart: func() { ex.reach(Handshaking) },
		GotConn: func(info httptrace.GotConnInfo) {
			ex.reach(Sending)
			ex.reused.Store(info.Reused)
			if c := watched(info.Conn); c != nil {
				c.serving.Store(ex)
			} else {
				ex.owner.CompareAndSwap(nil, &watchedConn{}) // cannot be watched: counts as sent
			}
		},
		WroteRequest:         func(httptrace.WroteRequestInfo) { ex.reach(Awaiting) },
		GotFirstResponseByte: func() { ex.reach(Reading) },
	})
}

// watched finds our connection under the layers of TLS that lie upon it.
func watched(c net.Conn) *watchedConn {
	for {
		switch layer := c.(type) {
		case *watchedConn:
			return layer
		case *tls.Conn:
			c = layer.NetConn()
		default:
			return nil
		}
	}
}

// watchedConn asks the exchange that it serves before each write. Without one (a
// proxy's CONNECT, a TLS handshake) it writes freely: nothing of a request is
// written before GotConn.
type watchedConn struct {
	net.Conn
	serving atomic.Pointer[exchange]
}

var errNotYours = errors.New("the exchange has ended, or went out on another connection")

func (c *watchedConn) Write(b []byte) (int, error) {
	if ex := c.serving.Load(); ex != nil && !ex.may(c) {
		return 0, errNotYours
	}
	return c.Conn.Write(b)
}
