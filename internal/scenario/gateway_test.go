package scenario

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// gateway is one merchant's way to the simulated gateways: a server of its own,
// which may be slow, sick or away.
type gateway struct {
	addr   string
	server *httptest.Server

	mu      sync.Mutex
	inner   http.Handler
	latency time.Duration
	sick    http.HandlerFunc // in place of inner; nil: well
	calls   []string         // refund or query, in the order of their coming
}

func newGateway(t testing.TB) *gateway {
	g := &gateway{inner: http.HandlerFunc(fails)} // until the simulator is there
	g.server = httptest.NewServer(http.HandlerFunc(g.answer))
	g.addr = g.server.Listener.Addr().String()
	t.Cleanup(func() { g.vanish() })
	return g
}

// vanish closes the port: connections are refused.
func (g *gateway) vanish() {
	g.server.CloseClientConnections()
	g.server.Close()
}

// appear opens it again.
func (g *gateway) appear(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	g.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(g.answer)}}
	g.server.Start()
}

func (g *gateway) serve(inner http.Handler) { g.set(func() { g.inner = inner }) }

// slow makes each answer take so long.
func (g *gateway) slow(latency time.Duration) { g.set(func() { g.latency = latency }) }

// fall makes it sick, or with nil well.
func (g *gateway) fall(sick http.HandlerFunc) { g.set(func() { g.sick = sick }) }

func (g *gateway) set(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
}

// came is what has come since it was last asked.
func (g *gateway) came() (calls []string) {
	g.set(func() { calls, g.calls = g.calls, nil })
	return calls
}

func (g *gateway) answer(w http.ResponseWriter, r *http.Request) {
	kind := "refund"
	if strings.HasSuffix(r.URL.Path, "/QRcodeTradeQuery.do") {
		kind = "query"
	}
	var inner http.Handler
	var sick http.HandlerFunc
	var latency time.Duration
	g.set(func() {
		inner, sick, latency = g.inner, g.sick, g.latency
		g.calls = append(g.calls, kind)
	})
	if sick != nil {
		sick(w, r)
		return
	}
	time.Sleep(latency) // what a gateway does
	inner.ServeHTTP(w, r)
}

// Ways to be sick.

// hangs never answers.
func hangs(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // a server notices that its client has gone only behind the body
	<-r.Context().Done()
}

// resets breaks the connection without an answer.
func resets(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // the connection has gone
	}
	if tcp, is := conn.(*net.TCPConn); is {
		_ = tcp.SetLinger(0) // what matters is that it closes
	}
	_ = conn.Close()
}

// fails is a proxy before a gateway that is not there.
func fails(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
}
