package wire

import "errors"

// Request is a refund as it lies on the request topic; amounts are the decimal
// strings of the message.
type Request struct {
	RefundNo, Merchant, OrderNo   string
	Amount, OrderAmount, Currency string
	Method, Wallet, Terminal      string
}

var errRequest = errors.New("wire: a request lacks what it needs")

// ReadRequest decodes a message of the request topic. The strings point into value.
func ReadRequest(value string) (Request, error) {
	var room [16]Field
	fields, err := Flat(value, room[:])
	if err != nil {
		return Request{}, err
	}
	var r Request
	for _, f := range fields {
		switch f.Name {
		case "refund_no":
			r.RefundNo = f.Value
		case "merchant":
			r.Merchant = f.Value
		case "order_no":
			r.OrderNo = f.Value
		case "amount":
			r.Amount = f.Value
		case "order_amount":
			r.OrderAmount = f.Value
		case "currency":
			r.Currency = f.Value
		case "method":
			r.Method = f.Value
		case "wallet":
			r.Wallet = f.Value
		case "terminal":
			r.Terminal = f.Value
		}
	}
	if r.RefundNo == "" || r.Merchant == "" || r.OrderNo == "" || r.Amount == "" || r.OrderAmount == "" {
		return r, errRequest
	}
	return r, nil
}

// Minor is an amount of two decimals, as this benchmark's are, in minor units.
func Minor(amount string) int64 {
	var n int64
	for i := range len(amount) {
		if c := amount[i]; c != '.' {
			n = n*10 + int64(c-'0')
		}
	}
	return n
}
