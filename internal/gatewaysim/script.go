package gatewaysim

import (
	"fmt"
	"time"
)

// Result is what becomes of a refund, apart from what the client is told.
type Result string

// Results of a call. On a query step, and for Settle, Succeed, Fail, Cancel
// and Reverse end the refund at that moment; Nothing on a query step answers
// as if the refund were not known.
const (
	// ByDefault is the gateway's own way: an eftPay direct refund succeeds
	// at once; an application and a BluePay refund are taken first and
	// succeed Config.SettleAfter later.
	ByDefault Result = ""
	// Succeed moves the money, at once or after Step.SettleAfter.
	Succeed Result = "succeed"
	// Fail takes the refund and ends it without money, at once or after
	// Step.SettleAfter.
	Fail Result = "fail"
	// Cancel is Fail with BluePay's cancelled status; eftPay has none and
	// fails.
	Cancel Result = "cancel"
	// Decline refuses: eftPay TRADE_FAIL, BluePay code 21402 and no trace.
	Decline Result = "decline"
	// Process takes the refund and leaves it open until a query step or
	// Settle ends it.
	Process Result = "process"
	// Nothing loses the call: no money, no trace.
	Nothing Result = "nothing"
	// Reverse takes back a refund that had succeeded: a negative ledger
	// entry, and failed from then on. Query steps and Settle only.
	Reverse Result = "reverse"
)

// Answer is what the client gets to see of a call or a query.
type Answer string

// Answers. The first group spoils the transport, the second the content.
const (
	// OK is the truth, in the vendor's form.
	OK Answer = ""
	// Hang never answers; it ends when the client hangs up.
	Hang Answer = "hang"
	// Reset breaks the connection with a TCP reset and no answer.
	Reset Answer = "reset"
	// Hangup closes the connection in order and without an answer.
	Hangup Answer = "hangup"
	// HTML is a page of a proxy with Step.HTTPStatus, 500 unless set.
	HTML Answer = "html"
	// Garbage is a 200 whose body is no JSON.
	Garbage Answer = "garbage"
	// Empty is a 200 without a body.
	Empty Answer = "empty"
	// Truncated promises more bytes than it sends, then breaks.
	Truncated Answer = "truncated"
	// Drip sends the true answer a byte each Step.Every (1 s unless set).
	Drip Answer = "drip"
	// Oversized precedes the true answer with 8 MiB of blanks.
	Oversized Answer = "oversized"
	// Redirect is a 307 to the same address: a client that follows it
	// sends the refund again.
	Redirect Answer = "redirect"

	// Unsigned leaves the signature out (eftPay; BluePay never signs answers).
	Unsigned Answer = "unsigned"
	// BadSign carries a signature of something else (eftPay).
	BadSign Answer = "bad_sign"
	// UnknownStatus has a status that no page lists.
	UnknownStatus Answer = "unknown_status"
	// UnknownCode has a return code that no page lists.
	UnknownCode Answer = "unknown_code"
	// Contradict tells the opposite of the truth: failed where money
	// moved, succeeded where none did.
	Contradict Answer = "contradict"
	// OtherRefund answers about another refund number.
	OtherRefund Answer = "other_refund"
	// OtherAmount answers with an amount that is one major unit higher.
	OtherAmount Answer = "other_amount"
)

// Step says how one call or one query goes. The zero Step is a good gateway.
//
// What becomes of the money (Result, LandAfter, SettleAfter) and what the
// client sees (Answer, Status, Code, Fields) are independent: a time-out
// before the money moved is {Result: Nothing, Answer: Hang}, after it
// {Result: Succeed, Answer: Hang}.
type Step struct {
	// Times is how many calls in a row take this step: 0 means once, a
	// negative number means every further one.
	Times int `json:"times,omitempty"`
	// Delay precedes everything else, beside Config.Delay.
	Delay  time.Duration `json:"delay,omitempty"`
	Result Result        `json:"result,omitempty"`
	// LandAfter lets the call take effect that much later, whether or not
	// its caller is still there; until then the gateway does not know the
	// refund. Answer is then Hang unless given.
	LandAfter time.Duration `json:"land_after,omitempty"`
	// SettleAfter keeps the refund processing for so long, then ends it as
	// Result says.
	SettleAfter time.Duration `json:"settle_after,omitempty"`
	Answer      Answer        `json:"answer,omitempty"`
	// Every is the pause between two bytes of Drip.
	Every time.Duration `json:"every,omitempty"`
	// HTTPStatus replaces the HTTP status of the answer.
	HTTPStatus int `json:"http_status,omitempty"`
	// Status replaces trade_status or refundStatus in the answer.
	Status string `json:"status,omitempty"`
	// Code replaces return_status or code. A Code without a Result does
	// Nothing: give a Result where the refusal is a lie. A negative
	// eftPay code is answered unsigned, as its page says.
	Code string `json:"code,omitempty"`
	// Message goes with Code.
	Message string `json:"message,omitempty"`
	// Fields replaces fields of the answer (of data for BluePay) before it
	// is signed; nil removes one, a new name adds one.
	Fields map[string]any `json:"fields,omitempty"`
}

