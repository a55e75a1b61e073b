package refund

import "fmt"

// Notice is a gateway's notification whose signature was verified: what it says
// of which refund. Fields that the gateway did not tell are empty.
type Notice struct {
	Request Request // Key, Amount and, where told, OrderNo, TransactionID, OrderAmount, Method, Wallet
	Order   string  // what its total belongs to, as Gateway.Order has it
	Outcome Outcome
}

// CallbackError says why a callback does not count. Only its Reason, a closed
// set, is counted and logged; nothing of the body is repeated.
type CallbackError struct {
	Reason   CallbackReason
	Verified bool // the signature was right, the content is not about a refund
	Err      error
}

// CallbackReason is why a callback was refused.
type CallbackReason string

const (
	CallbackMalformed CallbackReason = "malformed" // not the form that can be verified
	CallbackUnsigned  CallbackReason = "unsigned"
	CallbackForged    CallbackReason = "bad_signature"
	CallbackForeign   CallbackReason = "other_account" // verified, but names another merchant account
	CallbackNoRefund  CallbackReason = "not_a_refund"  // verified, but about something else or without what a refund needs
)

func (e *CallbackError) Error() string {
	if e.Err == nil {
		return "callback refused: " + string(e.Reason)
	}
	return fmt.Sprintf("callback refused: %s: %v", e.Reason, e.Err)
}

func (e *CallbackError) Unwrap() error { return e.Err }

// NewsOf turns a verified notice into news for the lifecycle: where its amount,
// currency or order differ from the record's, it only says that a query is owed.
func NewsOf(rec Record, n Notice) News {
	news := News{Source: FromCallback, Outcome: n.Outcome, Notice: &n}
	if !rec.Known() {
		return news
	}
	asked, told := rec.Request, n.Request
	differs := told.Amount != asked.Amount ||
		told.OrderNo != "" && asked.OrderNo != "" && told.OrderNo != asked.OrderNo ||
		n.Order != "" && rec.Order != "" && n.Order != rec.Order ||
		told.OrderAmount.Minor != 0 && asked.OrderAmount.Minor != 0 && told.OrderAmount != asked.OrderAmount
	if differs {
		news.Outcome = Outcome{Class: Mismatch, OccurredAt: n.Outcome.OccurredAt}
	}
	return news
}
