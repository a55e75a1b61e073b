package bridge

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	headerTimeout = 5 * time.Second  // for the header, from the connection's first byte
	readTimeout   = 10 * time.Second // for header and body
	idleTimeout   = time.Minute
	writeTime     = 5 * time.Second // for the answer, and the recorder's last words before it
	headerBytes   = 16 << 10
)

// Serve answers on the listener until ctx ends, then takes no more, lets what is under way end (at most its timeout and
// a little; whoever still sends a body by then is cut off) and returns once no handler runs any more. It closes the
// listener. An error says that it could not serve any longer.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, timeout time.Duration, logger zerolog.Logger) error {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handlers.Add(1)
			defer handlers.Done()
			handler.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      readTimeout + timeout + writeTime,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          log.New(logger, "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return errors.Join(err, server.Close())
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout+writeTime)
	defer cancel()
	if server.Shutdown(bounded) != nil {
		_ = server.Close() // their connections close: what they wait for fails at once
	}
	<-failed // http.ErrServerClosed
	return nil
}
