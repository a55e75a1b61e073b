package ctl

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/refund"
)

func TestHoldWithdrawRelease(t *testing.T) {
	t.Parallel()
	_, w := ownSystem(t)
	w.onTerminal().run(t, "hold", "S0003469", "--reason", "the account is being moved").want(t, ExitDone).says(t, "S0003469", "tester", "the account is being moved")
	w.run(t, "holds").want(t, ExitDone).says(t, `"merchant":"S0003469"`)
	// Within a second: a request that comes then waits.
	until(t, func() bool {
		no := "hold-" + time.Now().Format("150405.000000")
		w.reading(lines(weChat(no))).run(t, "submit", "-").want(t, ExitDone)
		a := w.run(t, "watch", "--from", "beginning", "--refund", no, "--status", "WAITING,SUCCEEDED", "-n", "1").want(t, ExitDone)
		if strings.Contains(a.out, `"on_hold"`) {
			w.onTerminal().run(t, "show", no).want(t, ExitDone).says(t, "an operator holds the merchant (the account is being moved); refundctl release")
			w.onTerminal().run(t, "withdraw", no, "-m", "S0003469", "--reason", "customer keeps the goods").want(t, ExitDone).says(t, "REJECTED", "withdrawn")
			w.run(t, "withdraw", no, "-m", "S0003469", "--reason", "again").want(t, ExitDone).says(t, "it was withdrawn before")
			w.run(t, "show", no).want(t, ExitDone).says(t, `"code":"withdrawn"`, `"source":"operator"`, `"what":"withdraw"`)
			return true
		}
		return false
	})
	w.run(t, "release", "S0003469", "--reason", "the account was moved").want(t, ExitDone)
	if a := w.run(t, "holds").want(t, ExitDone); a.out != "" {
		t.Errorf("still held: %s", a.out)
	}
	until(t, func() bool {
		no := "released-" + time.Now().Format("150405.000000")
		return w.reading(lines(weChat(no))).run(t, "submit", "-", "--wait", "--wait-for", "500ms").code == ExitDone
	})
	w.run(t, "audit").want(t, ExitDone)
	w.run(t, "trail", "--what", "hold").want(t, ExitDone).says(t, `"why":"the account is being moved"`)
}

func TestWithdrawWhatNobodyHasReadAndWhatWasSent(t *testing.T) {
	no := numbers(t)
	_, w := emptyKafka(t) // nobody reads there
	w.reading(lines(weChat(no("withdraw-unread")))).run(t, "submit", "-").want(t, ExitDone)
	w.reading(lines(weChat(no("withdraw-unread"), "amount", "0.02"))).run(t, "submit", "-").want(t, ExitDone) // a dead letter, once it is read
	w.run(t, "withdraw", no("withdraw-unread"), "-m", "S0003469", "--reason", "x").want(t, ExitDone).says(t, `"before":"not begun"`, `"status":"REJECTED"`)
	w.run(t, "watch", "--from", "beginning", "--refund", no("withdraw-unread"), "-n", "1").want(t, ExitDone).says(t, `"amount":"0.01"`)
	w.run(t, "withdraw", no("nobody"), "-m", "S0003469", "--reason", "x").want(t, ExitWrong).says(t, "neither a record nor a request")

	up(t).reading(lines(weChat(no("withdraw-sent")))).run(t, "submit", "-", "--wait").want(t, ExitDone)
	up(t).run(t, "withdraw", no("withdraw-sent"), "-m", "S0003469", "--reason", "x").want(t, ExitWrong).says(t, "it has ended as SUCCEEDED", `"changed":false`)
}

func TestResolve(t *testing.T) {
	no := numbers(t)
	if err := theSystem(t).Gateways.Script(no("resolve"), gatewaysim.TimeOutBefore()); err != nil { // the gateway never has it, and cannot prove that
		t.Fatal(err)
	}
	up(t).reading(lines(weChat(no("resolve")))).run(t, "submit", "-").want(t, ExitDone)
	up(t).run(t, "watch", "--from", "beginning", "--refund", no("resolve"), "--status", "UNKNOWN", "-n", "1").want(t, ExitDone)
	hasty := changedConfig(t, "resend_after: 25s", "resend_after: 1s") // not the worker's: the test does not wait so long
	up(t).run(t, "resolve", no("resolve"), "-m", "S0003469", "--as", "failed", "--evidence", "portal", "--yes").want(t, ExitWrong)
	resolve := func(args ...string) answer {
		return hasty.run(t, append([]string{"resolve", no("resolve"), "-m", "S0003469"}, args...)...)
	}
	until(t, func() bool {
		return resolve("--as", "failed", "--evidence", "the gateway's portal has none", "--yes").code == ExitDone
	})
	up(t).run(t, "show", no("resolve")).want(t, ExitDone).says(t, `"status":"FAILED"`, `"source":"operator"`, "the gateway's portal has none")

	resolve("--as", "succeeded", "--evidence", "settlement", "--yes").want(t, ExitWrong).says(t, "--correct replaces that openly")
	resolve("--as", "succeeded", "--evidence", "settlement", "--correct").want(t, ExitDone).says(t, "would become SUCCEEDED; --yes does it")
	resolve("--as", "succeeded", "--evidence", "settlement, line 17", "--correct", "--gateway-refund-id", "G1", "--yes").want(t, ExitDone)
	up(t).run(t, "show", no("resolve")).want(t, ExitDone).says(t, `"correction":true`, `"provider_refund_id":"G1"`)
	resolve("--as", "succeeded", "--evidence", "settlement", "--yes").want(t, ExitDone).says(t, `"changed":false`)
	up(t).run(t, "resolve", no("nobody"), "-m", "S0003469", "--as", "failed", "--evidence", "x").want(t, ExitWrong).says(t, "is not known")
}

