package bluepay

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// answer is what both calls answer: {code, message, data}.
type answer struct {
	code, message string
	data          json.RawMessage // nil where absent or null
}

// readAnswer believes a 200 with an object that has a code. Everything else is the
// outcome "not known": a page of some proxy, or a gateway that did not do its
// work.
func readAnswer(a transport.Answer) (answer, *refund.Outcome) {
	top, err := strictObject(a.Body)
	var out answer
	if err == nil {
		out.code, err = top.text("code")
	}
	switch {
	case a.Status != http.StatusOK:
		return answer{}, refusedByHTTP(a.Status, out.code)
	case err != nil:
		return answer{}, noAnswer("", fmt.Sprintf("the answer %v", err), true)
	case out.code == "":
		return answer{}, noAnswer("", "the answer has no code", true)
	}
	if out.message, err = top.text("message"); err != nil {
		out.message = ""
	}
	if !top.absent("data") {
		out.data = top["data"]
	}
	return out, nil
}

// refusedByHTTP: whatever the body says, the money is not spoken of. A code that
// blames our settings holds the merchant all the same, and 429 is no outage.
func refusedByHTTP(status int, code string) *refund.Outcome {
	why := fmt.Sprintf("answered HTTP %d", status)
	switch {
	case codes[code].class == refund.Misconfigured:
		o := noAnswer(code, why+": "+codes[code].words, false)
		o.Hold = true
		return o
	case status == http.StatusTooManyRequests:
		return noAnswer(refund.CodeRateLimited, why, false)
	}
	return noAnswer(shown(code), why, true)
}

// unanswered is what an exchange that brought no answer says.
func unanswered(err error, kind refund.CallKind) refund.Outcome {
	var failed *transport.Error
	if errors.As(err, &failed) {
		return failed.Outcome(kind)
	}
	return *noAnswer("", "the gateway was not asked", true)
}

// noAnswer says that the gateway said nothing about the money.
func noAnswer(code, why string, outage bool) *refund.Outcome {
	if code == "" && outage {
		code = refund.CodeGatewayDown
	}
	return &refund.Outcome{Class: refund.Unknown, Code: code, Message: why, Outage: outage}
}

// item is one refund as 5.1, 5.2 and 5.3 describe it.
type item struct {
	refundNo, original, refundID string
	amount                       int64
	status                       string
	failedCode, failedMessage    string
	created, returned            time.Time
}

// readItem reads a refund. A field of another type than documented, or one that
// is missing without which nothing can be said, is an error.
func (g *Gateway) readItem(f fields) (item, error) {
	var it item
	for name, into := range map[string]*string{
		"mchRefundOrderId": &it.refundNo, "originalTransactionId": &it.original, "refundTransactionId": &it.refundID,
		"refundStatus": &it.status, "failedCode": &it.failedCode, "failedMessage": &it.failedMessage,
	} {
		var err error
		if *into, err = f.text(name); err != nil {
			return item{}, fmt.Errorf("%s %w", name, err)
		}
	}
	amount, there, err := f.whole("refundAmount")
	switch {
	case err != nil:
		return item{}, fmt.Errorf("refundAmount %w", err)
	case !there:
		return item{}, fmt.Errorf("refundAmount is missing")
	case it.refundNo == "":
		return item{}, fmt.Errorf("mchRefundOrderId is missing")
	}
	it.amount = amount
	it.created, it.returned = f.clock("refundCreateTime", g.zone), f.clock("refundReturnTime", g.zone)
	return it, nil
}

// outcome is what an item says of a refund that it is known to be about.
func (it item) outcome() refund.Outcome {
	known := statuses[it.status]
	o := refund.Outcome{Class: known.class, ProviderStatus: shown(it.status), ProviderRefundID: shown(it.refundID),
		TransactionID: shown(it.original), OccurredAt: it.returned}
	if o.OccurredAt.IsZero() {
		o.OccurredAt = it.created
	}
	switch known.class {
	case refund.NoCall: // not in the table: stays open, and is counted by its status
		o.Class, o.Message = refund.Unknown, "refundStatus is not known"
	case refund.Declined:
		o.Code, o.Message = shown(it.failedCode), shown(it.failedMessage)
		if o.Code == "" {
			o.Code = o.ProviderStatus
		}
	}
	return o
}

// about judges an item that should be about this refund: another number, payment
// or amount than we asked about says nothing of ours.
func (g *Gateway) about(it item, r refund.Request) refund.Outcome {
	asked, ok := g.units(r.Amount)
	why := ""
	switch {
	case it.refundNo != r.RefundNo:
		why = "the answer is about another refund"
	case it.original != "" && r.TransactionID != "" && it.original != r.TransactionID:
		why = "the answer is about a refund of another payment"
	case !ok || it.amount != asked:
		why = "the answer names another amount"
	default:
		return it.outcome()
	}
	return refund.Outcome{Class: refund.Unknown, ProviderStatus: shown(it.status), Message: why}
}
