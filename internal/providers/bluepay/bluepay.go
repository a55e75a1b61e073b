// Package bluepay speaks the BluePay Merchant Unified API for one merchant:
// 5.1 Refund, 5.2 Get Refund Payments, 5.3 Refund Notification.
//
// It guarantees:
//
//   - `param` is serialised once; the bytes that were signed are the bytes that
//     are sent, once, with the time of their signing;
//   - an answer counts as far as it names our refund with our amount and a code
//     and status of the tables in codes.go; everything else is Unknown;
//   - NotFound is answered only where the gateway lists the refunds of the
//     original payment and ours is not among them (query.go);
//   - a notification is verified over the raw `param` before anything in it is
//     read (callback.go);
//   - no error and no outcome holds key material.
//
// Answers of this gateway carry no signature, so TLS alone vouches for them:
// allow_http is for a trusted network only.
//
// It knows the domain, the merchant's common settings and the transport.
package bluepay

import (
	"context"
	"crypto/rsa"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// Name is what the configuration and the events call this gateway.
const Name = "bluepay"

// Paths of the vendor's pages 5.1 and 5.2, below base_url.
const (
	refundPath = "/open-api/payment/refund"
	queryPath  = "/open-api/refund/payments"
)

// Gateway is one merchant's account at BluePay. It is safe for use by several
// goroutines.
type Gateway struct {
	merchant account.Merchant
	client   *transport.Client
	appID    string
	key      *rsa.PrivateKey
	verify   []*rsa.PublicKey // any of them vouches for a notification
	callback string           // refundCallbackUrl; empty: not sent
	unit     time.Duration    // of timestamp
	zone     *time.Location   // of times that come without one
	now      func() time.Time
}

var _ refund.Gateway = (*Gateway)(nil)

// New reads the merchant's bluepay block and its keys. Its error joins an
// *account.FieldError for each key of the block that is wrong; where the block
// itself cannot be read, or base_url or proxy are wrong, it is that error.
func New(m account.Merchant, pool *transport.Pool) (*Gateway, error) {
	s := defaults()
	if err := m.Decode(&s); err != nil {
		return nil, err
	}
	g, err := s.gateway(m)
	if err != nil {
		return nil, err
	}
	if g.client, err = pool.Client(m); err != nil {
		return nil, err
	}
	g.merchant.Decode, g.merchant.Path = nil, nil // they hold the configuration's file
	return g, nil
}

// String names the account and holds no key; GoString the same.
func (g *Gateway) String() string   { return Name + " account " + g.merchant.Name }
func (g *Gateway) GoString() string { return g.String() }

// Order is the original transaction: BluePay refunds a payment, whatever the
// merchant's own order number is.
func (g *Gateway) Order(r refund.Request) string { return r.TransactionID }

// within bounds a call by the merchant's timeout, beside the caller's deadline.
func (g *Gateway) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if g.merchant.Timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, g.merchant.Timeout)
}