// The gateway is asked first, and contradicted only by force.
func TestResolveAsksTheGateway(t *testing.T) {
	no := numbers(t)
	if err := theSystem(t).Gateways.Script(no("declined"), gatewaysim.Step{Result: gatewaysim.Decline}); err != nil {
		t.Fatal(err)
	}
	if err := theSystem(t).Gateways.Script(no("stuck"), gatewaysim.Step{Result: gatewaysim.Process}); err != nil {
		t.Fatal(err)
	}
	up(t).reading(lines(weChat(no("declined")), weChat(no("paid")))).run(t, "submit", "-", "--wait").want(t, ExitWrong)
	up(t).reading(lines(weChat(no("stuck"), "flow", "apply"))).run(t, "submit", "-").want(t, ExitDone)
	up(t).run(t, "watch", "--from", "beginning", "--refund", no("stuck"), "--status", "PENDING", "-n", "1").want(t, ExitDone)
	hasty := changedConfig(t, "resend_after: 25s", "resend_after: 100ms")
	resolve := func(name, as string, more ...string) answer {
		return hasty.run(t, append([]string{"resolve", no(name), "-m", "S0003469", "--as", as, "--evidence", "portal"}, more...)...)
	}
	resolve("declined", "succeeded", "--correct").want(t, ExitWrong).says(t, "the gateway says that it failed", "--force does it all the same")
	until(t, func() bool { // until its call cannot land any more
		return strings.Contains(resolve("paid", "failed", "--correct", "--yes").want(t, ExitWrong).err, "the gateway says that it succeeded")
	})
	resolve("paid", "succeeded").want(t, ExitDone).says(t, `"gateway":"the gateway says that it succeeded`, "nothing would change")
	resolve("stuck", "succeeded", "--yes").want(t, ExitWrong).says(t, "it is PENDING")
	resolve("stuck", "succeeded", "--force").want(t, ExitDone).says(t, "would become SUCCEEDED", "the gateway has it and has not ended it")
	resolve("declined", "succeeded", "--correct", "--force", "--yes").want(t, ExitDone).says(t, `"status":"SUCCEEDED"`)
	up(t).run(t, "show", no("declined")).want(t, ExitDone).says(t, "portal; forced, although the gateway says that it failed", `"correction":true`)
	resolve("declined", "failed", "--correct", "--yes").want(t, ExitDone).says(t, `"status":"FAILED"`, "the gateway says that it failed")
}

// What the gateway's word is to an operator's.
func TestContradictions(t *testing.T) {
	for class, against := range map[refund.Class]struct{ succeeded, failed bool }{
		refund.Succeeded: {false, true}, refund.Declined: {true, false}, refund.NotFound: {true, false},
		refund.Pending: {true, true}, refund.Mismatch: {true, true}, refund.Unknown: {}, refund.Misconfigured: {},
	} {
		told := gatewayTold{Outcome: refund.Outcome{Class: class}}
		if told.contradicts(refund.Succeeded) != against.succeeded || told.contradicts(refund.Declined) != against.failed {
			t.Errorf("%s: %v, %v, want %+v", class, told.contradicts(refund.Succeeded), told.contradicts(refund.Declined), against)
		}
	}
}

