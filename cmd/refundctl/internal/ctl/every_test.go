package ctl

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What each command does without a configuration, without Kafka and Redis, and on a
// cluster whose topics are empty. A command that is not here fails the test.
func TestEveryCommandWhereSomethingIsMissing(t *testing.T) {
	t.Parallel()
	body := file(t, "callback.json", signed(t, notification, "canary-secret-7f3a", false))
	one := file(t, "one.jsonl", lines(weChat("every-1")))
	reason := []string{"--reason", "test"}
	cases := map[string]struct {
		args        []string
		away, empty int // exit codes
	}{
		"submit":           {[]string{one}, ExitUnreachable, ExitDone},
		"watch":            {[]string{"-n", "1", "--from", "beginning", "--refund", "every-1"}, ExitUnreachable, -1}, // it waits
		"show":             {[]string{"every-2"}, ExitUnreachable, ExitWrong},
		"list":             {nil, ExitUnreachable, ExitDone},
		"audit":            {nil, ExitUnreachable, ExitDone},
		"dlq groups":       {nil, ExitUnreachable, ExitDone},
		"dlq ls":           {nil, ExitUnreachable, ExitDone},
		"dlq show":         {[]string{"0/0"}, ExitUnreachable, ExitWrong},
		"dlq redrive":      {reason, ExitUnreachable, ExitDone},
		"dlq drop":         {reason, ExitUnreachable, ExitDone},
		"trail":            {nil, ExitUnreachable, ExitDone},
		"hold":             {append([]string{"S0003469"}, reason...), ExitUnreachable, ExitDone},
		"release":          {append([]string{"S0003469"}, reason...), ExitUnreachable, ExitDone},
		"holds":            {nil, ExitUnreachable, ExitDone},
		"withdraw":         {append([]string{"every-2", "-m", "S0003469"}, reason...), ExitUnreachable, ExitWrong},
		"resolve":          {[]string{"every-2", "-m", "S0003469", "--as", "failed", "--evidence", "x"}, ExitUnreachable, ExitWrong},
		"rebuild":          {append([]string{"shop-th"}, reason...), ExitUnreachable, ExitWrong},
		"topics create":    {nil, ExitUnreachable, ExitDone},
		"topics check":     {[]string{"--partitions", "2"}, ExitUnreachable, ExitDone},
		"offsets show":     {nil, ExitUnreachable, ExitDone},
		"offsets set":      {append([]string{"--topic", "refund.requests", "--to", "end"}, reason...), ExitUnreachable, ExitDone},
		"replay":           {[]string{"--topic"}, ExitUnreachable, ExitUsage},
		"config check":     {nil, ExitDone, ExitDone},
		"config init":      {[]string{"--provider", "eftpay"}, ExitDone, ExitDone},
		"callback verify":  {[]string{body, "-m", "S0003469"}, ExitDone, ExitWrong}, // the sandbox has another secret
		"callback trigger": {[]string{"eftpay.success", "-m", "S0003469", "--refund", "every-2"}, ExitUnreachable, ExitUsage},
		"callback replay":  {[]string{body, "-m", "S0003469", "--to", "http://127.0.0.1:1"}, ExitWrong, ExitWrong},
		"gateway ping":     {[]string{"S0003469"}, ExitWrong, ExitDone},
	}
	empty := noRecords(t)
	everyCommand(func(c *cobra.Command) {
		path := strings.TrimPrefix(c.CommandPath(), "refundctl ")
		if c.HasSubCommands() {
			return
		}
		t.Run(path, func(t *testing.T) {
			one, there := cases[path]
			if !there {
				t.Fatal("say what this command does where something is missing")
			}
			args := append(strings.Fields(path), one.args...)
			if path != "config init" {
				world{config: "no-such-file.yaml"}.run(t, args...).want(t, ExitUsage)
			}
			if a := down().run(t, append(args, "--timeout", "300ms")...).want(t, one.away); one.away == ExitUnreachable {
				a.says(t, "127.0.0.1:1")
			}
			if one.empty >= 0 {
				empty.run(t, args...).want(t, one.empty)
			}
		})
	})
}

func TestCommandsThatNeedRedis(t *testing.T) {
	w := changedConfig(t, "addrs: ["+theSystem(t).Redis+"]", "addrs: [127.0.0.1:1]")
	for _, args := range [][]string{
		{"withdraw", "1", "-m", "S0003469", "--reason", "x"}, {"resolve", "1", "-m", "S0003469", "--as", "failed", "--evidence", "x"},
		{"rebuild", "S0003469", "--reason", "x"}, {"dlq", "redrive", "--reason", "x"}, {"callback", "trigger", "eftpay.success", "-m", "S0003469", "--refund", "1"},
	} {
		w.run(t, append(args, "--timeout", "500ms")...).want(t, ExitUnreachable).says(t, "redis: [127.0.0.1:1] does not answer")
	}
}
