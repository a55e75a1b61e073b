// Package eftpay is a merchant's account at eftPay: WeChat and Alipay refunds,
// their query, and the notification of refund applications.
//
// It guarantees:
//
//   - a call is signed once, over exactly the fields that are sent, and sent at
//     most once;
//   - an answer or a notification counts only where its signature is right and it
//     names the refund that was asked about, with its amount: whatever else comes
//     back is Unknown, never a success and never a failure;
//   - what a status or a code means stands in one table (meaning.go); a word that
//     is not in it leaves the refund open;
//   - no secret is in an error, an outcome or anything printed.
//
// eftPay documents no idempotency on refund_no: this package never sends twice.
// It knows the domain, the merchant's common settings and the transport.
//
// Sources: the vendor's pages "Refund" and "Refund Asynchronous Notification"
// (tables of fields), its JSAPI query page, and what integrators agree on for the
// signature and the time zone.
package eftpay

import (
	"context"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// Name is what the configuration and the events call this gateway.
const Name = "eftpay"

// Paths below base_url, which ends in /VMP at the vendor's.
const (
	servicePath = "/Servlet/JSAPIService.do"
	queryPath   = "/Servlet/QRcodeTradeQuery.do"
)

var _ refund.Gateway = (*Gateway)(nil)

// Gateway is one merchant at eftPay. It is safe for use by several goroutines.
type Gateway struct {
	merchant account.Merchant
	settings *settings
	keys     *keyring
	client   *transport.Client
}

// New makes a merchant's gateway of its configuration. Findings about the eftpay
// block are *account.FieldError, all of them joined.
func New(m account.Merchant, pool *transport.Pool) (*Gateway, error) {
	s, err := decode(m)
	if err != nil {
		return nil, err
	}
	client, err := pool.Client(m)
	if err != nil {
		return nil, err
	}
	m.Decode, m.Path = nil, nil // they hold the configuration's file
	return &Gateway{merchant: m, settings: s, keys: newKeyring(s), client: client}, nil
}

// String names the account and holds no secret; GoString the same.
func (g Gateway) String() string   { return Name + " account " + g.merchant.Name }
func (g Gateway) GoString() string { return g.String() }

// Order is the order number: eftPay's total belongs to out_trade_no.
func (g *Gateway) Order(r refund.Request) string { return r.OrderNo }

// post sends fields, signed now, and answers what came back, verified. kind says
// how an exchange without an answer counts.
func (g *Gateway) post(ctx context.Context, kind refund.CallKind, path string, body []byte) (fields, *refund.Outcome) {
	if g.merchant.Timeout > 0 {
		bounded, cancel := context.WithTimeout(ctx, g.merchant.Timeout)
		defer cancel()
		ctx = bounded
	}
	answer, err := g.client.Post(ctx, path, body)
	if err != nil {
		return nil, unanswered(kind, err)
	}
	return g.verified(answer)
}

// zone is that of every time stamp of eftPay: UTC+8, without daylight saving.
var zone = time.FixedZone("UTC+8", 8*60*60)

const stamp = "20060102150405" // yyyyMMddHHmmss
