package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
)

func ask(h http.Handler, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func metrics() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "refund_total 1\n") })
}

func TestPaths(t *testing.T) {
	var redis error
	h := Handler(metrics(),
		Check{"kafka", func(context.Context) error { return nil }},
		Check{"redis", func(context.Context) error { return redis }})
	for _, want := range []struct {
		path string
		code int
		body string
	}{{"/healthz", 200, "ok\n"}, {"/readyz", 200, "ready\n"}, {"/metrics", 200, "refund_total 1\n"}, {"/", 404, "404 page not found\n"}} {
		if code, body := ask(h, want.path); code != want.code || body != want.body {
			t.Errorf("%s: %d %q, want %d %q", want.path, code, body, want.code, want.body)
		}
	}
	redis = errors.New("127.0.0.1:6379 refuses connections:\nis it running?")
	if code, body := ask(h, "/readyz"); code != 503 || body != "redis: 127.0.0.1:6379 refuses connections:; is it running?\n" {
		t.Errorf("%d %q", code, body)
	}
	if code, _ := ask(h, "/healthz"); code != 200 {
		t.Errorf("a process that waits for Redis is healthy, got %d", code)
	}
}

// Every reason has its line, in the checks' order, also of one that hangs or panics.
func TestReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Handler(metrics(),
			Check{"slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			Check{"broken", func(context.Context) error { panic("nil map") }},
			Check{"fine", func(context.Context) error { return nil }},
			Check{"topics", func(context.Context) error { return errors.New("refund.status does not exist") }})
		code, body := ask(h, "/readyz")
		want := "slow: context deadline exceeded\nbroken: the check panicked: nil map\ntopics: refund.status does not exist\n"
		if code != 503 || body != want {
			t.Errorf("%d %q", code, body)
		}
	})
}

func TestServeEndsWithItsContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- Serve(ctx, listener, Handler(metrics())) }()
	answer, err := http.Get("http://" + listener.Addr().String() + "/healthz")
	if err != nil || answer.StatusCode != 200 {
		t.Fatal(answer, err)
	}
	_ = answer.Body.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}
