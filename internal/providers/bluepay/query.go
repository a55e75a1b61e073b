package bluepay

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/refundworker/refundworker/internal/refund"
)

// queryParam is the param of 5.2: one of the two ids.
type queryParam struct {
	OriginalTransactionID string `json:"originalTransactionId,omitempty"`
	RefundTransactionID   string `json:"refundTransactionId,omitempty"`
	Timestamp             int64  `json:"timestamp"`
}

// Query asks 5.2 for the refunds of the original payment and finds ours by its
// number: the page has no look-up by our number. A refund that is known from a
// notification alone, without its payment, is looked up by the gateway's own
// number, which never proves that there is none.
//
// NotFound is answered only where code 10000 comes with a list, empty or not, in
// which every refund is of our payment and none has our number. An object in
// place of the list (another table of the page has one), no data at all, a code
// such as 21006, an entry that cannot be read: each leaves it open.
func (g *Gateway) Query(ctx context.Context, rec refund.Record) refund.Outcome {
	param := queryParam{OriginalTransactionID: rec.Request.TransactionID, Timestamp: g.stamp()}
	if param.OriginalTransactionID == "" {
		param.RefundTransactionID = rec.Last.ProviderRefundID
	}
	if param.OriginalTransactionID == "" && param.RefundTransactionID == "" {
		return refund.Outcome{Class: refund.Unknown, Message: "neither the payment's nor the gateway's refund number is known"}
	}
	a, none := g.ask(ctx, param)
	switch {
	case none != nil:
		return *none
	case a.code != codeOK:
		return toQuery(a.code, a.message)
	}
	items, list, err := g.readItems(a.data)
	if err != nil {
		return *noAnswer("", err.Error(), false)
	}
	return g.find(items, list && param.OriginalTransactionID != "", rec)
}

// Ping asks about a payment that does not exist: it moves no money and shows
// whether the gateway is there and takes our signature. The outcome is never about
// a refund: Hold says that our settings are wrong, Outage that the gateway is not
// there, neither that both are well.
func (g *Gateway) Ping(ctx context.Context) refund.Outcome {
	a, none := g.ask(ctx, queryParam{OriginalTransactionID: "PING", Timestamp: g.stamp()})
	switch {
	case none != nil:
		return *none
	case a.code != codeOK: // 21006, too, shows that we were heard
		return toQuery(a.code, a.message)
	}
	return refund.Outcome{Class: refund.NotFound}
}

func (g *Gateway) ask(ctx context.Context, param queryParam) (answer, *refund.Outcome) {
	body, err := g.seal(param)
	if err != nil {
		return answer{}, &refund.Outcome{Class: refund.Unknown, Code: refund.CodeMisconfigured, Message: "the query could not be signed", Hold: true}
	}
	ctx, cancel := g.within(ctx)
	defer cancel()
	answered, err := g.client.Post(ctx, queryPath, body)
	if err != nil {
		o := unanswered(err, refund.QueryCall)
		return answer{}, &o
	}
	return readAnswer(answered)
}

// readItems reads data as a list or as one object, and says which it was.
func (g *Gateway) readItems(data json.RawMessage) (items []item, list bool, err error) {
	if data == nil {
		return nil, false, fmt.Errorf("the answer has no data")
	}
	elements := []json.RawMessage{data}
	if data[0] == '[' {
		list = true
		if err := json.Unmarshal(data, &elements); err != nil {
			return nil, false, fmt.Errorf("data %w", errNotJSON)
		}
	}
	for _, element := range elements {
		object, err := strictObject(element)
		if err != nil {
			return nil, false, fmt.Errorf("data %w", err)
		}
		it, err := g.readItem(object)
		if err != nil {
			return nil, false, err
		}
		items = append(items, it)
	}
	return items, list, nil
}

// find looks for our refund among those answered; proof says whether a list in
// which it is missing proves that there is none.
func (g *Gateway) find(items []item, proof bool, rec refund.Record) refund.Outcome {
	var found refund.Outcome
	ofOurPayment := true
	for _, it := range items {
		ofOurPayment = ofOurPayment && it.original == rec.Request.TransactionID
		if it.refundNo != rec.Request.RefundNo {
			continue
		}
		// Several refunds under our number: the one that says most of the money.
		if o := g.about(it, rec.Request); weight[o.Class] > weight[found.Class] {
			found = o
		}
	}
	open := refund.Outcome{Class: refund.Unknown}
	switch {
	case found.Class != refund.NoCall:
		return found
	case !proof || !ofOurPayment:
		open.Message = "the answer is about another refund"
	default:
		open.Class = refund.NotFound
	}
	return open
}

// weight orders what several refunds of one number say: in doubt, then moved, then
// may move, then not.
var weight = map[refund.Class]int{refund.Declined: 1, refund.Pending: 2, refund.Succeeded: 3, refund.Unknown: 4}
