package ctl

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/gatewaysim"
)

func TestCallbackTriggerAndReplay(t *testing.T) {
	no := numbers(t)
	s := theSystem(t)
	if err := s.Gateways.SetScript(no("trigger-1"), gatewaysim.Script{ // the gateway never says how it ended
		Calls: []gatewaysim.Step{{Result: gatewaysim.Process}}, Notifications: []gatewaysim.Notification{{Skip: true}},
	}); err != nil {
		t.Fatal(err)
	}
	up(t).reading(lines(weChat(no("trigger-1"), "flow", "apply"))).run(t, "submit", "-").want(t, ExitDone)
	up(t).run(t, "watch", "--from", "beginning", "--refund", no("trigger-1"), "-n", "1").want(t, ExitDone)

	a := up(t).onTerminal().run(t, "callback", "trigger", "eftpay.success", "--refund", no("trigger-1"), "-m", "S0003469").want(t, ExitDone)
	a.says(t, "200 acknowledged: the event is durable", `"return_code":"success"`)
	up(t).run(t, "watch", "--from", "beginning", "--refund", no("trigger-1"), "--status", "SUCCEEDED", "-n", "1").want(t, ExitDone).says(t, `"source":"callback"`)

	var recordings strings.Builder
	for _, event := range []string{"eftpay.success", "eftpay.failed"} {
		recordings.WriteString(up(t).run(t, "callback", "trigger", event, "--refund", no("trigger-1"), "-m", "S0003469", "--print").want(t, ExitDone).out)
	}
	name := file(t, "recorded.jsonl", recordings.String())
	a = up(t).onTerminal().run(t, "callback", "replay", name, "--dup", "3", "--shuffle", "--seed", "7", "--parallel", "2").want(t, ExitDone)
	golden(t, "replay.txt", a.out+a.err)

	// One whose signature is wrong among them.
	var one recorded
	if err := json.Unmarshal([]byte(strings.Split(recordings.String(), "\n")[0]), &one); err != nil {
		t.Fatal(err)
	}
	one.Body = strings.Replace(one.Body, "0.01", "0.02", 1)
	up(t).reading(recordings.String()+string(mustJSON(t, one))).run(t, "callback", "replay", "-").want(t, ExitWrong).says(t, `"http_status":401`)
}

func TestCallbackTriggerBluePay(t *testing.T) {
	fresh := numbers(t)
	no := func(name string) string { return strings.ReplaceAll(fresh(name), "-", "") } // BluePay's are letters and digits
	s := theSystem(t)
	if err := s.Gateways.ScriptNotifications(no("trigger2"), gatewaysim.Notification{Skip: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.Gateways.Script(no("trigger2"), gatewaysim.Step{Result: gatewaysim.Process}); err != nil {
		t.Fatal(err)
	}
	up(t).reading(lines(map[string]string{"refund_no": no("trigger2"), "merchant": "shop-th", "transaction_id": no("CU7"), "amount": "5.00", "order_amount": "10.00", "currency": "THB"})).
		run(t, "submit", "-").want(t, ExitDone)
	up(t).run(t, "watch", "--from", "beginning", "--refund", no("trigger2"), "-n", "1").want(t, ExitDone)
	key := filepath.Join(filepath.Dir(s.ConfigFile), "gateway.pem")
	up(t).run(t, "callback", "trigger", "bluepay.cancel", "--refund", no("trigger2"), "-m", "shop-th", "--gateway-key", key).want(t, ExitDone).says(t, `"http_status":200`)
	up(t).run(t, "watch", "--from", "beginning", "--refund", no("trigger2"), "--status", "FAILED,SUCCEEDED", "-n", "1").want(t, ExitDone).says(t, "FAILED")
	up(t).run(t, "callback", "trigger", "bluepay.cancel", "--refund", "nobody", "-m", "shop-th", "--gateway-key", key).want(t, ExitUsage).says(t, "is not known")
}

func TestGatewayPing(t *testing.T) {
	a := up(t).onTerminal().run(t, "gateway", "ping", "S0003469", "shop-th").want(t, ExitDone)
	golden(t, "ping.txt", a.out)
	a = down().onTerminal().run(t, "gateway", "ping", "S0003469", "shop-th").want(t, ExitWrong)
	golden(t, "ping_down.txt", a.out)
	down().run(t, "gateway", "ping", "nobody").want(t, ExitUsage)
	down().run(t, "gateway", "ping").want(t, ExitUsage)

	wrong := changedConfig(t, "secret: sandbox-secret", "secret: canary-secret-7f3a")
	a = wrong.run(t, "gateway", "ping", "S0003469").want(t, ExitWrong)
	a.says(t, "refuses the question", "look at user_confirm_key, secret")
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// changedConfig is the running system with one thing changed in its configuration.
func changedConfig(t testing.TB, old, with string) world {
	t.Helper()
	name := theSystem(t).ConfigFile
	text := readFile(t, name)
	if !strings.Contains(text, old) {
		t.Fatalf("%s does not hold %q", name, old)
	}
	return world{config: absolute(t, name, strings.Replace(text, old, with, 1))}
}

// absolute writes a configuration elsewhere, its key files named in full.
func absolute(t testing.TB, name, text string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "changed.yaml", strings.NewReplacer("merchant.pem", filepath.Join(dir, "merchant.pem"), "gateway.pub.pem", filepath.Join(dir, "gateway.pub.pem")).Replace(text))
}

// What is recorded is what was signed: nothing of it is masked.
func TestARecordedCallbackIsWhole(t *testing.T) {
	a := up(t).run(t, "callback", "trigger", "eftpay.success", "--refund", "r", "-m", "S0003469", "--amount", "1.00",
		"--order", "4111111111111111", "--print").want(t, ExitDone)
	a.says(t, "4111111111111111")
}
