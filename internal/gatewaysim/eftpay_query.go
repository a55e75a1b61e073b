package gatewaysim

import (
	"net/http"
	"strings"
)

// eftpayQueryA is POST {prefix}/Servlet/QRcodeTradeQuery.do. Without
// refund_no it answers the sale's status: a client that omits it is told
// about something else.
func (s *Sim) eftpayQueryA(w http.ResponseWriter, r *http.Request) {
	body, ok := readJSON(w, r)
	if !ok {
		return
	}
	a, fields, bad := s.eftpayAuthenticate(body)
	if bad == nil {
		bad = obey(fields, queryARules)
	}
	if bad == nil && fields["querytype"].text != "OUT_TRADE" {
		bad = violate(eftBadField, "querytype is not OUT_TRADE")
	}
	if bad == nil {
		bad = wallet(fields["paytype"].text, fields["payment_type"].text)
	}
	if bad != nil {
		s.eftpayRefuse(w, r, a, fields, bad)
		return
	}
	if fields["refund_no"].text == "" {
		s.eftpaySale(w, r, a, fields)
		return
	}
	s.eftpayInspect(w, r, a, fields["refund_no"].text, fields["out_trade_no"].text, func(f facts) map[string]any {
		return map[string]any{
			"out_trade_no": f.order, "extra_trade_no": f.refundNo, "refund_no": f.refundNo, "eftpay_trade_no": f.tradeNo,
			"trade_status": f.status, "trade_type": "REFUND", "user_confirm_key": a.merchant,
			"transaction_amount": formatAmount(f.amount, a.eftpay.Exponent), "currency": a.eftpay.Currency,
			"original_amount": formatAmount(f.total, a.eftpay.Exponent),
		}
	})
}

// eftpayQueryB is service.unified.RefundStatusQuery.
func (s *Sim) eftpayQueryB(w http.ResponseWriter, r *http.Request, a *account, fields map[string]value) {
	bad := obey(fields, queryBRules)
	order := fields["out_trade_no"].text
	if bad == nil {
		switch q := fields["querytype"].text; {
		case q == "OUT_TRADE" && order == "":
			bad = violate(eftBadField, "out_trade_no is missing")
		case q == "EFT_TRADE" && fields["eft_trade_no"].text == "":
			bad = violate(eftBadField, "eft_trade_no is missing")
		case q != "OUT_TRADE" && q != "EFT_TRADE":
			bad = violate(eftBadField, "querytype is neither OUT_TRADE nor EFT_TRADE")
		}
	}
	if bad != nil {
		s.eftpayRefuse(w, r, a, fields, bad)
		return
	}
	if no := fields["eft_trade_no"].text; fields["querytype"].text == "EFT_TRADE" {
		a.mu.Lock()
		if sl := a.byTrade[no]; sl != nil {
			order = sl.order
		} else {
			order = "\x00unknown"
		}
		a.mu.Unlock()
	}
	s.eftpayInspect(w, r, a, fields["refund_no"].text, order, func(f facts) map[string]any {
		return map[string]any{
			"out_trade_no": f.order, "eft_trade_no": f.tradeNo, "refund_no": f.refundNo, "refund_trade_no": f.id,
			"user_confirm_key": a.merchant, "trade_status": f.status, "refund_status": refundStatus(f.status),
			"transaction_amount": formatAmount(f.amount, a.eftpay.Exponent), "currency": a.eftpay.Currency,
		}
	})
}

// refundStatus is query B's second status.
func refundStatus(tradeStatus string) string {
	switch tradeStatus {
	case "TRADE_REFUND", "TRADE_CLOSED":
		return "SUCCESS"
	case "TRADE_FAIL", "TRADE_FAILED":
		return "FAIL"
	case "TRADE_PROCESSING", "APPLY_SUCCESS":
		return "PROCESSING"
	}
	return tradeStatus
}

func (s *Sim) eftpayInspect(w http.ResponseWriter, r *http.Request, a *account, no, order string, form func(facts) map[string]any) {
	a.mu.Lock()
	ref := a.refundOf(no, nil)
	ref.queries++
	a.mu.Unlock()
	step, _ := s.scripts.query(a.merchant, no)
	out, ok := s.inspect(a, ref, order, step)
	if !ok {
		dropConnection(w, false)
		return
	}
	if !out.known && step.Code == "" {
		step.Code, step.Message = a.eftpay.NotFoundStatus, "refund does not exist"
	}
	s.eftpayAnswer(w, r, a, step, out, form)
}

// eftpaySale answers a query that names no refund.
func (s *Sim) eftpaySale(w http.ResponseWriter, r *http.Request, a *account, fields map[string]value) {
	order := fields["out_trade_no"].text
	a.mu.Lock()
	sl := a.sales[order]
	var answer map[string]any
	if sl != nil {
		answer = map[string]any{"return_status": eftAccepted, "return_char": "", "out_trade_no": order,
			"eftpay_trade_no": sl.tradeNo, "trade_status": sl.status, "trade_type": strings.ToUpper(sl.paytype),
			"user_confirm_key": a.merchant, "transaction_amount": formatAmount(sl.total, a.eftpay.Exponent),
			"currency": a.eftpay.Currency, "original_amount": formatAmount(sl.total, a.eftpay.Exponent)}
		if sl.status == "" {
			answer["trade_status"] = "TRADE_SUCCESS"
		}
	}
	a.mu.Unlock()
	if answer == nil {
		s.eftpayRefuse(w, r, a, fields, violate(eftNoSale, "out_trade_no %q is not known", order))
		return
	}
	if !s.sleep(s.cfg.Delay) {
		dropConnection(w, false)
		return
	}
	s.write(w, r, Step{}, s.eftpayBody(a, Step{}, answer))
}
