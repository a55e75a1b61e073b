package ctl

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/gatewaysim"
)

// weChat is a request for the example merchant; pairs change it.
func weChat(no string, pairs ...string) map[string]string {
	return with(map[string]string{
		"refund_no": no, "merchant": "S0003469", "order_no": "order-" + no, "amount": "0.01", "order_amount": "10.01", "currency": "HKD",
		"method": "WeChat", "wallet": "WECHATCN",
	}, pairs...)
}

// lines are requests as JSON lines.
func lines(requests ...map[string]string) string {
	var b strings.Builder
	for _, r := range requests {
		b.Write(object(r))
		b.WriteByte('\n')
	}
	return b.String()
}

func TestSubmitValidatesFirst(t *testing.T) {
	for _, c := range []struct {
		name, text string
		code       int
	}{
		{"right.jsonl", lines(weChat("1"), weChat("2")), ExitDone},
		{"wrong.jsonl", lines(
			weChat("1"),
			weChat("2", "amount", "0.001"),
			weChat("3", "merchant", "nobody"),
			weChat("4", "wallet", "WECHATXX"),
			weChat("5", "order_no", ""),
			weChat("1"),
			weChat("1", "amount", "0.02"),
			weChat("6", "order_no", "order-1", "amount", "10.01"),
			weChat("7", "order_no", "order-1", "order_amount", "9.00"),
			weChat("2.01901E+11"),
		) + "{\"refund_no\": \n\n[1]\n" + `{"refund_no":"8","refund_no":"9"}` + "\n", ExitWrong},
		{"excel.csv", "\xef\xbb\xbfrefund_no;merchant;order_no;amount;order_amount;currency;method;wallet;reason\r\n" +
			"1;S0003469;o1;0.01;10.01;HKD;WeChat;WECHATCN;\"two\r\nlines\"\r\n2;S0003469;o2;0,01;10.01;HKD;WeChat;WECHATCN;\r\n3;S0003469\r\n", ExitWrong},
		{"column.csv", "refund_no,ammount\n1,2\n", ExitUsage},
		{"twice.csv", "refund_no,refund_no\n1,2\n", ExitUsage},
		{"empty.csv", "", ExitUsage},
		{"header.csv", "refund_no,amount\n", ExitUsage},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := down().onTerminal().run(t, "submit", file(t, c.name, c.text), "--dry-run").want(t, c.code)
			if c.code == ExitUsage {
				if a.out != "" {
					t.Errorf("stdout: %s", a.out)
				}
				return
			}
			golden(t, "submit_"+c.name+".txt", a.out)
		})
	}
}

func TestSubmitUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"submit"}, "no refund"},
		{[]string{"submit", "-", "--amount", "1"}, "give one of them"},
		{[]string{"submit", "no-such-file"}, "no such file"},
		{[]string{"submit", "-", "--format", "xml", "--dry-run"}, "want jsonl or csv"},
	} {
		down().run(t, append(c.args, "--dry-run")...).want(t, ExitUsage).says(t, c.says)
	}
	down().reading(lines(weChat("1"))).run(t, "submit", "-", "--timeout", "300ms").want(t, ExitUnreachable).says(t, "127.0.0.1:1")
}

func TestSubmitSendsNothingWhenOneIsWrong(t *testing.T) {
	no := numbers(t)
	text := lines(weChat(no("submit-partial-1")), weChat(no("submit-partial-2"), "amount", "x"))
	up(t).reading(text).run(t, "submit", "-").want(t, ExitWrong).says(t, "1 of 2 refunds are wrong: nothing was sent", `"verdict":"ready"`)
	a := up(t).onTerminal().reading(text).run(t, "submit", "-", "--partial", "--wait").want(t, ExitWrong)
	golden(t, "submit_partial.txt", a.out)
}

func TestSubmitWaits(t *testing.T) {
	no := numbers(t)
	if err := theSystem(t).Gateways.Script(no("submit-wait-3"), gatewaysim.Step{Result: gatewaysim.Decline}); err != nil {
		t.Fatal(err)
	}
	verdicts := filepath.Join(t.TempDir(), "verdicts.jsonl")
	text := lines(weChat(no("submit-wait-1")), weChat(no("submit-wait-2")), weChat(no("submit-wait-3")), weChat(no("submit-wait-1")))
	a := up(t).onTerminal().reading(text).run(t, "submit", "-", "--wait", "--verdicts", verdicts).want(t, ExitWrong)
	golden(t, "submit_wait.txt", a.out)
	f, err := os.Open(verdicts)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var statuses []string
	for s := bufio.NewScanner(f); s.Scan(); {
		var v submitted
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		statuses = append(statuses, fmt.Sprintf("%d %s %s", v.Line, v.Verdict, v.Status))
	}
	if got := strings.Join(statuses, ", "); got != "1 published SUCCEEDED, 2 published SUCCEEDED, 3 published FAILED, 4 repeated " {
		t.Errorf("verdicts: %s", got)
	}
}

func TestSubmitOneByFlags(t *testing.T) {
	no := numbers(t)
	a := up(t).run(t, "submit", "--merchant", "S0003469", "--refund-no", no("submit-flags"), "--order-no", no("o-flags"), "--amount", "1.00",
		"--order-amount", "1", "--method", "WeChat", "--wallet", "WECHATHK", "--wait").want(t, ExitDone)
	golden(t, "submit_flags.json", a.out)
}

func TestSubmitWaitsForDeadLettersToo(t *testing.T) {
	no := numbers(t)
	up(t).reading(lines(weChat(no("submit-dead")))).run(t, "submit", "-", "--wait").want(t, ExitDone)
	a := up(t).reading(lines(weChat(no("submit-dead"), "amount", "0.02"))).run(t, "submit", "-", "--wait").want(t, ExitWrong)
	a.says(t, `"status":"DEAD"`)
}

func TestSubmitTimesOut(t *testing.T) {
	no := numbers(t)
	if err := theSystem(t).Gateways.Script(no("submit-hangs"), gatewaysim.TimeOutAfter()); err != nil {
		t.Fatal(err)
	}
	a := up(t).reading(lines(weChat(no("submit-hangs")))).run(t, "submit", "-", "--wait", "--wait-for", "300ms").want(t, ExitWrong)
	a.says(t, `"status":"PENDING"`)
}

func TestKafkaGoesAwayWhileACommandWaits(t *testing.T) {
	cluster, w := emptyKafka(t) // nobody works on it
	ended := make(chan answer)
	text := w.reading(lines(weChat("lost")))
	go func() { ended <- text.run(t, "submit", "-", "--wait", "--timeout", "1s") }()
	p := parts(t, w.config)
	until(t, func() bool { got, _ := published(t, p, "order-lost"); return len(got) == 1 })
	cluster.Close()
	(<-ended).want(t, ExitUnreachable).says(t, "nobody listens there") // as it waits, or as it still writes its trail
}
