package gatewaysim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const blueTime = "2006-01-02 15:04:05"

// bluepayRefund is 5.1, POST /open-api/payment/refund.
func (s *Sim) bluepayRefund(w http.ResponseWriter, r *http.Request) {
	a, param, ok := s.bluepayOpen(w, r, blueRefundFields)
	if !ok {
		return
	}
	amount, bad := checkBlueRefund(param)
	var ref *refund
	var callNo int
	if bad == nil {
		ref, callNo, bad = s.bluepayTake(a, param, amount)
	}
	if bad != nil {
		s.bluepayRefuse(w, r, a, bad)
		return
	}
	step := s.scripts.call(a.provider, a.merchant, ref.no, amount)
	out, ok := s.perform(a, ref, callNo, amount, &step)
	if !ok {
		dropConnection(w, false)
		return
	}
	code, message := step.Code, step.Message
	switch {
	case code != "":
	case step.Answer == UnknownCode:
		code, message = blueUnknownCode, "no page lists this"
	case out.refused != "":
		code = out.refused
	case !out.known:
		code = "21000"
	}
	var data map[string]any
	if code == "" {
		f := out.facts
		data = map[string]any{"mchRefundOrderId": f.refundNo, "refundTransactionId": f.id,
			"refundCreateTime": f.created.In(vendorZone).Format(blueTime), "refundAmount": f.amount, "refundStatus": f.status}
		blueSpoil(data, step, f)
	}
	s.bluepayWrite(w, r, step, code, message, data)
}

func checkBlueRefund(param map[string]value) (int64, *violation) {
	if !transactionID.MatchString(param["originalTransactionId"].text) {
		return 0, violate(blueBadParam, "originalTransactionId is not letters and digits")
	}
	if !refundOrderID.MatchString(param["mchRefundOrderId"].text) {
		return 0, violate(blueBadParam, "mchRefundOrderId is not 1 to 32 letters and digits")
	}
	amount, err := strconv.ParseInt(param["refundAmount"].text, 10, 64)
	if err != nil {
		return 0, violate(blueBadParam, "refundAmount is not an integer")
	}
	if amount <= 0 {
		return 0, violate(blueBadAmount, "refundAmount is not above zero")
	}
	if raw := param["refundCallbackUrl"].text; raw != "" {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return 0, violate(blueBadParam, "refundCallbackUrl is not an absolute http address")
		}
	}
	return amount, nil
}

func (s *Sim) bluepayTake(a *account, param map[string]value, amount int64) (*refund, int, *violation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	sl := a.saleOf(param["originalTransactionId"].text, !s.cfg.KnownSalesOnly)
	if sl == nil {
		return nil, 0, violate(blueNotFound, "originalTransactionId %q is not known", param["originalTransactionId"].text)
	}
	ref := a.refundOf(param["mchRefundOrderId"].text, sl)
	ref.calls++
	ref.amount, ref.reason, ref.callbackURL = amount, param["refundReason"].text, param["refundCallbackUrl"].text
	return ref, ref.calls, nil
}

// blueSpoil applies the answers that spoil the content of data.
func blueSpoil(data map[string]any, step Step, f facts) {
	switch step.Answer {
	case UnknownStatus:
		data["refundStatus"] = "MYSTERY"
	case Contradict:
		data["refundStatus"] = "COMPLETE"
		if f.state == succeeded {
			data["refundStatus"] = "FAILED"
		}
	case OtherRefund:
		data["mchRefundOrderId"] = "X" + cut(f.refundNo, 31)
	case OtherAmount:
		data["refundAmount"] = f.amount + 100
	}
	if step.Status != "" {
		data["refundStatus"] = step.Status
	}
	override(data, step.Fields)
}

func (s *Sim) bluepayWrite(w http.ResponseWriter, r *http.Request, step Step, code, message string, data any) {
	if code == "" {
		code = strconv.Itoa(blueSuccess)
	}
	if message == "" {
		message = blueMessages[code]
	}
	s.write(w, r, step, blueBody(code, message, data))
}

// blueBody writes {code, message, data}. A code of a script that is no number
// is written as a string: one more thing that no page lists.
func blueBody(code, message string, data any) []byte {
	var c any = code
	if n, err := strconv.Atoi(code); err == nil {
		c = n
	}
	if m, ok := data.(map[string]any); ok && m == nil {
		data = nil
	}
	body, err := json.Marshal(struct {
		Code    any    `json:"code"`
		Message string `json:"message"`
		Data    any    `json:"data"`
	}{c, message, data})
	if err != nil { // Fields come from JSON or a Go literal
		return []byte(`{"code":21000}`)
	}
	return body
}

// formatBlueTime prints a time that may not have come yet.
func formatBlueTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(vendorZone).Format(blueTime)
}
