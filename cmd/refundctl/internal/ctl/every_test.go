package ctl

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// expected is what a command comes to where something is missing: exit codes.
type expected struct {
	args    []string
	down    int // neither Kafka nor Redis, nor a gateway
	empty   int // topics without records; -1: it waits for some
	noRedis int // the same, and Redis away
}

// offline says that a command needs neither Kafka nor Redis, nor a gateway.
func (e expected) offline() bool { return e.down == ExitDone }

func everyExpectation(t *testing.T) map[string]expected {
	body := file(t, "callback.json", signed(t, notification, "canary-secret-7f3a", false))
	one := file(t, "one.jsonl", lines(weChat("every-1")))
	reason := []string{"--reason", "test"}
	const away = ExitUnreachable
	return map[string]expected{
		"submit":           {[]string{one}, away, ExitDone, ExitDone},
		"watch":            {[]string{"-n", "1", "--from", "beginning", "--refund", "every-1"}, away, -1, -1},
		"show":             {[]string{"every-2"}, away, ExitWrong, ExitWrong},
		"list":             {nil, away, ExitDone, ExitDone},
		"audit":            {nil, away, ExitDone, ExitDone},
		"dlq groups":       {nil, away, ExitDone, ExitDone},
		"dlq ls":           {nil, away, ExitDone, ExitDone},
		"dlq show":         {[]string{"0/0"}, away, ExitWrong, ExitWrong},
		"dlq redrive":      {reason, away, ExitDone, away},
		"dlq drop":         {reason, away, ExitDone, ExitDone},
		"trail":            {nil, away, ExitDone, ExitDone},
		"hold":             {append([]string{"S0003469"}, reason...), away, ExitDone, ExitDone},
		"release":          {append([]string{"S0003469"}, reason...), away, ExitDone, ExitDone},
		"holds":            {nil, away, ExitDone, ExitDone},
		"withdraw":         {append([]string{"every-2", "-m", "S0003469"}, reason...), away, ExitWrong, away},
		"resolve":          {[]string{"every-2", "-m", "S0003469", "--as", "failed", "--evidence", "x"}, away, ExitWrong, away},
		"rebuild":          {append([]string{"shop-th"}, reason...), away, ExitWrong, away},
		"topics create":    {nil, away, ExitDone, ExitDone},
		"topics check":     {[]string{"--partitions", "2"}, away, ExitDone, ExitDone},
		"offsets show":     {nil, away, ExitDone, ExitDone},
		"offsets set":      {append([]string{"--topic", "refund.requests", "--to", "end"}, reason...), away, ExitDone, ExitDone},
		"replay":           {[]string{"--topic"}, away, ExitUsage, ExitUsage},
		"config check":     {nil, ExitDone, ExitDone, ExitDone},
		"config init":      {[]string{"--provider", "eftpay"}, ExitDone, ExitDone, ExitDone},
		"callback verify":  {[]string{body, "-m", "S0003469"}, ExitDone, ExitWrong, ExitWrong}, // the sandbox has another secret
		"callback trigger": {[]string{"eftpay.success", "-m", "S0003469", "--refund", "every-2"}, away, ExitUsage, away},
		"callback replay":  {[]string{body, "-m", "S0003469", "--to", "http://127.0.0.1:1"}, ExitWrong, ExitWrong, ExitWrong},
		"gateway ping":     {[]string{"S0003469"}, ExitWrong, ExitDone, ExitDone},
	}
}

// each runs a test for every command; one that nobody expects anything of fails.
func (all expectations) each(t *testing.T, test func(t *testing.T, args []string, e expected)) {
	everyCommand(func(c *cobra.Command) {
		path := strings.TrimPrefix(c.CommandPath(), "refundctl ")
		if c.HasSubCommands() {
			return
		}
		t.Run(path, func(t *testing.T) {
			e, there := all[path]
			if !there {
				t.Fatal("say what this command does where something is missing")
			}
			test(t, append(strings.Fields(path), e.args...), e)
		})
	})
}

