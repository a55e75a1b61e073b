package transport

import (
	"bufio"
	"context"
	"errors"
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

func TestResetOnAcceptClaimsNoMoreThanItKnows(t *testing.T) {
	w := listen(t, func(w *wire, c net.Conn) { reset(c) })
	got := fails(t, client(t, "http://"+w.address, Options{}), deadline(t))
	if got.Stage < Connecting || !got.Outage() {
		t.Errorf("%v at %v", got, got.Stage)
	}
	if !got.Sent && w.bytes.Load() > 0 {
		t.Error("it says not sent, but the gateway has read of it")
	}
}

func TestBrokenAfterTheRequestIsSent(t *testing.T) {
	answerHalf := "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half"
	for name, test := range map[string]struct {
		after func(c net.Conn)
		stage Stage
	}{
		"reset":         {reset, Awaiting},
		"closed":        {func(c net.Conn) { c.Close() }, Awaiting},
		"half a header": {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 20"); c.Close() }, Reading},
		"half a body":   {func(c net.Conn) { io.WriteString(c, answerHalf); c.Close() }, Reading},
		"no HTTP":       {func(c net.Conn) { io.WriteString(c, "220 mail ready\r\n\r\n"); c.Close() }, Reading},
		"protocol switch": {func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			io.Copy(io.Discard, c) // until the client lets go
		}, Reading},
	} {
		t.Run(name, func(t *testing.T) {
			w := listen(t, func(w *wire, c net.Conn) {
				if _, _, err := w.request(bufio.NewReader(c)); err == nil {
					test.after(c)
				}
			})
			got := fails(t, client(t, "http://"+w.address, Options{}), deadline(t))
			want(t, got, true, test.stage, true)
			if o := got.Outcome(refund.RefundCall); o.Class != refund.Unknown || !o.Outage {
				t.Errorf("outcome %+v", o)
			}
			if n := w.requests.Load(); n != 1 {
				t.Errorf("the gateway read the request %d times", n)
			}
		})
	}
}

// A gateway that stops reading in the middle of the body has had part of it.
func TestResetWithinTheBodyIsSent(t *testing.T) {
	w := listen(t, func(_ *wire, c net.Conn) {
		c.Read(make([]byte, 16))
		reset(c)
	})
	c := client(t, "http://"+w.address, Options{})
	_, err := c.Post(deadline(t), "/refund", []byte(strings.Repeat("x", 1<<20)))
	var got *Error
	if !errors.As(err, &got) || !got.Sent {
		t.Fatalf("%v, want sent", err)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	other := listen(t, func(*wire, net.Conn) {})
	for _, status := range []int{301, 302, 303, 307, 308} {
		w := listen(t, func(w *wire, c net.Conn) {
			w.request(bufio.NewReader(c))
			fmt.Fprintf(c, "HTTP/1.1 %d x\r\nLocation: http://%s/\r\nContent-Length: 0\r\n\r\n", status, other.address)
		})
		got := fails(t, client(t, "http://"+w.address, Options{}), deadline(t))
		want(t, got, true, Redirected, true)
		if w.requests.Load() != 1 || other.connections.Load() != 0 {
			t.Errorf("HTTP %d: %d requests, %d connections elsewhere", status, w.requests.Load(), other.connections.Load())
		}
	}
}

func TestOversizedAnswerIsCut(t *testing.T) {
	for _, size := range []int{MaxAnswer, MaxAnswer + 1, 8 << 20} {
		w := listen(t, func(w *wire, c net.Conn) {
			w.request(bufio.NewReader(c))
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
			io.WriteString(c, strings.Repeat(" ", size))
		})
		c := client(t, "http://"+w.address, Options{})
		if size == MaxAnswer {
			if answer, err := c.Post(deadline(t), "/refund", nil); err != nil || len(answer.Body) != size {
				t.Errorf("%d bytes: %d, %v", size, len(answer.Body), err)
			}
			continue
		}
		want(t, fails(t, c, deadline(t)), true, Oversize, true)
	}
}

// An answer that drips in, or never comes, ends with the deadline and not later.
func TestSlowAnswerEndsAtTheDeadline(t *testing.T) {
	for name, drip := range map[string]func(c net.Conn){
		"header": func(c net.Conn) { dripping(c, "HTTP/1.1 200 OK\r\nX-Long: "+strings.Repeat("y", 100)) },
		"body": func(c net.Conn) {
			dripping(c, "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"+strings.Repeat(" ", 900))
		},
		"hang": func(c net.Conn) { io.Copy(io.Discard, c) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				over := make(chan struct{})
				c := client(t, "http://gateway.example", Options{Dial: pipes(func(_ int, c net.Conn) {
					defer close(over)
					if _, _, err := (&wire{}).request(bufio.NewReader(c)); err == nil {
						drip(c)
					}
				})})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				begun := time.Now()
				got := fails(t, c, ctx)
				took := time.Since(begun)
				<-over
				if !got.Outage() || !got.Sent || !errors.Is(got, context.DeadlineExceeded) {
					t.Errorf("%v, sent %v, outage %v", got, got.Sent, got.Outage())
				}
				if took != 10*time.Second {
					t.Errorf("ended after %v", took)
				}
			})
		})
	}
}

func dripping(c net.Conn, what string) {
	for i := range len(what) {
		if _, err := c.Write([]byte{what[i]}); err != nil {
			return
		}
		time.Sleep(time.Second) // a bubble's time
	}
}

// net/http replays a request with an Idempotency-Key when a kept connection
// breaks; the first half shows that the trap is there, the second that we are
// not in it.
func TestReusedConnectionThatBreaksIsNotReplayed(t *testing.T) {
	serve := func(w *wire, c net.Conn) {
		r := bufio.NewReader(c)
		for n := 0; ; n++ {
			if _, _, err := w.request(r); err != nil || n == 1 && w.connections.Load() == 1 {
				return // reads the second request, then closes without an answer
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
			if n == 0 && w.connections.Load() > 1 {
				return
			}
		}
	}
	t.Run("net/http falls into it", func(t *testing.T) {
		w := listen(t, serve)
		plain := &http.Client{Transport: &http.Transport{}}
		defer plain.CloseIdleConnections()
		for range 2 {
			req, err := http.NewRequestWithContext(deadline(t), http.MethodPost, "http://"+w.address, strings.NewReader("pay"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Idempotency-Key", "1")
			resp, err := plain.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if n := w.requests.Load(); n != 3 {
			t.Fatalf("2 calls were read %d times: the server no longer sets the trap", n)
		}
	})
	t.Run("we do not", func(t *testing.T) {
		w := listen(t, serve)
		c := client(t, "http://"+w.address, Options{})
		if _, err := c.Post(deadline(t), "/refund", []byte("pay")); err != nil {
			t.Fatal(err)
		}
		want(t, fails(t, c, deadline(t)), true, Awaiting, true)
		if n := w.requests.Load(); n != 2 {
			t.Errorf("2 calls were read %d times", n)
		}
	})
}
