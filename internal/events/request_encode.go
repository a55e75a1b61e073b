package events

import (
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

const contentTypeJSON = "application/json"

// EncodeRequest writes a request as a CloudEvent in binary mode: a new one, or a
// follow-up message of a refund that is known. DecodeRequest reads it as the same
// request; where parts are missing (known from a callback alone), DecodeFollowUp
// does. The same refund always gives the same id.
func EncodeRequest(req refund.Request) (value []byte, headers []Header) {
	w := &writer{b: make([]byte, 0, 640)}
	w.open()
	w.text("refund_no", req.RefundNo)
	w.text("merchant", req.Merchant)
	w.textIf("order_no", req.OrderNo)
	w.textIf("transaction_id", req.TransactionID)
	for _, m := range []struct {
		name  string
		money refund.Money
	}{{"amount", req.Amount}, {"order_amount", req.OrderAmount}} {
		if m.money.Minor != 0 {
			w.text(m.name, m.money.String())
		}
	}
	w.textIf("currency", req.Amount.Currency.Code)
	w.textIf("method", req.Method)
	w.textIf("wallet", req.Wallet)
	w.textIf("terminal", req.Terminal)
	w.textIf("flow", string(req.Flow))
	w.textIf("reason", req.Reason)
	if !req.RequestedAt.IsZero() {
		w.text("requested_at", req.RequestedAt.Format(time.RFC3339Nano))
	}
	w.close()
	return w.cut(), appendTrace([]Header{
		{HeaderContentType, []byte(contentTypeJSON)},
		{HeaderSpecVersion, []byte("1.0")},
		{HeaderType, []byte(TypeRequest)},
		{HeaderID, []byte(req.Key.String())},
		{HeaderSource, []byte("/refundworker")},
		{HeaderSubject, []byte(req.RefundNo)},
	}, req.Trace)
}

func appendTrace[H likeHeader](headers []H, t refund.Trace) []H {
	if t.Parent != "" {
		headers = append(headers, H{HeaderTraceParent, []byte(t.Parent)})
	}
	if t.Parent != "" && t.State != "" {
		headers = append(headers, H{HeaderTraceState, []byte(t.State)})
	}
	return headers
}