// Sign says how a notification is signed.
type Sign string

const (
	// SignTrue is the gateway's own signature.
	SignTrue Sign = ""
	// SignBad is a true signature with one character changed.
	SignBad Sign = "bad"
	// SignMissing has no sign field.
	SignMissing Sign = "missing"
	// SignForeign is made with a key that is not the gateway's.
	SignForeign Sign = "foreign"
	// SignTampered is true for the refund's own amount, while the
	// notification carries one major unit more.
	SignTampered Sign = "tampered"
)

// Shape is one of eftPay's two notification pages.
type Shape string

const (
	// ShapeSeed is the page "Refund Asynchronous Notification": trade_no,
	// eft_trade_no, currency, wallet.
	ShapeSeed Shape = "seed"
	// ShapeJSAPI is the JSAPI page: paytype, payment_type, fee_type,
	// refund_trade_no, rate, scene_type.
	ShapeJSAPI Shape = "jsapi"
)

// Notification is one callback. Where a refund has a script of them, they
// are sent in place of the single true one when the refund ends, each at its
// own time: two equal ones are a doubled callback, a final one After 0 and a
// Status of processing After 1s are one that was overtaken.
type Notification struct {
	// After is counted from the end of the refund.
	After time.Duration `json:"after,omitempty"`
	// BeforeAnswer sends it when the call lands, and the answer to the
	// call waits until its reply is there.
	BeforeAnswer bool `json:"before_answer,omitempty"`
	// Skip sends nothing: the refund ends in silence.
	Skip bool `json:"skip,omitempty"`
	Sign Sign `json:"sign,omitempty"`
	// Once: not repeated where it is not acknowledged.
	Once bool `json:"once,omitempty"`
	// Status replaces trade_status or refundStatus.
	Status string `json:"status,omitempty"`
	// Event replaces BluePay's eventName.
	Event string `json:"event,omitempty"`
	// Amount replaces the refund's, in minor units.
	Amount int64 `json:"amount,omitempty"`
	// RefundNo replaces the refund's number.
	RefundNo string `json:"refund_no,omitempty"`
	// Shape is eftPay's page, the merchant's unless set.
	Shape Shape `json:"shape,omitempty"`
	// URL replaces the address that the refund call gave.
	URL string `json:"url,omitempty"`
	// Fields replaces fields before signing; nil removes one.
	Fields map[string]any `json:"fields,omitempty"`
}

// Script is all that happens to one refund number. Calls and Queries are
// used up one after another; after the last one the gateway is a good one.
type Script struct {
	Calls         []Step         `json:"calls,omitempty"`
	Queries       []Step         `json:"queries,omitempty"`
	Notifications []Notification `json:"notifications,omitempty"`
}

// Check answers an error that names the first value which is not one of
// those above, or a field where it has no meaning.
func (sc Script) Check() error {
	for i, st := range sc.Calls {
		if err := st.check(false); err != nil {
			return fmt.Errorf("calls[%d]: %w", i, err)
		}
	}
	for i, st := range sc.Queries {
		if err := st.check(true); err != nil {
			return fmt.Errorf("queries[%d]: %w", i, err)
		}
	}
	for i, n := range sc.Notifications {
		if err := n.check(); err != nil {
			return fmt.Errorf("notifications[%d]: %w", i, err)
		}
	}
	return nil
}

func (st Step) check(query bool) error {
	switch st.Result {
	case ByDefault, Succeed, Fail, Cancel, Process, Nothing:
	case Decline:
		if query {
			return fmt.Errorf("result %q is for calls: a query step can fail the refund", st.Result)
		}
	case Reverse:
		if !query {
			return fmt.Errorf("result %q is for queries: a call cannot take back what it has not done", st.Result)
		}
	default:
		return fmt.Errorf("result %q is not known", st.Result)
	}
	switch st.Answer {
	case OK, Hang, Reset, Hangup, HTML, Garbage, Empty, Truncated, Drip, Oversized, Redirect,
		Unsigned, BadSign, UnknownStatus, UnknownCode, Contradict, OtherRefund, OtherAmount:
	default:
		return fmt.Errorf("answer %q is not known", st.Answer)
	}
	if query && (st.LandAfter != 0 || st.SettleAfter != 0) {
		return fmt.Errorf("land_after and settle_after are for calls")
	}
	if st.HTTPStatus != 0 && (st.HTTPStatus < 200 || st.HTTPStatus > 599) {
		return fmt.Errorf("http_status %d is not between 200 and 599", st.HTTPStatus)
	}
	return nil
}

func (n Notification) check() error {
	switch n.Sign {
	case SignTrue, SignBad, SignMissing, SignForeign, SignTampered:
	default:
		return fmt.Errorf("sign %q is not known", n.Sign)
	}
	switch n.Shape {
	case "", ShapeSeed, ShapeJSAPI:
	default:
		return fmt.Errorf("shape %q is not known", n.Shape)
	}
	return nil
}
