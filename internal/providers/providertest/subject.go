// Package providertest is the conformance suite of the gateways: what every
// gateway package must answer, whatever its vendor or the network does. A gateway
// that passes may be put in front of money (docs/add-a-gateway.md).
//
// It judges a package against the simulated gateways, whose ledger says what
// really happened: in virtual time and in process what the vendor answers, over
// real sockets what the network does. It knows the domain, the merchant's common
// settings, the transport and the simulated gateways, and is linked into tests
// alone.
package providertest

import (
	"testing"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// Gateway is all that a gateway package offers of one merchant.
type Gateway = providers.Gateway

// Subject is a gateway package under test, with an account at the simulated
// gateways.
type Subject struct {
	// New is the package's New.
	New func(account.Merchant, *transport.Pool) (Gateway, error)
	// Account is the merchant; BaseURL and Timeout are set by the suite. Its block
	// names a callback address of any host: it is not dialled.
	Account account.Merchant
	// Path is what base_url has behind the host.
	Path string
	// Sim has the account, which is called Merchant there. It proves absence: the
	// answer to a query of an unknown refund is one that the package is configured
	// to believe.
	Sim      gatewaysim.Config
	Merchant string
	// Request is a refund that Check accepts; the suite gives it numbers and amounts.
	Request refund.Request
	// Unannounced: the vendor sends no notification about such a refund. A package
	// has at least one subject with notifications.
	Unannounced bool
	// SignedAnswers: the vendor signs its answers, so an unsigned one proves nothing.
	SignedAnswers bool
	// OtherRefund makes a query's answer one that is about another refund.
	OtherRefund gatewaysim.Step
	// Secrets are never seen in an outcome or an error: the secrets themselves, and
	// pieces of them.
	Secrets []string
}

// Run holds the gateway package against the whole suite.
func Run(t *testing.T, s Subject) {
	t.Run("Requests", s.requests)
	t.Run("Calls", s.calls)
	t.Run("Queries", s.queries)
	t.Run("Pings", s.pings)
	t.Run("Wire", s.wire)
	if !s.Unannounced {
		t.Run("Callbacks", s.callbacks)
		t.Run("Forgeries", s.forgeries)
	}
}
