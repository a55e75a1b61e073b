package bluepay

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/refundworker/refundworker/internal/providers/account"
)

// ExplainCallback says why ParseCallback takes a notification or does not: the
// text that is signed, which key matched, and, where none did, which single change
// would make the signature right. For people; the bridge answers none of it.
func (g *Gateway) ExplainCallback(body []byte) account.Explanation {
	x := account.Explanation{
		Rule: "sign = Base64 of RSA PKCS#1 v1.5 with SHA-256 over the string param exactly as it came, by BluePay's private key",
	}
	x.Notice, x.Err = g.ParseCallback(body)
	envelope, err := strictObject(body)
	if err != nil {
		return x
	}
	_ = json.Unmarshal(envelope["param"], &x.Signed) // not a string: nothing that could be signed
	_ = json.Unmarshal(envelope["sign"], &x.Sign)
	if param, err := strictObject([]byte(x.Signed)); err == nil {
		for name := range param {
			x.Fields = append(x.Fields, name)
		}
		slices.Sort(x.Fields)
	}
	for name := range envelope {
		if name != "param" {
			x.LeftOut = append(x.LeftOut, name)
		}
	}
	slices.Sort(x.LeftOut)
	right := false
	for i, key := range g.verify {
		matched := matches(key, x.Signed, x.Sign)
		x.Keys = append(x.Keys, account.KeyTried{Name: keyName(i), Matched: matched})
		right = right || matched
	}
	if !right && x.Sign != "" {
		x.Hints = g.hints(envelope, x.Signed, x.Sign)
	}
	return x
}

func keyName(i int) string {
	if i == 0 {
		return "gateway_public_key_file"
	}
	return fmt.Sprintf("verify_key_files[%d]", i-1)
}

func matches(key *rsa.PublicKey, text, sign string) bool {
	raw, err := base64.StdEncoding.DecodeString(sign)
	if err != nil {
		return false
	}
	digest := sha256.Sum256([]byte(text))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], raw) == nil
}

// hints are the single changes by which the signature would be right.
func (g *Gateway) hints(envelope fields, text, sign string) (hints []string) {
	try := func(text, sign, words string) {
		for i, key := range g.verify {
			if matches(key, text, sign) {
				hints = append(hints, words+" ("+keyName(i)+")")
				return
			}
		}
	}
	standard := strings.NewReplacer("-", "+", "_", "/", " ", "+", "\n", "", "\r", "").Replace(strings.TrimSpace(sign))
	standard = strings.TrimRight(standard, "=") + strings.Repeat("=", (4-len(strings.TrimRight(standard, "="))%4)%4)
	if standard != sign {
		try(text, standard, "right once sign is plain Base64 again: it was changed on the way (URL-safe letters, blanks for +, or missing =)")
	}
	if raw := envelope["param"]; len(raw) > 0 && raw[0] == '{' {
		const words = "right over param as an object: it was unpacked on the way, and must stay the string that it was"
		try(string(raw), sign, words)
		for _, written := range rewritten(string(raw)) {
			try(written.text, sign, words)
		}
	}
	for _, written := range rewritten(text) {
		try(written.text, sign, "right over param "+written.how+": it was written anew on the way")
	}
	if matches(&g.key.PublicKey, text, sign) {
		hints = append(hints, "signed by private_key_file, which is ours: BluePay signs with its own key")
	}
	if raw, err := base64.StdEncoding.DecodeString(sign); err != nil {
		hints = append(hints, "sign is no Base64")
	} else if !slices.ContainsFunc(g.verify, func(k *rsa.PublicKey) bool { return k.Size() == len(raw) }) {
		hints = append(hints, fmt.Sprintf("sign has %d bytes, which no key given makes: it is of another key", len(raw)))
	}
	return hints
}

type written struct{ text, how string }

// rewritten are other ways to write the same JSON, such as programs between
// gateway and bridge make of it.
func rewritten(text string) (all []written) {
	add := func(how, s string) {
		if s != text && s != "" {
			all = append(all, written{s, how})
		}
	}
	add("without the blanks around it", strings.TrimSpace(text))
	add(`with \/ for /`, strings.ReplaceAll(text, "/", `\/`))
	add(`with / for \/`, strings.ReplaceAll(text, `\/`, "/"))
	add("with HTML's signs as \\u0026, \\u003c, \\u003e", strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`).Replace(text))
	add("with &, < and > as they are", strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(text))
	add("with line ends of one character", strings.ReplaceAll(text, "\r\n", "\n"))
	var value any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&value) == nil {
		if compact, err := plainJSON(value); err == nil {
			add("with its keys sorted and without blanks", string(compact))
		}
	}
	return all
}

// WriteCallback writes a refund notification (vendor page 5.3) signed by key,
// which is the gateway's private key and so only to be had where the gateway is
// simulated: for rehearsals. keyText is PEM or bare Base64; its public half must be
// one that the merchant's settings accept. Event is success, failed or cancel.
func (g *Gateway) WriteCallback(t account.Told, keyText []byte) ([]byte, error) {
	parsed, err := parseKey(keyText)
	if err != nil {
		return nil, fmt.Errorf("the key file %w", err)
	}
	key, private := parsed.(*rsa.PrivateKey)
	if !private {
		return nil, fmt.Errorf("the key file %w", errPublicOnly)
	}
	if !slices.ContainsFunc(g.verify, func(k *rsa.PublicKey) bool { return k.Equal(&key.PublicKey) }) {
		return nil, fmt.Errorf("the key is not the private half of gateway_public_key_file or of one of verify_key_files: no notification signed by it would count")
	}
	r := t.Refund.Request
	amount, ok := g.units(r.Amount)
	if !ok || r.TransactionID == "" {
		return nil, fmt.Errorf("refund %s lacks what BluePay's notification tells: transaction_id and amount", r.RefundNo)
	}
	status, event, err := toldStatus(t.Event)
	if err != nil {
		return nil, err
	}
	id := t.RefundID
	if id == "" {
		id = t.Refund.Last.ProviderRefundID
	}
	if id == "" {
		id = "0"
	}
	now := g.now().In(g.zone).Format("2006-01-02 15:04:05")
	param := map[string]any{
		"eventName": event, "refundStatus": status, "mchRefundOrderId": r.RefundNo, "originalTransactionId": r.TransactionID,
		"refundTransactionId": id, "refundAmount": amount, "refundCreateTime": now, "refundReturnTime": now,
	}
	text, err := plainJSON(param)
	if err != nil {
		return nil, err
	}
	sign, err := signature(key, text)
	if err != nil {
		return nil, err
	}
	return plainJSON(map[string]string{"sign": sign, "param": string(text)})
}

func toldStatus(event string) (status, name string, err error) {
	switch event {
	case "success":
		return "COMPLETE", eventSuccess, nil
	case "failed":
		return "FAILED", eventFailed, nil
	case "cancel":
		return "CANCELLED", eventCancel, nil
	}
	return "", "", fmt.Errorf("BluePay has no event %q: success, failed or cancel", event)
}