// What may be said of which record.
func TestResolveIsRefusedWhileACallMayLand(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name     string
		status   refund.Status
		lease    time.Duration // from now
		callEnd  time.Duration
		as       refund.Class
		correct  bool
		refusing string
	}{
		{"a call runs", refund.StatusUnknown, time.Second, 0, refund.Declined, false, "under way"},
		{"a call runs, money moved", refund.StatusUnknown, time.Second, 0, refund.Succeeded, false, ""},
		{"to be reviewed", refund.StatusReview, -time.Second, -time.Hour, refund.Declined, false, ""},
		{"with the gateway", refund.StatusPending, -time.Second, -time.Hour, refund.Succeeded, false, "--force"},
		{"not sent", refund.StatusWaiting, -time.Second, 0, refund.Declined, false, "withdraw"},
		{"may land", refund.StatusUnknown, -time.Second, -30 * time.Second, refund.Declined, false, "may still land for another 30s"},
		{"cannot land", refund.StatusUnknown, -time.Second, -61 * time.Second, refund.Declined, false, ""},
		{"final, corrected, but a call may land", refund.StatusSucceeded, -time.Second, -30 * time.Second, refund.Declined, true, "may still land"},
		{"final", refund.StatusSucceeded, -time.Second, -time.Hour, refund.Declined, false, "is final"},
		{"final, corrected", refund.StatusSucceeded, -time.Second, -time.Hour, refund.Declined, true, ""},
		{"a query of a final one runs", refund.StatusSucceeded, time.Second, -time.Hour, refund.Declined, true, "under way"},
		{"rejected stays", refund.StatusRejected, -time.Second, -time.Hour, refund.Declined, false, ""},
		{"rejected, but money moved", refund.StatusRejected, -time.Second, -time.Hour, refund.Succeeded, false, "is final"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := refund.Record{Version: 1, StoreTime: now, LeaseEnd: now.Add(c.lease), CallEnd: now.Add(c.callEnd), Last: refund.Event{Status: c.status}}
			_, err := resolving{correct: c.correct, evidence: "x"}.word(c.as, time.Minute)(rec)
			if c.refusing == "" && err != nil || c.refusing != "" && (err == nil || !strings.Contains(err.Error(), c.refusing)) {
				t.Errorf("%v, want %q", err, c.refusing)
			}
		})
	}
}

func TestRebuild(t *testing.T) {
	t.Parallel() // the quiet time is real
	s, w := ownSystem(t)
	w.reading(lines(weChat("rebuild-1"))).run(t, "submit", "-", "--wait").want(t, ExitDone)
	w.run(t, "rebuild", "S0003469", "--reason", "drill").want(t, ExitDone).says(t, "--yes does it")
	w.run(t, "rebuild", "S0003469", "--reason", "drill", "--yes").want(t, ExitDone).says(t, "merchant S0003469 is open again, epoch 1")
	w.reading(lines(weChat("rebuild-1"), weChat("rebuild-2"))).run(t, "submit", "-", "--wait").want(t, ExitDone)
	var v view
	if err := json.Unmarshal([]byte(w.run(t, "show", "rebuild-1").want(t, ExitDone).out), &v); err != nil || v.Record == nil || v.Record.Status != "SUCCEEDED" || v.Record.Sequence != 2 {
		t.Errorf("%v: %+v", err, v.Record)
	}
	if n := len(s.Gateways.Ledger()); n != 2 {
		t.Errorf("%d payments", n)
	}
	w.run(t, "audit", "--whole", "--ledger", s.GatewayURL+"/ledger").want(t, ExitDone)
}

func TestOperateUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"hold", "S0003469"}, "--reason is missing"},
		{[]string{"release"}, "MERCHANT is missing"},
		{[]string{"withdraw", "1", "--reason", "x"}, "--merchant is missing"},
		{[]string{"withdraw", "1", "-m", "S0003469"}, "--reason is missing"},
		{[]string{"resolve", "1", "-m", "S0003469", "--as", "done", "--evidence", "x"}, "want succeeded or failed"},
		{[]string{"resolve", "1", "-m", "S0003469", "--as", "failed"}, "--evidence is missing"},
		{[]string{"rebuild", "S0003469", "--yes"}, "--reason is missing"},
	} {
		down().run(t, c.args...).want(t, ExitUsage).says(t, c.says)
	}
	for _, command := range [][]string{
		{"hold", "S0003469", "--reason", "x"}, {"release", "S0003469", "--reason", "x"}, {"holds"}, {"withdraw", "1", "-m", "S0003469", "--reason", "x"},
		{"resolve", "1", "-m", "S0003469", "--as", "failed", "--evidence", "x"}, {"rebuild", "S0003469", "--reason", "x"},
		{"topics", "create"}, {"topics", "check"}, {"offsets", "show"}, {"offsets", "set", "--topic", "x", "--to", "end", "--reason", "x"},
	} {
		down().run(t, append(command, "--timeout", "300ms")...).want(t, ExitUnreachable)
	}
	up(t).run(t, "hold", "nobody", "--reason", "x").want(t, ExitUsage)
	noRecords(t).run(t, "rebuild", "S0003469", "--reason", "x", "--yes").want(t, ExitWrong).says(t, "was never served")
}
