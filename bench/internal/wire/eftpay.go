package wire

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// EftPay is one merchant's side of eftPay's protocol.
type EftPay struct{ Key, Secret string }

// SecretOf is the secret that this benchmark gives a merchant.
func SecretOf(merchant string) string { return "secret-of-" + merchant }

// ServicePath is where refund calls go, below the base URL.
const ServicePath = "/Servlet/JSAPIService.do"

var zone = time.FixedZone("UTC+8", 8*60*60)

// Stamp is eftPay's form of a time.
func Stamp(now time.Time) string { return now.In(zone).Format("20060102150405") }

const refundService = "service.wechat.jsapi.Refund"

// RefundCall is the signed body of a refund call.
func (e EftPay) RefundCall(r Request, now time.Time) []byte {
	stamp := Stamp(now)
	// The names in ASCII order, as the signature has them.
	fields := [...]Field{
		{"out_trade_no", r.OrderNo}, {"payment_type", r.Wallet}, {"paytype", r.Method}, {"refund_no", r.RefundNo},
		{"service", refundService}, {"tid", r.Terminal}, {"time", stamp}, {"total_fee", r.OrderAmount},
		{"transaction_amount", r.Amount}, {"user_confirm_key", e.Key},
	}
	return e.signed(fields[:])
}

// Reply is the signed acknowledgement of a callback.
func (e EftPay) Reply(now time.Time) []byte {
	fields := [...]Field{{"return_code", "success"}, {"time", Stamp(now)}}
	return e.signed(fields[:])
}

// Callback is a signed notification of a refund that succeeded.
func (e EftPay) Callback(r Request, now time.Time) []byte {
	stamp := Stamp(now)
	fields := [...]Field{
		{"currency", r.Currency}, {"eft_trade_no", "E" + r.OrderNo}, {"gmt_payment", now.In(zone).Format(time.DateTime)},
		{"notify_type", "trade_status_sync"}, {"out_trade_no", r.OrderNo}, {"refund_no", r.RefundNo}, {"return_amount", r.Amount},
		{"tid", r.Terminal}, {"time", stamp}, {"total_fee", r.OrderAmount}, {"trade_no", "T" + r.OrderNo}, {"trade_status", "TRADE_REFUND"},
		{"trade_type", "REFUND"}, {"transaction_id", "T" + r.OrderNo}, {"user_confirm_key", e.Key}, {"wallet", r.Wallet},
	}
	return e.signed(fields[:])
}

// signed writes sorted fields as JSON with their signature. Empty ones are left
// out.
func (e EftPay) signed(sorted []Field) []byte {
	body := make([]byte, 0, 512)
	body = append(body, '{')
	var room [768]byte
	text := append(room[:0], e.Secret...)
	first := true
	for _, f := range sorted {
		if f.Value == "" {
			continue
		}
		if !first {
			text = append(text, '&')
		}
		first = false
		text = append(append(append(text, f.Name...), '='), f.Value...)
		body = append(append(append(append(append(body, '"'), f.Name...), `":"`...), f.Value...), `",`...)
	}
	sum := sha256.Sum256(text)
	body = append(body, `"sign":"`...)
	body = hex.AppendEncode(body, sum[:])
	return append(body, `"}`...)
}

var (
	errUnsigned = errors.New("wire: the answer's signature is wrong")
	errAnswer   = errors.New("wire: the answer does not say that this refund was paid")
)

// Paid checks the answer to a refund call: signed, accepted, about this refund, and
// the money moved.
func (e EftPay) Paid(answer string, r Request) error {
	var room [24]Field
	fields, err := Flat(answer, room[:])
	if err != nil {
		return err
	}
	if !e.genuine(fields) {
		return errUnsigned
	}
	if Value(fields, "return_status") != "00" || Value(fields, "refund_no") != r.RefundNo {
		return errAnswer
	}
	if status := Value(fields, "trade_status"); status != "TRADE_REFUND" && status != "TRADE_CLOSED" {
		return errAnswer
	}
	return nil
}

// Notified checks a callback's signature and answers its fields.
func (e EftPay) Notified(body string, room []Field) ([]Field, error) {
	fields, err := Flat(body, room)
	if err != nil {
		return nil, err
	}
	if !e.genuine(fields) {
		return nil, errUnsigned
	}
	return fields, nil
}

// genuine sorts the fields.
func (e EftPay) genuine(fields []Field) bool {
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	var room [1024]byte
	text := append(room[:0], e.Secret...)
	sign, first := "", true
	for _, f := range fields {
		switch {
		case f.Name == "sign":
			sign = f.Value
			continue
		case f.Value == "":
			continue
		case !first:
			text = append(text, '&')
		}
		first = false
		text = append(append(append(text, f.Name...), '='), f.Value...)
	}
	sum := sha256.Sum256(text)
	var printed [2 * sha256.Size]byte
	hex.Encode(printed[:], sum[:])
	return subtle.ConstantTimeCompare(printed[:], []byte(sign)) == 1
}
