package dedupe

import (
	"encoding/binary"
	"strings"

	"github.com/refundworker/refundworker/internal/refund"
)

// A stored text is a number and what it stands for; the number's lowest two bits
// say how. Names that recur and the long numbers of gateways are a third of a
// record otherwise.
const (
	textPlain  = iota // the number of bytes, which follow
	textWord          // a place in words
	textDigits        // the number of decimal digits, which follow, two a byte
	textKinds  = 4
)

// words recur in what is stored. Their places are stored: append, never reorder.
var words = [...]string{
	"eftpay", "bluepay", "WeChat", "Alipay", "WECHATCN", "WECHATHK", "ALIPAYCN", "ALIPAYHK",
	"TRADE_REFUND", "TRADE_CLOSED", "TRADE_PROCESSING", "APPLY_SUCCESS", "TRADE_FAIL", "TRADE_FAILED",
	"COMPLETED", "COMPLETE", "PENDING", "FAILED", "SUCCESS", "PROCESSING", "FAIL",
	refund.CodeOverOrderTotal, refund.CodeTooManyRefunds, refund.CodeUnsupported, refund.CodeFieldLimit, refund.CodeGatewayDown,
	refund.CodeRateLimited, refund.CodeOnHold, refund.CodeMisconfigured, refund.CodeWithdrawn,
}

var placeOf = func() map[string]uint64 {
	places := make(map[string]uint64, len(words))
	for i, word := range words {
		places[word] = uint64(i)
	}
	return places
}()

func appendText(b []byte, s string) []byte {
	if place, ok := placeOf[s]; ok {
		return binary.AppendUvarint(b, place*textKinds+textWord)
	}
	if len(s) < 2 || strings.Trim(s, "0123456789") != "" {
		return append(binary.AppendUvarint(b, uint64(len(s))*textKinds+textPlain), s...)
	}
	b = binary.AppendUvarint(b, uint64(len(s))*textKinds+textDigits)
	for i := 0; i < len(s); i += 2 {
		pair := (s[i] - '0') << 4
		if i+1 < len(s) {
			pair |= s[i+1] - '0'
		}
		b = append(b, pair)
	}
	return b
}

func (p *packed) text() string {
	head := p.uvarint()
	n := head / textKinds
	switch head % textKinds {
	case textPlain:
		return p.bytes(n)
	case textWord:
		if n < uint64(len(words)) {
			return words[n]
		}
	case textDigits:
		if pairs := p.bytes(n/2 + n%2); n > 1 && !p.bad {
			return p.digits(pairs, int(n))
		}
	}
	p.bad, p.rest = true, ""
	return ""
}

func (p *packed) digits(pairs string, n int) string {
	s := make([]byte, n)
	for i := range s {
		digit := pairs[i/2] >> 4
		if i%2 == 1 {
			digit = pairs[i/2] & 15
		}
		p.bad = p.bad || digit > 9
		s[i] = '0' + digit
	}
	return string(s)
}
