package ctl

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// notification is the vendor's page "Refund Asynchronous Notification".
var notification = map[string]string{
	"currency": "HKD", "eft_trade_no": "E1", "gmt_payment": "2020-01-20 10:35:34", "notify_type": "trade_status_sync",
	"out_trade_no": "rrn_1686280005985", "refund_no": "R_rrn_1686280005985", "return_amount": "0.29", "time": "20230609110645",
	"total_fee": "0.29", "trade_status": "TRADE_CLOSED", "trade_type": "REFUND", "user_confirm_key": "S0003469", "wallet": "WECHATCN", "tid": "",
}

// signed is a body with the vendor's signature, by the rule of its page.
func signed(t testing.TB, fields map[string]string, secret string, keepEmpty bool) map[string]string {
	t.Helper()
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] != "" || keepEmpty {
			pairs = append(pairs, name+"="+fields[name])
		}
	}
	sum := sha256.Sum256([]byte(secret + strings.Join(pairs, "&")))
	out := maps.Clone(fields)
	out["sign"] = hex.EncodeToString(sum[:])
	return out
}

func file(t testing.TB, name string, v any) string {
	t.Helper()
	text, isText := v.(string)
	if !isText {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func with(fields map[string]string, pairs ...string) map[string]string {
	out := maps.Clone(fields)
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

func TestCallbackVerify(t *testing.T) {
	const secret = "canary-secret-7f3a"
	right := signed(t, notification, secret, false)
	for _, c := range []struct {
		name, body string
		code       int
		says       []string
	}{
		{"right", file(t, "a", right), ExitDone, nil},
		{"rotated", file(t, "a", signed(t, notification, "canary-old-91bc", false)), ExitDone, []string{"verify_secrets[0]: matches"}},
		{"keep_empty", file(t, "a", signed(t, notification, secret, true)), ExitWrong, []string{"sign_empty: keep"}},
		{"field_added", file(t, "a", with(right, "forwarded_by", "proxy")), ExitWrong, []string{"without the field forwarded_by"}},
		{"number_rewritten", file(t, "a", with(right, "return_amount", "0.290")), ExitWrong, nil},
		{"capitals", file(t, "a", with(right, "sign", strings.ToUpper(right["sign"]))), ExitWrong, []string{"lower-case hex"}},
		{"forged", file(t, "a", signed(t, notification, "guess", false)), ExitWrong, []string{"bad_signature"}},
		{"unsigned", file(t, "a", notification), ExitWrong, []string{"unsigned"}},
		{"other_merchant", file(t, "a", signed(t, with(notification, "user_confirm_key", "S0003470"), "canary-other-55aa", false)), ExitWrong, []string{"right for merchant real-hk"}},
		{"sale", file(t, "a", signed(t, with(notification, "trade_type", ""), secret, false)), ExitWrong, []string{"answers 400"}},
		{"twice", file(t, "a", `{"refund_no":"1","refund_no":"2","sign":"x"}`), ExitWrong, []string{"twice"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := down().onTerminal().run(t, "callback", "verify", c.body, "--merchant", "S0003469").want(t, c.code).says(t, c.says...)
			golden(t, "verify_"+c.name+".txt", a.out)
		})
	}
	t.Run("json", func(t *testing.T) {
		a := down().run(t, "callback", "verify", file(t, "a", with(right, "wallet", "")), "-m", "S0003469").want(t, ExitWrong)
		golden(t, "verify.json", a.out)
	})
	t.Run("requests and standard input", func(t *testing.T) {
		body, err := json.Marshal(right)
		if err != nil {
			t.Fatal(err)
		}
		http := "### first\r\nPOST https://us.example/v1/callbacks/S0003469 HTTP/1.1\r\ncontent-type: application/json\r\n\r\n" + string(body) +
			"\r\n\r\n### second\r\nPOST /v1/callbacks/real-hk\r\n\r\n" + string(body) + "\r\n"
		a := down().onTerminal().reading(http).run(t, "callback", "verify", "-").want(t, ExitWrong)
		a.says(t, "merchant  S0003469 (eftpay)", "merchant  real-hk (eftpay)", "right for merchant S0003469")
	})
}

func TestCallbackVerifyBluePay(t *testing.T) {
	printed := down().run(t, "callback", "trigger", "bluepay.success", "-m", "shop-th", "--refund", "R1", "--amount", "100.00", "--order", "CU5/1&2",
		"--gateway-key", "testdata/gateway.pem", "--print").want(t, ExitDone).out
	var line recorded
	if err := json.Unmarshal([]byte(printed), &line); err != nil {
		t.Fatal(err)
	}
	// An order that BluePay could not have: its signs are those that programs between rewrite.
	var envelope map[string]string
	if err := json.Unmarshal([]byte(line.Body), &envelope); err != nil {
		t.Fatal(err)
	}
	change := func(name, value string) map[string]string { return with(envelope, name, value) }
	for _, c := range []struct {
		name string
		body any
		says []string
	}{
		{"slashes", change("param", strings.ReplaceAll(envelope["param"], "/", `\/`)), []string{`with / for \/`}},
		{"html", change("param", strings.ReplaceAll(envelope["param"], "&", `\u0026`)), []string{"with &, < and > as they are"}},
		{"blanks", change("param", strings.ReplaceAll(envelope["param"], ",", ", ")), []string{"without blanks"}},
		{"url-safe sign", change("sign", strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(envelope["sign"])), []string{"plain Base64"}},
		{"object", map[string]any{"sign": envelope["sign"], "param": json.RawMessage(envelope["param"])}, []string{"param is no string", "as an object"}},
		{"other amount", change("param", strings.ReplaceAll(envelope["param"], "10000", "20000")), []string{"bad_signature", "gateway_public_key_file: does not match"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			down().onTerminal().run(t, "callback", "verify", file(t, "a", c.body), "-m", "shop-th").want(t, ExitWrong).says(t, c.says...)
		})
	}
}

func TestCallbackUsage(t *testing.T) {
	body := file(t, "a", signed(t, notification, "canary-secret-7f3a", false))
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"callback", "verify"}, "FILE is missing"},
		{[]string{"callback", "verify", body}, "give --merchant"},
		{[]string{"callback", "verify", body, "-m", "nobody"}, `merchant "nobody" is not in the configuration`},
		{[]string{"callback", "verify", "no-such-file", "-m", "S0003469"}, "no such file"},
		{[]string{"callback", "verify", file(t, "e", " "), "-m", "S0003469"}, "is empty"},
		{[]string{"callback", "trigger", "eftpay.success", "-m", "shop-th", "--refund", "1", "--amount", "1"}, "bluepay.success, bluepay.failed, bluepay.cancel"},
		{[]string{"callback", "trigger", "bluepay.success", "-m", "shop-th", "--refund", "1", "--amount", "1", "--order", "1"}, "--gateway-key FILE"},
		{[]string{"callback", "trigger", "bluepay.success", "-m", "shop-th", "--refund", "1", "--amount", "1", "--order", "1", "--gateway-key", "testdata/merchant.pem"}, "not the private half"},
		{[]string{"callback", "trigger", "eftpay.success", "-m", "real-hk", "--refund", "1", "--amount", "1", "--order", "1"}, "not a test merchant"},
		{[]string{"callback", "trigger", "eftpay.success", "-m", "real-hk", "--refund", "1", "--amount", "1", "--order", "1", "--to", "http://127.0.0.1:9"}, "not a test merchant"},
		{[]string{"callback", "trigger", "eftpay.success", "-m", "S0003469", "--refund", "1", "--amount", "1.234", "--order", "1"}, "--amount"},
		{[]string{"callback", "replay", body, "-m", "real-hk"}, "not a test merchant"},
		{[]string{"callback", "replay", body, "-m", "S0003469", "--dup", "0"}, "at least 1"},
		{[]string{"callback", "explain"}, `unknown command "explain"`},
		{[]string{"callback", "verify", body, "-m", "S0003469", "-o", "yaml"}, "want table, wide or json"},
	} {
		down().run(t, c.args...).want(t, ExitUsage).says(t, c.says)
	}
	down().run(t, "callback", "trigger", "eftpay.success", "-m", "S0003469", "--refund", "1", "--timeout", "300ms").want(t, ExitUnreachable).says(t, "redis")
	down().run(t, "callback", "trigger", "eftpay.success", "-m", "S0003469", "--refund", "1", "--amount", "1", "--order", "1").want(t, ExitWrong).says(t, "no answer")
}
