package refund

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"
)

// Key names a refund: its number is unique within its merchant.
type Key struct {
	Merchant string
	RefundNo string
}

// String is merchant/refund_no: the key of the status topic and the beginning of
// an event's id. A merchant's name holds no slash.
func (k Key) String() string { return k.Merchant + "/" + k.RefundNo }

// Flow is the way a refund takes at the gateway.
type Flow string

const (
	FlowRefund Flow = "refund" // refunded at once
	FlowApply  Flow = "apply"  // applied for; the outcome comes later (eftPay, WeChat only)
)

// Request is a refund as its publisher asked for it (DESIGN.md, section 4). A
// decoded Request keeps every rule that is decidable from the event alone; what
// needs the merchant's configuration is the Gateway's to check.
type Request struct {
	Key
	OrderNo       string
	TransactionID string
	Amount        Money
	OrderAmount   Money // same currency as Amount; zero only in the record of an unmatched callback
	Method        string
	Wallet        string
	Terminal      string
	Flow          Flow
	Reason        string
	RequestedAt   time.Time // zero where the publisher named none
	Trace         Trace
}

// Trace is the W3C trace context that is carried from a request to its events.
type Trace struct {
	Parent string // header traceparent
	State  string // header tracestate
}

// Content is the fingerprint of what a refund number stands for: amount,
// order_amount, currency, order_no, transaction_id, method, wallet and flow. Two
// requests of one number with different content are a conflict. It is 22
// characters of base64url (128 bits of SHA-256).
func (r Request) Content() string {
	text := make([]byte, 0, 512) // enough for most
	for _, field := range [...]string{
		strconv.FormatInt(r.Amount.Minor, 10), strconv.FormatInt(r.OrderAmount.Minor, 10), r.Amount.Currency.Code,
		r.OrderNo, r.TransactionID, r.Method, r.Wallet, string(r.Flow),
	} {
		text = append(strconv.AppendInt(text, int64(len(field)), 10), ':')
		text = append(text, field...)
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
