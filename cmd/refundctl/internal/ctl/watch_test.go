package ctl

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	no := numbers(t)
	began := time.Now().Format(time.RFC3339)
	up(t).reading(lines(weChat(no("watch-1")), weChat(no("watch-2")))).run(t, "submit", "-", "--wait").want(t, ExitDone)
	up(t).reading(lines(weChat(no("watch-1")))).run(t, "submit", "-", "--wait").want(t, ExitDone)
	a := up(t).onTerminal().run(t, "watch", "--from", "beginning", "--merchant", "S0003469", "--refund", no("watch-1"), "-n", "3").want(t, ExitDone)
	golden(t, "watch.txt", a.out)
	a = up(t).run(t, "watch", "--since", began, "--refund", no("watch-2"), "--status", "succeeded", "-n", "1").want(t, ExitDone)
	var event map[string]any
	if err := json.Unmarshal([]byte(a.out), &event); err != nil || event["status"] != "SUCCEEDED" || event["refund_no"] != no("watch-2") {
		t.Errorf("%v: %s", err, a.out)
	}
	up(t).reading(lines(weChat(no("watch-1"), "amount", "0.02"))).run(t, "submit", "-", "--wait").want(t, ExitWrong)
	a = up(t).onTerminal().run(t, "watch", "--from", "1h", "--status", "DEAD", "--refund", no("watch-1"), "-n", "1").want(t, ExitDone)
	a.says(t, "DEAD", "conflict")
}

func TestWatchFromNowOnAndCtrlC(t *testing.T) {
	no := numbers(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan answer)
	go func() {
		ended <- up(t).within(ctx).run(t, "watch", "--merchant", "S0003469", "--refund", no("watch-now"), "-n", "2")
	}()
	up(t).reading(lines(weChat(no("watch-before")))).run(t, "submit", "-", "--wait").want(t, ExitDone)
	for tries := 0; ; tries++ { // the watch may begin after the first of them: the same request again is published again
		up(t).reading(lines(weChat(no("watch-now")))).run(t, "submit", "-", "--wait").want(t, ExitDone)
		select {
		case a := <-ended:
			if strings.Contains(a.want(t, ExitDone).out, "watch-before") {
				t.Errorf("shows what was there before: %s", a.out)
			}
			cancel()
			up(t).within(ctx).run(t, "watch").want(t, ExitInterrupted) // interrupted before it began
			return
		default:
			if tries > 200 {
				t.Fatal("watch does not end")
			}
		}
	}
}

func TestWatchUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"watch", "--status", "DONE"}, "want one of WAITING"},
		{[]string{"watch", "--from", "yesterday"}, "want beginning, end"},
		{[]string{"watch", "--from", "1h", "--since", "1h"}, "give one"},
		{[]string{"watch", "x"}, `unknown argument "x"`},
		{[]string{"watch", "--frm", "1h"}, "unknown flag"},
	} {
		down().run(t, c.args...).want(t, ExitUsage).says(t, c.says)
	}
	down().run(t, "watch", "--timeout", "300ms").want(t, ExitUnreachable)
	world{config: "no-such-file.yaml"}.run(t, "watch").want(t, ExitUsage)
	world{config: file(t, "wrong.yaml", "kafka: {brokrs: []}\n")}.run(t, "watch").want(t, ExitUsage).says(t, "wrong.yaml:1", "brokrs")
}
