package eftpay

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
)

// ExplainCallback says why ParseCallback takes a notification or does not: the
// text that is signed (without the secret), which secret matched, and, where none
// did, which single change would make the signature right. For people; the bridge
// answers none of it.
func (g *Gateway) ExplainCallback(body []byte) account.Explanation {
	x := account.Explanation{
		Rule: "sign = lower-case hex of SHA-256(secret + signed), every field but sign, sorted by name, as name=value joined by &; empty values " +
			map[bool]string{true: "stay in (sign_empty: keep)", false: "are left out (sign_empty: drop)"}[g.keys.keepEmpty],
	}
	x.Notice, x.Err = g.ParseCallback(body)
	f, err := parseFlat(body)
	if err != nil {
		return x
	}
	x.Signed, x.Sign = g.keys.canonical(f), f["sign"]
	for _, name := range sortedNames(nil, f) {
		switch {
		case name != "sign" && (f[name] != "" || g.keys.keepEmpty):
			x.Fields = append(x.Fields, name)
		case name == "sign":
			x.LeftOut = append(x.LeftOut, "sign")
		default:
			x.LeftOut = append(x.LeftOut, name+" (empty)")
		}
	}
	for i := range g.keys.accepted {
		name := "secret"
		if i > 0 {
			name = fmt.Sprintf("verify_secrets[%d]", i-1)
		}
		x.Keys = append(x.Keys, account.KeyTried{Name: name, Matched: g.keys.matches(i, f["sign"], x.Signed)})
	}
	if g.keys.verify(f) == forged {
		x.Hints = g.keys.hints(f)
	}
	return x
}

// matches says whether secret i signed the text.
func (k *keyring) matches(i int, sign, signed string) bool {
	return subtle.ConstantTimeCompare([]byte(sign), []byte(signature(k.accepted[i], signed))) == 1
}

// hints are the single changes by which the signature would be right.
func (k *keyring) hints(f fields) (hints []string) {
	try := func(sign, signed, format string, args ...any) {
		for i := range k.accepted {
			if k.matches(i, sign, signed) {
				hints = append(hints, fmt.Sprintf(format, args...))
				return
			}
		}
	}
	sign, signed := f["sign"], k.canonical(f)
	try(strings.ToLower(strings.TrimSpace(sign)), signed, "right but for capital letters or spaces in sign: it is lower-case hex")
	other := *k
	other.keepEmpty = !k.keepEmpty
	if word := map[bool]string{true: keepEmpty, false: dropEmpty}[other.keepEmpty]; other.canonical(f) != signed {
		try(sign, other.canonical(f), "right with sign_empty: %s: set that", word)
	}
	for _, name := range sortedNames(nil, f) {
		if name == "sign" || f[name] == "" {
			continue
		}
		value := f[name]
		delete(f, name)
		try(sign, k.canonical(f), "right without the field %s: it was added on the way, after signing", name)
		for _, print := range printings(value) {
			f[name] = print
			try(sign, k.canonical(f), "right with %s=%s: the value was written anew on the way, as %s", name, print, value)
		}
		f[name] = value
	}
	for i, secret := range k.accepted { // what integrators take the rule for
		name := "secret"
		if i > 0 {
			name = fmt.Sprintf("verify_secrets[%d]", i-1)
		}
		if sign == signature("", signed+secret) || sign == signature("", signed+"&key="+secret) {
			hints = append(hints, name+" stands behind the text; it belongs before it, without a separator")
		}
	}
	return hints
}

// printings are other ways to write a value, such as programs between gateway and
// bridge make of it.
func printings(value string) (others []string) {
	add := func(s string) {
		if s != value && s != "" && !slices.Contains(others, s) {
			others = append(others, s)
		}
	}
	add(strings.TrimSpace(value))
	whole, fraction, _ := strings.Cut(value, ".")
	if short := strings.TrimRight(fraction, "0"); isDigits(whole) && (fraction == "" || isDigits(fraction)) && len(short) <= 2 {
		for decimals := len(short); decimals <= 2; decimals++ {
			add(strings.TrimSuffix(whole+"."+(short + "00")[:decimals], "."))
		}
	}
	if escaped, err := json.Marshal(value); err == nil { // HTML-safe JSON that was taken for the text itself
		add(strings.Trim(string(escaped), `"`))
	}
	return others
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// WriteCallback writes a refund notification as the vendor's page "Refund
// Asynchronous Notification" has it, signed with the merchant's secret: for
// rehearsals, where no gateway sends one. Event is success or failed.
func (g *Gateway) WriteCallback(t account.Told) ([]byte, error) {
	r := t.Refund.Request
	amount, ok := g.printed(r.Amount)
	total, all := g.printed(r.OrderAmount)
	if !ok || !all || r.OrderNo == "" {
		return nil, fmt.Errorf("refund %s lacks what eftPay's notification tells: order_no, amount and order_amount", r.RefundNo)
	}
	status := "TRADE_FAIL"
	switch {
	case t.Event == "success" && r.Amount == r.OrderAmount:
		status = "TRADE_CLOSED"
	case t.Event == "success":
		status = "TRADE_REFUND"
	case t.Event != "failed":
		return nil, fmt.Errorf("eftPay has no event %q: success or failed", t.Event)
	}
	now := time.Now()
	f := fields{
		"notify_type": "trade_status_sync", "trade_type": "REFUND", "user_confirm_key": g.settings.UserConfirmKey,
		"out_trade_no": r.OrderNo, "refund_no": r.RefundNo, "trade_status": status,
		"return_amount": amount, "total_fee": total, "currency": r.Amount.Currency.Code, "wallet": r.Wallet,
		"gmt_payment": now.In(zone).Format("2006-01-02 15:04:05"),
	}
	f.tell("tid", r.Terminal)
	f.tell("transaction_id", first(r.TransactionID, t.Refund.Last.TransactionID))
	return g.keys.sign(f, now)
}
