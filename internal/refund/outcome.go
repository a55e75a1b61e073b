package refund

import "time"

// Class says what an answer means for the money. Gateways classify; only the
// lifecycle decides what follows.
type Class string

const (
	// NoCall: a slot was taken and given back without a call.
	NoCall Class = ""
	// Pending: the gateway has the refund and has not ended it.
	Pending Class = "pending"
	// Succeeded: the money moved.
	Succeeded Class = "succeeded"
	// Declined: the gateway refused or failed it for good; no money moved.
	Declined Class = "declined"
	// NotSent: surely nothing reached the gateway, or it surely did not take it;
	// it may be sent later. Never the answer of a query.
	NotSent Class = "not_sent"
	// Unknown: money may have moved: ask first. Also every query that brought no
	// clear answer, a refused connection included.
	Unknown Class = "unknown"
	// Misconfigured: surely not taken, because our settings are wrong; the
	// merchant holds.
	Misconfigured Class = "misconfigured"
	// NotFound: a query's proof that the gateway has no such refund. Never the
	// answer of a refund call.
	NotFound Class = "not_found"
	// Mismatch: verified news about this number with another amount, order or
	// currency: it changes no status and is asked about.
	Mismatch Class = "mismatch"
	// Rejected: refused here, before any call.
	Rejected Class = "rejected"
)

// Outcome is what a call, a query, a callback or an operator says of a refund.
type Outcome struct {
	Class            Class
	ProviderStatus   string // the gateway's own word, as received
	ProviderRefundID string
	TransactionID    string // the payment's id at its provider, where told
	Code             string // the gateway's code or one of ours (below)
	Message          string // for people; no secrets
	OccurredAt       time.Time
	RetryAfter       time.Duration // NotSent, Misconfigured: come back then; 0: Schedule.Retry
	// Hold: the answer shows that our settings are wrong although it does not
	// prove that nothing was sent (an unsigned eftPay answer with a configuration
	// code): the merchant holds, this refund is Unknown.
	Hold bool
	// Alone: Misconfigured, but perhaps of this one request: where the merchant's
	// other refund calls go well, it is this refund that waits, not the merchant.
	Alone bool
	// Outage: the gateway could not be reached or did not do its work. It alone
	// counts against the breaker.
	Outage bool
}

// Codes of our own in error.code of an event (DESIGN.md, section 4).
const (
	CodeOverOrderTotal = "over_order_total"
	CodeTooManyRefunds = "too_many_refunds"
	CodeUnsupported    = "unsupported"
	CodeFieldLimit     = "field_limit"
	CodeGatewayDown    = "gateway_down"
	CodeRateLimited    = "rate_limited"
	CodeOnHold         = "on_hold"
	CodeMisconfigured  = "misconfigured"
	CodeWithdrawn      = "withdrawn"
)
