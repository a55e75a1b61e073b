package ctl

import (
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// everyCommand calls each for all commands of refundctl.
func everyCommand(each func(*cobra.Command)) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		each(c)
		for _, sub := range c.Commands() {
			if sub.Name() != "help" && sub.Name() != "completion" {
				walk(sub)
			}
		}
	}
	walk(newRoot(&run{}))
}

func TestEveryCommandExplainsItself(t *testing.T) {
	guide := readFile(t, "../../../../docs/refundctl.md")
	everyCommand(func(c *cobra.Command) {
		if c.Short == "" || c.Long == "" || c.Example == "" {
			t.Errorf("%s: Short, Long or Example is missing", c.CommandPath())
		}
		if strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: Short ends with a point: %q", c.CommandPath(), c.Short)
		}
		for line := range strings.SplitSeq(c.Example, "\n") {
			if line != "" && !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: example %q is not indented", c.CommandPath(), line)
			}
		}
		if path := c.CommandPath(); !c.HasSubCommands() && !strings.Contains(guide, strings.TrimPrefix(path, "refundctl ")) {
			t.Errorf("%s is not in docs/refundctl.md", path)
		}
	})
}

func TestExamplesUseFlagsThatThereAre(t *testing.T) {
	everyCommand(func(c *cobra.Command) {
		for _, word := range strings.Fields(strings.NewReplacer("|", " | ", "\\\n", " ").Replace(c.Example)) {
			name, isFlag := strings.CutPrefix(word, "--")
			name, _, _ = strings.Cut(name, "=")
			if isFlag && name != "" && c.Flags().Lookup(name) == nil && c.InheritedFlags().Lookup(name) == nil && !anySub(c, name) {
				t.Errorf("%s: the example's --%s is no flag", c.CommandPath(), name)
			}
		}
	})
}

func anySub(c *cobra.Command, flag string) bool {
	for _, sub := range c.Commands() {
		if sub.Flags().Lookup(flag) != nil || anySub(sub, flag) {
			return true
		}
	}
	return false
}

func TestRoot(t *testing.T) {
	down().run(t, "--help").want(t, ExitDone).says(t, "Exit codes: 0 done")
	down().run(t).want(t, ExitDone).says(t, "refundctl is for people")
	down().run(t, "sumbit").want(t, ExitUsage).says(t, `unknown command "sumbit"`)
	down().run(t, "watch", "--timeout", "0s").want(t, ExitUsage)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		down().run(t, "completion", shell).want(t, ExitDone).says(t, "refundctl")
	}
	down().run(t, "__complete", "watch", "--merchant", "").want(t, ExitDone).says(t, "S0003469", "shop-th")
	down().run(t, "__complete", "watch", "--status", "").want(t, ExitDone).says(t, "REVIEW")
}

func TestConfigurationFromTheEnvironment(t *testing.T) {
	t.Setenv("REFUND_CONFIG", "testdata/down.yaml")
	var stderr syncBuffer
	env := Env{In: strings.NewReader(""), Out: &stderr, Err: &stderr, Now: nil}
	if code := Run(t.Context(), []string{"gateway", "ping", "nobody"}, env); code != ExitUsage || !strings.Contains(stderr.String(), "nobody") {
		t.Errorf("%d: %s", code, stderr.String())
	}
	t.Setenv("REFUND_CONFIG", "")
	if code := Run(t.Context(), []string{"watch"}, env); code != ExitUsage || !strings.Contains(stderr.String(), "give --config FILE or set REFUND_CONFIG") {
		t.Errorf("%d: %s", code, stderr.String())
	}
}

func TestAnInterruptedCommandSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	down().within(ctx).run(t, "list").want(t, ExitInterrupted).says(t, "interrupted")
}

// A terminal's user must not be fooled by what a publisher wrote.
func TestControlCharactersAreShownAsCodes(t *testing.T) {
	text := lines(weChat("R\x1b[2J1"), weChat("R2", "amount", "1\x1b[1A"))
	a := down().onTerminal().reading(text).run(t, "submit", "-", "--dry-run").want(t, ExitWrong)
	if strings.ContainsAny(a.out+a.err, "\x1b\r") {
		t.Errorf("%q", a.out+a.err)
	}
}
