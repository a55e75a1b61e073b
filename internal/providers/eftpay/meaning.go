package eftpay

import "github.com/refundworker/refundworker/internal/refund"

// statuses is what a refund's trade_status means, in answers, queries and
// notifications alike. The vendor's full list is not public: a word that is not
// here is Unknown, so the refund stays open and the word is reported.
var statuses = map[string]refund.Class{
	"TRADE_PROCESSING": refund.Pending,
	"APPLY_SUCCESS":    refund.Pending,   // of an application only: taken, not refunded
	"TRADE_REFUND":     refund.Succeeded, // part of the payment is refunded
	"TRADE_CLOSED":     refund.Succeeded, // all of it is; of a sale it means something else
	"TRADE_FAIL":       refund.Declined,
	"TRADE_FAILED":     refund.Declined, // seen at integrators
}

// refundStatuses is what refund_status means, which the unified query alone
// answers.
var refundStatuses = map[string]refund.Class{
	"SUCCESS":    refund.Succeeded,
	"PROCESSING": refund.Pending,
	"FAIL":       refund.Declined,
}

// accepted is the return_status of an answer that has a trade_status to tell. By
// itself it never says that money moved.
const accepted = "00"

// codes is what a return_status means. The vendor's list is not public: a code
// that is not here is Unknown.
var codes = map[string]code{
	accepted: {},
	"12":     {class: refund.NotSent},                   // time mismatch: signed anew on the next send
	"51":     {class: refund.Unknown},                   // upstream failure passed on: ask first
	"-13":    {class: refund.Misconfigured, hold: true}, // invalid service
}

// code is the meaning of a return_status.
type code struct {
	class refund.Class // for the refund call that was answered so, signed
	hold  bool         // our settings are wrong, also where the answer proves nothing else
}
