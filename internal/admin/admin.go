// Package admin serves what operators and their tools ask of a process: /healthz (it runs), /readyz (it can do its work,
// or why not, in words) and /metrics. It knows nobody; worker and bridge share it.
package admin

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Check is one reason why a process may not be ready.
type Check struct {
	Name string // for example "redis"
	// Ready answers nil, or what is wrong in words that tell a person what to do. It returns soon after ctx has ended.
	Ready func(ctx context.Context) error
}

// checkTime bounds the checks of one /readyz together: below the timeout that probes commonly have.
const checkTime = 2 * time.Second

// Handler serves the three paths. /readyz asks all checks at once and answers 200 "ready", or 503 with a line
// "name: reason" for each that is not, in their order. A check that panics is not ready.
func Handler(metrics http.Handler, checks ...Check) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if reasons := unready(r.Context(), checks); len(reasons) > 0 {
			say(w, http.StatusServiceUnavailable, strings.Join(reasons, "\n"))
			return
		}
		say(w, http.StatusOK, "ready")
	})
	return mux
}

func say(w http.ResponseWriter, code int, words string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, words)
}

func unready(ctx context.Context, checks []Check) []string {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	errs := make([]error, len(checks))
	var all sync.WaitGroup
	for i, check := range checks {
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					errs[i] = fmt.Errorf("the check panicked: %v", p)
				}
			}()
			errs[i] = check.Ready(ctx)
		})
	}
	all.Wait()
	var reasons []string
	for i, err := range errs {
		if err != nil {
			reasons = append(reasons, checks[i].Name+": "+strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	return reasons
}

// Serve answers on the listener until ctx ends, closes it and returns nil; probes that are under way are cut off.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		_ = server.Close()
		<-failed // http.ErrServerClosed
		return nil
	}
}
