package providertest

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// slow cases wait for a deadline; in virtual time that costs nothing, on a socket
// it would.
func (c callCase) slow() bool {
	return c.step.Answer == gatewaysim.Hang || c.step.Answer == gatewaysim.Drip
}

// wire holds the package against a network: that it uses the transport so that
// "not sent" is a proof, and that nothing is sent twice whatever net/http does.
func (s Subject) wire(t *testing.T) {
	for _, c := range callCases {
		if c.slow() || c.signed && !s.SignedAnswers {
			continue // runs in virtual time; or nothing to leave out
		}
		s.onSocket(t, c.name, func(b *bench, _ *gatewaysim.Server) { b.goes(c) })
	}
	s.onSocket(t, "connection refused", func(b *bench, _ *gatewaysim.Server) { b.refused() })
	s.onSocket(t, "kept connection broken between two calls", func(b *bench, _ *gatewaysim.Server) {
		first, second := b.refund("R1", 1200), b.refund("R2", 700)
		b.script("R1", gatewaysim.Step{Result: gatewaysim.Succeed})
		b.script("R2", gatewaysim.Step{Result: gatewaysim.Succeed})
		b.is("first call", b.call(first), refund.Succeeded)
		b.sim.Refuse() // breaks every connection
		if err := b.sim.Accept(); err != nil {
			b.t.Fatal(err)
		}
		// Not sent where the broken connection was noticed in time, else unknown;
		// or dialled anew. In each case sent once at most.
		o := b.call(second)
		b.is("second call", o, refund.Succeeded, refund.NotSent, refund.Unknown)
		if known, _ := b.sim.Refund(b.s.Merchant, "R2"); known.Calls > 1 || o.Class == refund.NotSent && known.Calls > 0 {
			b.t.Errorf("%+v after %d calls", o, known.Calls)
		}
		b.moved(first, 1200)
	})
	t.Run("name not found", func(t *testing.T) {
		b := s.newBench(t)
		noDNS := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no name server")
		}}
		b.open("https://gateway.invalid"+s.Path, transport.Options{Dial: (&net.Dialer{Resolver: noDNS}).DialContext})
		b.unreached(b.refund("R1", 1200), "no such name")
	})
	t.Run("certificate not trusted", func(t *testing.T) {
		b := s.newBench(t)
		server := httptest.NewUnstartedServer(b.sim.Handler())
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		t.Cleanup(server.Close)
		r := b.refund("R1", 1200)
		b.open(server.URL+s.Path, transport.Options{})
		b.unreached(r, "certificate not trusted")

		trusted := x509.NewCertPool()
		trusted.AddCert(server.Certificate())
		b.open(server.URL+s.Path, transport.Options{RootCAs: trusted})
		b.script("R1", gatewaysim.Step{Result: gatewaysim.Succeed})
		b.is("call, with the certificate trusted", b.call(r), refund.Succeeded)
		b.moved(r, 1200)
	})
}
