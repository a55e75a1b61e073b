package gatewaysim

import (
	"net/http"
)

// eftpayService is POST {prefix}/Servlet/JSAPIService.do: refunds and query B.
func (s *Sim) eftpayService(w http.ResponseWriter, r *http.Request) {
	body, ok := readJSON(w, r)
	if !ok {
		return
	}
	a, fields, bad := s.eftpayAuthenticate(body)
	if bad != nil {
		s.eftpayRefuse(w, r, a, fields, bad)
		return
	}
	name := fields["service"].text
	if name == eftpayQueryB {
		s.eftpayQueryB(w, r, a, fields)
		return
	}
	service, known := eftpayServices[name]
	if !known {
		service, known = a.eftpay.Services[name]
	}
	if !known {
		s.eftpayRefuse(w, r, a, fields, violate(eftBadService, "service %q is not known", name))
		return
	}
	s.eftpayRefund(w, r, a, fields, service)
}

func (s *Sim) eftpayRefund(w http.ResponseWriter, r *http.Request, a *account, fields map[string]value, service Service) {
	amount, total, bad := s.checkRefund(a, fields, service)
	if bad != nil {
		s.eftpayRefuse(w, r, a, fields, bad)
		return
	}
	ref, callNo, bad := s.eftpayTake(a, fields, service, amount, total)
	if bad != nil {
		s.eftpayRefuse(w, r, a, fields, bad)
		return
	}
	step := s.scripts.call(a.provider, a.merchant, ref.no, amount)
	out, ok := s.perform(a, ref, callNo, amount, &step)
	if !ok {
		dropConnection(w, false)
		return
	}
	s.eftpayAnswer(w, r, a, step, out, func(f facts) map[string]any {
		answer := map[string]any{
			"out_trade_no": f.order, "trade_status": f.status, "user_confirm_key": a.merchant, "paytype": f.paytype,
			"refund_no": f.refundNo, "transaction_amount": formatAmount(f.amount, a.eftpay.Exponent),
			"total_fee": formatAmount(f.total, a.eftpay.Exponent), "payment_type": f.wallet,
			"eftpay_trade_no": f.tradeNo, "refund_trade_no": f.id,
		}
		if f.terminal != "" {
			answer["tid"] = f.terminal
		}
		return answer
	})
}

// checkRefund holds the fields of a refund against the seed page's table.
func (s *Sim) checkRefund(a *account, fields map[string]value, service Service) (amount, total int64, bad *violation) {
	if bad = obey(fields, refundRules); bad != nil {
		return 0, 0, bad
	}
	if p := fields["paytype"].text; p != service.Paytype {
		return 0, 0, violate(eftBadField, "paytype %q does not belong to service %q", p, fields["service"].text)
	}
	if bad = wallet(fields["paytype"].text, fields["payment_type"].text); bad != nil {
		return 0, 0, bad
	}
	amount, err := parseAmount(fields["transaction_amount"].text, a.eftpay.Exponent)
	if err != nil {
		return 0, 0, violate(eftBadField, "transaction_amount is %v", err)
	}
	total, err = parseAmount(fields["total_fee"].text, a.eftpay.Exponent)
	if err != nil {
		return 0, 0, violate(eftBadField, "total_fee is %v", err)
	}
	if u := fields["notify_url"].text; u != "" {
		if bad = s.checkNotifyURL(u); bad != nil {
			return 0, 0, bad
		}
	}
	return amount, total, nil
}

// eftpayTake enters a valid call: the sale is learned from it, and the call
// is counted. From here on the call can have an effect.
func (s *Sim) eftpayTake(a *account, fields map[string]value, service Service, amount, total int64) (*refund, int, *violation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	sl := a.saleOf(fields["out_trade_no"].text, !s.cfg.KnownSalesOnly)
	if sl == nil {
		return nil, 0, violate(eftNoSale, "out_trade_no %q is not known", fields["out_trade_no"].text)
	}
	paytype, paymentType := fields["paytype"].text, fields["payment_type"].text
	if sl.paytype == "" {
		sl.paytype, sl.wallet = paytype, paymentType
	}
	if sl.paytype != paytype || sl.wallet != paymentType {
		return nil, 0, violate(eftOtherWallet, "the sale was paid with %s %s", sl.paytype, sl.wallet)
	}
	if sl.total == 0 {
		sl.total = total
	}
	if s.cfg.CheckTotals && sl.total != total {
		return nil, 0, violate(eftBadField, "total_fee differs from the sale's")
	}
	ref := a.refundOf(fields["refund_no"].text, sl)
	ref.calls++
	ref.amount, ref.paytype, ref.wallet = amount, paytype, paymentType
	ref.terminal, ref.reason = fields["tid"].text, fields["refund_desc"].text
	ref.apply = service.Apply
	ref.callbackURL = ""
	if service.Apply { // the vendor: "Effective when calling the refund application interface"
		ref.callbackURL = fields["notify_url"].text
	}
	return ref, ref.calls, nil
}