type expectations map[string]expected

// What each command does without a configuration, with a wrong one, without Kafka and
// Redis, and on a cluster whose topics are empty, with and without Redis.
func TestEveryCommandWhereSomethingIsMissing(t *testing.T) {
	t.Parallel()
	typo := absolute(t, "testdata/down.yaml", strings.Replace(readFile(t, "testdata/down.yaml"), "brokers:", "brokrs:", 1))
	empty := noRecords(t)
	noRedis := world{config: file(t, "no-redis.yaml", strings.Replace(readFile(t, empty.config), "addrs: ["+theSystem(t).Redis+"]", "addrs: [127.0.0.1:1]", 1))}
	expectations(everyExpectation(t)).each(t, func(t *testing.T, args []string, e expected) {
		if args[0] != "config" {
			world{config: "no-such-file.yaml"}.run(t, args...).want(t, ExitUsage).says(t, "no-such-file.yaml")
			world{config: typo}.run(t, args...).want(t, ExitUsage).says(t, "changed.yaml:3:3", "brokrs")
		}
		if a := down().run(t, append(args, "--timeout", "300ms")...).want(t, e.down); e.down == ExitUnreachable {
			a.says(t, "127.0.0.1:1")
		}
		if e.empty >= 0 {
			empty.run(t, args...).want(t, e.empty)
			if a := noRedis.run(t, append(args, "--timeout", "500ms")...).want(t, e.noRedis); e.noRedis == ExitUnreachable {
				a.says(t, "redis: [127.0.0.1:1] does not answer")
			}
		}
	})
}

// silent is a world where everything can be dialled and nothing answers; dialled gets
// a value with each connection.
func silent(t *testing.T) (w world, dialled chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dialled = make(chan struct{}, 1000)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			dialled <- struct{}{}
		}
	}()
	text := strings.ReplaceAll(readFile(t, "testdata/down.yaml"), "127.0.0.1:1", l.Addr().String())
	return world{config: absolute(t, "testdata/down.yaml", text)}, dialled
}

// Where nothing answers each command gives up in time, and says whom it asked.
func TestEveryCommandGivesUpInTime(t *testing.T) {
	t.Parallel()
	w, _ := silent(t)
	expectations(everyExpectation(t)).each(t, func(t *testing.T, args []string, e expected) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		a := w.within(ctx).run(t, append(args, "--timeout", "300ms")...).want(t, e.down)
		if ctx.Err() != nil {
			t.Errorf("it took too long:\n%s", a.err)
		}
		if e.down == ExitUnreachable {
			a.says(t, "127.0.0.1:", "not answer")
		}
	})
}

// Ctrl-C ends each command that waits for an answer, at once and in words.
func TestEveryCommandEndsAtCtrlC(t *testing.T) {
	t.Parallel()
	expectations(everyExpectation(t)).each(t, func(t *testing.T, args []string, e expected) {
		if e.offline() || args[0] == "callback" && e.down == ExitWrong { // callback replay goes to an address that refuses
			return
		}
		t.Parallel()
		w, dialled := silent(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan answer, 1)
		go func() { ended <- w.within(ctx).run(t, append(args, "--timeout", "10m")...) }()
		<-dialled
		cancel()
		select {
		case a := <-ended:
			a.want(t, ExitInterrupted).says(t, "refundctl: interrupted")
		case <-time.After(30 * time.Second):
			t.Error("it goes on")
		}
	})
}

// Output that cannot be written is no success.
func TestLostOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full here")
	}
	defer full.Close()
	for _, args := range [][]string{{"--help"}, {"dlq", "--help"}, {"config", "check"}, {"config", "init", "--provider", "eftpay"}, {"completion", "bash"}} {
		var stderr syncBuffer
		code := Run(t.Context(), append([]string{"--config", "testdata/down.yaml"}, args...), Env{Out: full, Err: &stderr, Now: time.Now, Zone: time.UTC})
		if code != ExitWrong || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%v: exit code %d, %s", args, code, stderr.String())
		}
	}
}
