package bridge

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// pipes is a listener without a network, so that its deadlines run on the test's clock.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{accept: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.accept <- server
	return client
}

// serving runs the bridge; the answer is ended when Serve has returned.
func serving(t *testing.T, h *house) (p *pipes, stop func(), ended chan error) {
	ctx, cancel := context.WithCancel(t.Context())
	p, ended = newPipes(), make(chan error, 1)
	go func() { ended <- Serve(ctx, p, h.bridge.Handler(), h.bridge.Limits.Timeout, h.bridge.Log) }()
	return p, cancel, ended
}

func request(body string, length int) string {
	return fmt.Sprintf("POST /v1/callbacks/S1 HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n%s", length, body)
}

func answerOf(t *testing.T, conn net.Conn) int {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, r.Body)
	return r.StatusCode
}

// Slow senders lose their connection by the server's deadlines, hold no place meanwhile, and a callback beside them is
// answered at once. synctest fails where a goroutine outlives the test.
func TestSlowSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.pending("r1")
		p, stop, ended := serving(t, h)
		began := time.Now()
		late := make(chan time.Duration, 40) // beyond the deadline of its kind
		for i := range 40 {
			conn := p.dial()
			go func() { // a byte a second, of the header or of the body
				limit := headerTimeout
				if i%2 == 0 {
					limit = readTimeout
					_, _ = conn.Write([]byte(request("", 500)))
				}
				for {
					if _, err := conn.Write([]byte("x")); err != nil {
						late <- time.Since(began) - limit
						return
					}
					time.Sleep(time.Second)
				}
			}()
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
		conn := p.dial()
		body := success("r1").body()
		_, _ = conn.Write([]byte(request(body, len(body))))
		if code := answerOf(t, conn); code != 200 || time.Since(began) > time.Second {
			t.Errorf("%d after %v", code, time.Since(began))
		}
		_ = conn.Close()
		for range 40 {
			if by := <-late; by > 2*time.Second {
				t.Errorf("a slow sender was suffered for %v too long", by)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A stop takes no more connections, lets what is under way end, and returns when nothing runs any more.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.pending("r1")
		h.store.hold = make(chan struct{})
		p, stop, ended := serving(t, h)
		busy := p.dial()
		body := success("r1").body()
		_, _ = busy.Write([]byte(request(body, len(body))))
		slow := p.dial()
		_, _ = slow.Write([]byte(request("{", 100)))
		synctest.Wait()
		stop()
		synctest.Wait()
		select {
		case <-p.closed:
		default:
			t.Error("the listener is still open")
		}
		time.AfterFunc(3*time.Second, func() { close(h.store.hold) })
		if code := answerOf(t, busy); code != 200 {
			t.Errorf("what was under way got %d", code)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if rec := h.store.get("r1"); rec.Last.Status != refund.StatusSucceeded {
			t.Errorf("%s", rec.Last.Status)
		}
		_, _ = busy.Close(), slow.Close()
	})
}

// A gateway that hangs up before the answer does not undo its news.
func TestGatewayHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.pending("r1")
		h.store.hold = make(chan struct{})
		p, stop, ended := serving(t, h)
		conn := p.dial()
		body := success("r1").body()
		_, _ = conn.Write([]byte(request(body, len(body))))
		synctest.Wait()
		_ = conn.Close()
		synctest.Wait()
		close(h.store.hold)
		synctest.Wait()
		if rec := h.store.get("r1"); rec.Last.Status != refund.StatusSucceeded || len(h.events) != 1 {
			t.Errorf("%s, %d events", rec.Last.Status, len(h.events))
		}
		stop()
		<-ended
	})
}

// A header that never ends is refused.
func TestHugeHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		p, stop, ended := serving(t, h)
		conn := p.dial()
		go func() {
			_, _ = conn.Write(bytes.Join([][]byte{[]byte("POST /v1/callbacks/S1 HTTP/1.1\r\nHost: b\r\nX: "), []byte(strings.Repeat("x", 64<<10)), []byte("\r\n\r\n")}, nil))
		}()
		if code := answerOf(t, conn); code != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%d", code)
		}
		_ = conn.Close()
		stop()
		<-ended
	})
}

// Serve returns when no handler runs any more, also one that takes longer than it may.
func TestServeWaitsForItsHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p, ended := newPipes(), make(chan error, 1)
		running := true
		handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.Sleep(time.Minute)
			running = false
		})
		go func() { ended <- Serve(ctx, p, handler, time.Second, newHouse().bridge.Log) }()
		conn := p.dial()
		_, _ = conn.Write([]byte(request("", 0)))
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil || running {
			t.Errorf("%v, still running: %v", err, running)
		}
		_ = conn.Close()
	})
}
