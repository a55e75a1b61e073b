package gatewaysim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is the gateways behind a socket. It stays at its address through
// Refuse.
type Server struct {
	sim     *Sim
	addr    string
	handler http.Handler

	mu     sync.Mutex
	inner  *http.Server
	served chan struct{}
	failed chan error
	closed bool
}

// Listen serves Handler at addr; "127.0.0.1:0" picks a port. Close it, or the
// Sim.
func (s *Sim) Listen(addr string) (*Server, error) { return s.ListenWith(addr, s.handler) }

// ListenWith serves a handler around Handler, such as one with the control
// page beside it.
func (s *Sim) ListenWith(addr string, h http.Handler) (*Server, error) {
	if s.closed() {
		return nil, errors.New("gatewaysim: closed")
	}
	// Close waits for handlers as well, which http.Server.Close does not.
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			panic(http.ErrAbortHandler)
		}
		defer s.work.Done()
		h.ServeHTTP(w, r)
	})
	srv := &Server{sim: s, addr: addr, handler: counted, failed: make(chan error, 1)}
	if err := srv.open(); err != nil {
		return nil, err
	}
	s.door.add(srv)
	return srv, nil
}

// Addr is host:port.
func (s *Server) Addr() string { return s.addr }

// URL is BluePay's base URL.
func (s *Server) URL() string { return "http://" + s.addr }

// EftPayURL is eftPay's base URL, which includes the prefix.
func (s *Server) EftPayURL() string { return s.URL() + s.sim.cfg.Prefix }

// Failed yields the error of a listener that ended by itself.
func (s *Server) Failed() <-chan error { return s.failed }

func (s *Server) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.inner != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		return fmt.Errorf("gatewaysim: listen on %s: %w", s.addr, err)
	}
	s.addr = l.Addr().String()
	inner := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	s.inner, s.served = inner, served
	go func() {
		defer close(served)
		if err := inner.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("gatewaysim: serve %s: %w", l.Addr(), err)
		}
	}()
	return nil
}

// shut closes the listener and breaks every connection.
func (s *Server) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inner == nil {
		return
	}
	_ = s.inner.Close() // only a listener's close error, and it is closed either way
	<-s.served
	s.inner = nil
}

// Shutdown stops listening and waits for answers under way until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.inner == nil {
		return nil
	}
	err := s.inner.Shutdown(ctx)
	if err != nil {
		_ = s.inner.Close()
	}
	<-s.served
	s.inner = nil
	return err
}

// Close stops listening and breaks every connection.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.shut()
}

// door is whether connections are taken.
type door struct {
	mu      sync.Mutex
	shut    bool
	servers []*Server
}

func (d *door) isShut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shut
}

func (d *door) add(s *Server) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.servers = append(d.servers, s)
	if d.shut {
		s.shut()
	}
}

func (d *door) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.servers {
		s.Close()
	}
}

// Refuse closes every listener and breaks every connection: further ones are
// refused, by Transport too. Calls that are inside still take effect.
func (s *Sim) Refuse() {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	s.door.shut = true
	for _, srv := range s.door.servers {
		srv.shut()
	}
}

// Accept ends Refuse: the listeners are back at their addresses. The error
// names each address that somebody else has taken meanwhile.
func (s *Sim) Accept() error {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	if s.closed() {
		return nil
	}
	s.door.shut = false
	var errs []error
	for _, srv := range s.door.servers {
		errs = append(errs, srv.open())
	}
	return errors.Join(errs...)
}

// RefuseFor refuses connections for d. Where an address was taken by somebody
// else meanwhile, Refusals says so.
func (s *Sim) RefuseFor(d time.Duration) {
	s.Refuse()
	s.after(d, func() {
		s.spawn(func() {
			if err := s.Accept(); err != nil {
				s.refusals.add(Refusal{Time: s.clock.Now(), Reason: err.Error()})
			}
		})
	})
}
