package gatewaysim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// bluepayNotification writes 5.3: {sign, param}, without appId, signed with
// the gateway's key over the exact param.
func (a *account) bluepayNotification(e errand) ([]byte, string) {
	f, n := e.facts, e.n
	if n.Status != "" {
		f.status = n.Status
	}
	if n.Amount != 0 {
		f.amount = n.Amount
	}
	if n.RefundNo != "" {
		f.refundNo = n.RefundNo
	}
	fields := blueItem(f)
	fields["refundReason"] = f.reason
	fields["eventName"] = blueEvent(f.status)
	if n.Event != "" {
		fields["eventName"] = n.Event
	}
	override(fields, n.Fields)
	key := a.bluepay.GatewayKey
	var err error
	if n.Sign == SignForeign {
		key, err = foreignKey()
	}
	param, paramErr := json.Marshal(fields)
	sign, signErr := "", error(nil)
	if err == nil && paramErr == nil {
		sign, signErr = bluepaySign(key, string(param))
	}
	if err = errors.Join(err, paramErr, signErr); err != nil {
		return []byte("{}"), f.status
	}
	envelope := map[string]string{"sign": sign, "param": string(param)}
	switch n.Sign {
	case SignBad:
		envelope["sign"] = spoil(sign)
	case SignMissing:
		delete(envelope, "sign")
	case SignTampered:
		fields["refundAmount"] = f.amount + 100
		if param, err = json.Marshal(fields); err == nil {
			envelope["param"] = string(param)
		}
	}
	body, err := json.Marshal(envelope)
	if err != nil {
		return []byte("{}"), f.status
	}
	return body, f.status
}

func blueEvent(status string) string {
	switch {
	case status == "COMPLETE" || status == "COMPLETED":
		return "payment.refund.success"
	case strings.HasPrefix(status, "CANCEL"):
		return "payment.refund.cancel"
	default:
		return "payment.refund.failed"
	}
}

// bluepayAcknowledged checks for {"code":10000,"message":"Success"}.
func bluepayAcknowledged(code int, reply []byte) error {
	if code != http.StatusOK {
		return fmt.Errorf("HTTP %d", code)
	}
	fields, err := parseFlat(reply)
	switch {
	case err != nil:
		return fmt.Errorf("reply is %w", err)
	case fields["code"] != value{kindNumber, "10000"}:
		return errors.New("code is not the number 10000")
	case fields["message"].text != "Success":
		return errors.New("message is not Success")
	}
	return nil
}

// notification writes the body of a callback and says which status it tells.
func (a *account) notification(s *Sim, e errand) ([]byte, string) {
	if a.provider == ProviderBluePay {
		return a.bluepayNotification(e)
	}
	return a.eftpayNotification(s, e)
}

// acknowledged is nil where a reply is what the vendor expects.
func (a *account) acknowledged(s *Sim, code int, reply []byte) error {
	if a.provider == ProviderBluePay {
		return bluepayAcknowledged(code, reply)
	}
	return a.eftpayAcknowledged(s, code, reply)
}
