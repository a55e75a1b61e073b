package wire

import (
	"strconv"
	"time"
)

// Event is a status event as DESIGN.md has it, with the fields that a contender
// knows.
type Event struct {
	Request  Request
	Sequence int
	Status   string // PENDING or SUCCEEDED
	Source   string // worker or callback
	At       time.Time
}

// Key of the event on the status topic.
func (e Event) Key() []byte { return []byte(e.Request.Merchant + "/" + e.Request.RefundNo) }

const eventTime = "2006-01-02T15:04:05.000Z"

// Value is the event's JSON.
func (e Event) Value() []byte {
	r, final, at := e.Request, e.Status != "PENDING", e.At.UTC().Format(eventTime)
	b := make([]byte, 0, 640)
	text := func(name, value string) {
		b = append(append(append(append(append(b, '"'), name...), `":"`...), value...), `",`...)
	}
	literal := func(name, value string) {
		b = append(append(append(append(append(b, '"'), name...), `":`...), value...), ',')
	}
	b = append(b, '{')
	text("refund_no", r.RefundNo)
	text("merchant", r.Merchant)
	text("provider", "eftpay")
	text("order_no", r.OrderNo)
	literal("sequence", strconv.Itoa(e.Sequence))
	text("status", e.Status)
	literal("final", strconv.FormatBool(final))
	text("source", e.Source)
	literal("matched", "true")
	literal("correction", "false")
	text("amount", r.Amount)
	text("order_amount", r.OrderAmount)
	text("currency", r.Currency)
	literal("order_fully_refunded", "false")
	if final {
		text("provider_status", "TRADE_REFUND")
	}
	literal("attempt", "1")
	text("occurred_at", at)
	text("recorded_at", at)
	b[len(b)-1] = '}'
	return b
}

// Header is one of a Kafka record's.
type Header struct {
	Name  string
	Value []byte
}

var (
	contentJSON = []byte("application/json")
	version1    = []byte("1.0")
	typeStatus  = []byte("refund.status.v1")
)

// Headers are those of a CloudEvent in binary mode.
func (e Event) Headers() []Header {
	return []Header{
		{"content-type", contentJSON},
		{"ce_specversion", version1},
		{"ce_type", typeStatus},
		{"ce_id", []byte(e.Request.Merchant + "/" + e.Request.RefundNo + "/" + strconv.Itoa(e.Sequence))},
		{"ce_source", []byte("/refundworker/eftpay/" + e.Request.Merchant)},
		{"ce_subject", []byte(e.Request.RefundNo)},
		{"ce_time", e.At.UTC().AppendFormat(nil, eventTime)},
	}
}
