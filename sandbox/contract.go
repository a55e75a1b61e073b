package sandbox

import (
	"encoding/json"
	"time"
)

// Event is a status event as a subscriber reads it (DESIGN.md, section 4). Apply
// one only where its Sequence is higher than the last that you applied.
type Event struct {
	RefundNo           string    `json:"refund_no"`
	Merchant           string    `json:"merchant"`
	Provider           string    `json:"provider"`
	OrderNo            string    `json:"order_no"`
	Sequence           int64     `json:"sequence"`
	Status             string    `json:"status"` // WAITING, PENDING, UNKNOWN, REVIEW, SUCCEEDED, FAILED or REJECTED
	Final              bool      `json:"final"`
	Source             string    `json:"source"` // worker, callback, query or operator
	Matched            bool      `json:"matched"`
	Correction         bool      `json:"correction"`
	Amount             string    `json:"amount"` // decimal, in the major unit
	OrderAmount        string    `json:"order_amount"`
	Currency           string    `json:"currency"`
	OrderFullyRefunded bool      `json:"order_fully_refunded"`
	ProviderStatus     string    `json:"provider_status"`
	ProviderRefundID   string    `json:"provider_refund_id"`
	TransactionID      string    `json:"transaction_id"`
	Error              *Error    `json:"error"` // nil where there is none
	Attempt            int       `json:"attempt"`
	OccurredAt         time.Time `json:"occurred_at"`
	RecordedAt         time.Time `json:"recorded_at"`

	// Raw is the event's bytes.
	Raw []byte `json:"-"`
}

// Error is the gateway's, or one of ours.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// DeadLetter is a message that no worker can take.
type DeadLetter struct {
	Reason   string // undecodable, invalid, unknown_merchant, conflict, order_conflict or internal
	Error    string
	Attempts int
	Key      string
	Value    []byte // as it was published
}

// Payment is one movement of money at a simulated gateway.
type Payment struct {
	Merchant string
	RefundNo string
	Order    string // order_no, or BluePay's transaction_id
	Minor    int64  // minor units of the merchant's currency; negative: taken back
}

func readEvent(value []byte) (Event, error) {
	var e Event
	err := json.Unmarshal(value, &e)
	e.Raw = value
	return e, err
}
