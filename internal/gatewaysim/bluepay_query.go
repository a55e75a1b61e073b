package gatewaysim

import (
	"net/http"
	"strconv"
)

// bluepayQuery is 5.2, POST /open-api/refund/payments: the refunds of an
// original, or one by its refundTransactionId. There is no look-up by
// mchRefundOrderId.
func (s *Sim) bluepayQuery(w http.ResponseWriter, r *http.Request) {
	a, param, ok := s.bluepayOpen(w, r, blueQueryFields)
	if !ok {
		return
	}
	original, id := param["originalTransactionId"].text, param["refundTransactionId"].text
	if original == "" && id == "" {
		s.bluepayRefuse(w, r, a, violate(blueBadParam, "originalTransactionId or refundTransactionId is needed"))
		return
	}
	if original != "" && s.cfg.KnownSalesOnly && !a.knows(original) {
		s.bluepayRefuse(w, r, a, violate(blueNotFound, "originalTransactionId %q is not known", original))
		return
	}
	asked := a.askedAbout(original, id)
	var step Step
	var scripted *refund
	for _, ref := range asked {
		if st, found := s.scripts.query(a.merchant, ref.no); found {
			step, scripted = st, ref
			break
		}
	}
	if !s.sleep(s.cfg.Delay + step.Delay) {
		dropConnection(w, false)
		return
	}
	code, message := step.Code, step.Message
	if code == "" && step.Answer == UnknownCode {
		code, message = blueUnknownCode, "no page lists this"
	}
	if code != "" {
		s.bluepayWrite(w, r, step, code, message, nil)
		return
	}
	if scripted != nil {
		s.turn(a, scripted, step.Result)
	}
	items := a.listRefunds(original, id, scripted, step)
	switch {
	case len(items) == 0 && a.bluepay.NotFoundCode != 0:
		s.bluepayWrite(w, r, step, strconv.Itoa(a.bluepay.NotFoundCode), "", nil)
	case len(items) == 1 && a.bluepay.OneAsObject:
		s.bluepayWrite(w, r, step, "", "", items[0])
	default:
		s.bluepayWrite(w, r, step, "", "", items)
	}
}

func (a *account) knows(order string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sales[order] != nil
}

// askedAbout answers the refunds that a query is about, lost ones too, and
// counts the query for each.
func (a *account) askedAbout(original, id string) []*refund {
	a.mu.Lock()
	defer a.mu.Unlock()
	var asked []*refund
	if t := a.byID[id]; id != "" && t != nil {
		asked = append(asked, t.refund)
	} else if sl := a.sales[original]; sl != nil {
		asked = append(asked, sl.numbers...)
	}
	for _, r := range asked {
		r.queries++
	}
	return asked
}

// listRefunds writes the items of an answer; the scripted refund's are made
// what its step says, and left out where its Result is Nothing.
func (a *account) listRefunds(original, id string, scripted *refund, step Step) []map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	var attempts []*attempt
	if id != "" {
		if t := a.byID[id]; t != nil && (original == "" || t.sale.order == original) {
			attempts = []*attempt{t}
		}
	} else if sl := a.sales[original]; sl != nil {
		attempts = sl.attempts
	}
	items := []map[string]any{}
	for _, t := range attempts {
		if t.refund == scripted && step.Result == Nothing {
			continue
		}
		f := a.facts(t)
		item := blueItem(f)
		if t.refund == scripted {
			blueSpoil(item, step, f)
		}
		items = append(items, item)
	}
	return items
}

// blueItem is one refund as 5.2 lists it and 5.3 sends it.
func blueItem(f facts) map[string]any {
	item := map[string]any{"mchRefundOrderId": f.refundNo, "originalTransactionId": f.order, "refundTransactionId": f.id,
		"refundAmount": f.amount, "feeRefunded": 0, "refundStatus": f.status, "refundCreateTime": formatBlueTime(f.created),
		"refundReturnTime": formatBlueTime(f.ended), "failedCode": "", "failedMessage": ""}
	if f.state == failed {
		item["failedCode"], item["failedMessage"] = "FAILED", "refund failed at the channel"
	}
	return item
}
