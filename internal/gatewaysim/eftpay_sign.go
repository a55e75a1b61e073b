package gatewaysim

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"
)

// eftpaySign makes eftPay's signature: lowercase hex of SHA-256 over the
// secret and, joined by "&", every field but sign as key=value, sorted by
// key, values raw. Empty values are dropped unless keepEmpty.
func eftpaySign(secret string, fields map[string]value, keepEmpty bool) string {
	keys := make([]string, 0, len(fields))
	for k, v := range fields {
		if k != "sign" && (keepEmpty || v.text != "") {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var b strings.Builder
	b.WriteString(secret)
	for i, k := range keys {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(k + "=" + fields[k].text)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

// eftpayVerify tells whether the fields carry their own signature.
func eftpayVerify(secret string, fields map[string]value, keepEmpty bool) bool {
	sign := fields["sign"]
	return sign.kind == kindString &&
		subtle.ConstantTimeCompare([]byte(sign.text), []byte(eftpaySign(secret, fields, keepEmpty))) == 1
}

// spoil changes one character of a signature.
func spoil(sign string) string {
	if sign == "" {
		return "0"
	}
	c := byte('0')
	if sign[0] == c {
		c = '1'
	}
	return string(c) + sign[1:]
}
