package bluepay

import (
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// codeOK is "success": the call was accepted; refundStatus says how far it came.
const codeOK = "10000"

// Codes about the timestamp of a call.
const (
	codeTimeWrong   = "21008"
	codeTimeExpired = "21009"
)

// codeNoPartial is permanent but for TrueMoney, which takes partial refunds from
// the next day on.
const codeNoPartial = "21405"

// meaning is what an answer to a refund call says about the money. What the same
// code says to a query is asked derives from it.
type meaning struct {
	class  refund.Class
	outage bool          // the gateway did not do its work
	alone  bool          // Misconfigured: perhaps this request alone
	after  time.Duration // NotSent, Misconfigured: come back then; 0: it does not say
	words  string        // the vendor's, for an answer without a message
}

// codes are the vendor's, as 5.1 answers them (pages "API Code Collection" and
// 5.1). A code that is not here is Unknown: ask first.
//
// Why "not sent" is safe to believe of an answer: these codes refuse a call before
// a refund is made of it, and should that ever be wrong, the same number sent
// again is refused by the gateway as 21407, which is asked about. That holds for
// 21020 too: it belongs to the codes of the gateway's front door (210xx) that look
// at appId, sign and timestamp, and to call it Unknown would answer "too many
// requests" with another request for each.
var codes = map[string]meaning{
	"21000": {class: refund.Unknown, outage: true, words: "server error"},
	"21011": {class: refund.Unknown, outage: true, words: "network error"},
	"21023": {class: refund.Unknown, words: "create failed"},

	"21020": {class: refund.NotSent, after: time.Minute, words: "too many requests"},

	"21001": {class: refund.Misconfigured, words: "wrong signature: look at private_key_file and app_id"},
	// Our own checks pass what the vendor's tables allow; what they do not say (the
	// length of an original transaction's id) one request alone may break.
	"21002": {class: refund.Misconfigured, alone: true, after: 10 * time.Minute, words: "wrong parameters"},
	"21003": {class: refund.Misconfigured, words: "app_id not known"},
	"21004": {class: refund.Misconfigured, words: "merchant not active"},
	"21005": {class: refund.Misconfigured, words: "channel not active"},
	"21016": {class: refund.Misconfigured, words: "our address is not on the allow list"},

	// Of a call that left at once: then the unit or our clock is wrong, and so is
	// every call. One that left late is stale and no more (see staleCall).
	codeTimeWrong:   {class: refund.Misconfigured, words: "timestamp wrong: look at timestamp_unit and the clock"},
	codeTimeExpired: {class: refund.Misconfigured, words: "timestamp expired: look at timestamp_unit and the clock"},

	"21006":       {class: refund.Declined, words: "original transaction not found"},
	"21010":       {class: refund.Declined, words: "amount over the limit"},
	"21402":       {class: refund.Declined, words: "refund not allowed"},
	"21403":       {class: refund.Declined, words: "the payment is over 60 days old"},
	"21404":       {class: refund.Declined, words: "the channel has no full refund"},
	codeNoPartial: {class: refund.Declined, words: "the channel has no partial refund"},
	"21406":       {class: refund.Declined, words: "refund amount invalid"},

	// Already there, so it was sent before: what became of it is the query's to say.
	"21007": {class: refund.Unknown, words: "duplicate order"},
	"21015": {class: refund.Unknown, words: "duplicate idempotency id"},
	"21407": {class: refund.Unknown, words: "duplicate mchRefundOrderId"},
	// "Refund in process" does not say whose: it may be this one.
	"21401": {class: refund.Unknown, words: "refund in process"},

	"21409": {class: refund.NotSent, after: time.Minute, words: "another refund of this payment is pending"},
	"21408": {class: refund.NotSent, after: 5 * time.Minute, words: "the payment is not completed"},
	"21014": {class: refund.NotSent, after: 10 * time.Minute, words: "balance insufficient: top up"},
}

// toCall is what a code other than 10000 says of the refund call that it answers.
func toCall(code, message string) refund.Outcome {
	m, known := codes[code]
	if !known {
		m = meaning{class: refund.Unknown, words: "code not known"}
	}
	if message == "" {
		message = m.words
	}
	return refund.Outcome{Class: m.class, Code: shown(code), Message: shown(message), RetryAfter: m.after, Outage: m.outage, Alone: m.alone}
}

// toQuery is what a code other than 10000 says to a query. It is about the query,
// never about the refund: a wrong signature did not stop a refund that was sent
// yesterday with the right one. Even "transaction not found" (21006) proves
// nothing: it says the same of a payment that this app_id may not see, and of one
// that a replica does not have yet.
func toQuery(code, message string) refund.Outcome {
	o := toCall(code, message)
	o.Hold = o.Class == refund.Misconfigured
	o.Class, o.RetryAfter, o.Alone = refund.Unknown, 0, false
	return o
}

// statusMeaning is what a refundStatus says, and which event announces it.
type statusMeaning struct {
	class refund.Class
	event string
}

// Events of a notification (vendor page 5.3).
const (
	eventSuccess = "payment.refund.success"
	eventFailed  = "payment.refund.failed"
	eventCancel  = "payment.refund.cancel"
)

// statuses of a refund (pages "Refund Status Enum", 5.1, 5.3; COMPLETED is what
// payments say, and the cancelled spelling is not public). Any other stays open.
var statuses = map[string]statusMeaning{
	"PENDING":   {class: refund.Pending},
	"COMPLETE":  {class: refund.Succeeded, event: eventSuccess},
	"COMPLETED": {class: refund.Succeeded, event: eventSuccess},
	"FAILED":    {class: refund.Declined, event: eventFailed},
	"CANCEL":    {class: refund.Declined, event: eventCancel},
	"CANCELED":  {class: refund.Declined, event: eventCancel},
	"CANCELLED": {class: refund.Declined, event: eventCancel},
}

// refundEvent says whether an event is about a refund.
func refundEvent(name string) bool {
	return name == eventSuccess || name == eventFailed || name == eventCancel
}
