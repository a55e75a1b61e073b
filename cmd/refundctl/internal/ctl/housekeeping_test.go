package ctl

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

func TestTopics(t *testing.T) {
	up(t).onTerminal().run(t, "topics", "check").want(t, ExitDone).says(t, "topics are as they should be")
	a := up(t).onTerminal().run(t, "topics", "check", "--partitions", "9").want(t, ExitWrong)
	golden(t, "topics_check.txt", a.out)

	w := noTopics(t)
	w.run(t, "topics", "check").want(t, ExitWrong).says(t, `"missing":true`)
	golden(t, "topics_create.txt", w.onTerminal().run(t, "topics", "create", "--partitions", "2").want(t, ExitDone).out)
	w.run(t, "topics", "check", "--partitions", "2").want(t, ExitDone)
	w.onTerminal().run(t, "topics", "create").want(t, ExitDone).says(t, "was there")
	w.run(t, "trail").want(t, ExitDone).says(t, `"what":"topics create"`)

	p := parts(t, w.config)
	if err := p.Kafka.EnsureTopics(t.Context(), []kafka.TopicSpec{{Name: "refund.delay.7m", Partitions: 1, Replication: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := p.Producer.Write(t.Context(), kafka.Record{Topic: "refund.delay.7m", Value: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	w.run(t, "topics", "check", "--partitions", "2").want(t, ExitWrong).says(t, "refund.delay.7m holds 1 messages")
}

func TestConfigCheck(t *testing.T) {
	down().run(t, "config", "check").want(t, ExitDone).says(t, `"ok":true`)
	wrong := file(t, "wrong.yaml", "kafka:\n  brokrs: [x]\nmerchants:\n  - name: a\n    provider: eftpay\n    eftpay: {secret: canary-secret-7f3a, user_confirm_key: \"\"}\n")
	a := down().onTerminal().run(t, "config", "check", "testdata/down.yaml", wrong).want(t, ExitWrong)
	a.says(t, "testdata/down.yaml: right, 3 merchants", "wrong.yaml:2:3", "brokrs", "****")
	a = down().run(t, "config", "check", wrong).want(t, ExitWrong)
	var first configFinding
	if err := json.Unmarshal([]byte(strings.SplitN(a.out, "\n", 2)[0]), &first); err != nil || first.Line == 0 || first.Message == "" {
		t.Errorf("%v: %s", err, a.out)
	}
	down().run(t, "config", "check", "no-such-file").want(t, ExitUsage)
	env := file(t, "env.yaml", strings.Replace(readFile(t, "testdata/down.yaml"), "secret: canary-secret-7f3a", `secret: "${NOT_SET_ANYWHERE}"`, 1))
	env = absolute(t, "testdata/x", readFile(t, env))
	down().run(t, "config", "check", env).want(t, ExitWrong).says(t, "NOT_SET_ANYWHERE")
	down().run(t, "config", "check", env, "--skip-env").want(t, ExitDone)
}

func TestConfigInitIsAConfiguration(t *testing.T) {
	dir := t.TempDir()
	for from, to := range map[string]string{"merchant.pem": "merchant.pem", "gateway.pub.pem": "gateway.pem"} {
		if err := os.WriteFile(filepath.Join(dir, to), []byte(readFile(t, filepath.Join("testdata", from))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("EFTPAY_SECRET", "x")
	t.Setenv("BLUEPAY_APP_ID", "y")
	name := filepath.Join(dir, "worker.yaml")
	down().run(t, "config", "init", "--provider", "eftpay,bluepay", "--file", name).want(t, ExitDone)
	down().onTerminal().run(t, "config", "check", name).want(t, ExitDone).says(t, "right, 2 merchants")
	down().run(t, "config", "init", "--provider", "eftpay", "--file", name).want(t, ExitUsage).says(t, "exists")
	golden(t, "config_init.yaml", down().run(t, "config", "init", "--provider", "eftpay").want(t, ExitDone).out)
	down().run(t, "config", "init").want(t, ExitUsage).says(t, "--provider is missing")
	down().run(t, "config", "init", "--provider", "paypal").want(t, ExitUsage)
}

func TestOffsets(t *testing.T) {
	_, w := emptyKafka(t)
	w.reading(lines(weChat("o1"), weChat("o2"), weChat("o3"), weChat("o4"))).run(t, "submit", "-").want(t, ExitDone)
	p := parts(t, w.config)
	if err := p.Producer.Write(t.Context(), kafka.Record{Topic: p.Topics.Delay(p.Delays[0]), Key: []byte("k"), Value: []byte("x"), Time: time.Now().Add(-2 * p.Delays[0])}); err != nil {
		t.Fatal(err)
	}
	golden(t, "offsets.txt", w.onTerminal().run(t, "offsets", "show").want(t, ExitDone).out)
	w.run(t, "offsets", "show", "--due").want(t, ExitDone).says(t, `"due":1`)

	set := func(args ...string) answer {
		return w.run(t, append([]string{"offsets", "set", "--topic", "refund.requests", "--reason", "test"}, args...)...)
	}
	set("--to", "end").want(t, ExitDone).says(t, "nothing was moved")
	set("--to", "end", "--yes").want(t, ExitUsage).says(t, "4 messages would be skipped")
	set("--to", "end", "--yes", "--skip").want(t, ExitDone)
	w.run(t, "offsets", "show").want(t, ExitDone).says(t, `"lag":0`)
	set("--to", "1h", "--yes").want(t, ExitDone).says(t, `"skipped":0`)
	set("--to", "1", "--yes").want(t, ExitUsage).says(t, "one --partition")
	set("--to", "1", "--partition", "9").want(t, ExitUsage)
	set("--to", "beginning", "--partition", "0").want(t, ExitDone)
	w.run(t, "trail").want(t, ExitDone).says(t, `"what":"offsets set"`)
	w.run(t, "offsets", "set", "--topic", "refund.status", "--to", "end", "--reason", "x").want(t, ExitUsage).says(t, "the workers read")

	up(t).run(t, "offsets", "set", "--topic", "refund.requests", "--to", "beginning", "--reason", "x", "--yes").want(t, ExitWrong).says(t, "has members: stop all workers first")
}
