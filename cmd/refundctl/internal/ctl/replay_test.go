package ctl

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/load"
)

func TestReplay(t *testing.T) {
	t.Parallel()
	s, w := ownSystem(t)
	ledger := s.GatewayURL + "/ledger"
	dir := t.TempDir()
	replay := func(args ...string) (answer, load.Result) {
		t.Helper()
		a := w.run(t, append([]string{"replay", "--duration", "2s", "--drain", "30s", "--ledger", ledger}, args...)...)
		var result load.Result
		if a.out != "" {
			if err := json.Unmarshal([]byte(a.out), &result); err != nil {
				t.Fatalf("%v: %s%s", err, a.out, a.err)
			}
		}
		return a, result
	}
	t.Run("samples", func(t *testing.T) {
		a, got := replay("--sample", "--merchant", "S0003469", "--rate", "50", "--ramp-to", "100", "--threshold", "p99<1m,lost==0,succeeded==150,broken==0",
			"--html", filepath.Join(dir, "load.html"), "--hgrm", filepath.Join(dir, "load.hgrm"))
		a.want(t, ExitDone)
		if got.Sent != 150 || got.Ended["SUCCEEDED"] != 150 || got.Open != 0 || !got.AuditOK || len(got.Thresholds) != 4 || got.Latency.P50 <= 0 || len(got.Seconds1) != 2 {
			t.Errorf("%+v", got)
		}
		if page := readFile(t, filepath.Join(dir, "load.html")); !strings.Contains(page, got.Run) || !strings.Contains(page, "<polyline") {
			t.Error(page)
		}
		if text := readFile(t, filepath.Join(dir, "load.hgrm")); !strings.Contains(text, "Total count    =          150") {
			t.Error(text)
		}
		if n := len(s.Gateways.Ledger()); n != 150 {
			t.Errorf("%d payments", n)
		}
	})
	t.Run("a threshold is missed", func(t *testing.T) {
		a := w.onTerminal().run(t, "replay", "--sample", "-m", "shop-th", "--rate", "20", "--count", "10", "--drain", "10s", "--threshold", "p50<1us")
		a.want(t, ExitMissed).says(t, "p50<1us: MISSED", "10 of 10", "10 SUCCEEDED", "audit: all promises kept, 10 refunds")
	})
	t.Run("a file, whose orders stay together and whose gateway misbehaves", func(t *testing.T) {
		text := lines(weChat("a", "order_no", "A", "amount", "6.00"), weChat("b", "order_no", "A", "amount", "6.00"), weChat("c", "amount", "900.17", "order_amount", "2000.00"))
		_, got := replay(file(t, "f.jsonl", text), "--rate", "30", "--count", "30")
		if got.Ended["SUCCEEDED"] != 10 || got.Ended["REJECTED"] != 10 || got.Ended["FAILED"] != 10 || !got.AuditOK {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the topic", func(t *testing.T) {
		a, got := replay("--topic", "--since", "1h", "--merchant", "S0003469", "--rate", "40", "--count", "20")
		a.says(t, "10 of 190 requests do not fit merchant S0003469 and are left out")
		if got.Sent != 20 || !got.AuditOK {
			t.Errorf("%+v", got)
		}
		_, got = replay("--topic", "--since", "1h", "--rate", "40", "--count", "20")
		if got.Sent != 20 || !got.AuditOK {
			t.Errorf("%+v", got)
		}
		w.run(t, "replay", file(t, "b", lines(weChat("1"))), "--merchant", "shop-th").want(t, ExitUsage).says(t, "no request fits merchant shop-th")
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan answer)
		interrupted := w.within(ctx)
		go func() {
			ended <- interrupted.run(t, "replay", "--sample", "-m", "S0003469", "--rate", "20", "--duration", "1h")
		}()
		until(t, func() bool { return strings.Contains(w.run(t, "trail", "--what", "replay").out, `72000 refunds`) })
		cancel()
		if a := <-ended; a.code != ExitInterrupted || !strings.Contains(a.out, "not audited: interrupted") {
			t.Errorf("%d: %s%s", a.code, a.out, a.err)
		}
	})
	w.run(t, "audit", "--whole", "--ledger", ledger).want(t, ExitDone)
}

func TestReplayUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--rate", "0", "--sample"}, "above 0"},
		{[]string{"--sample", "--threshold", "p99<fast"}, "--threshold"},
		{[]string{"--sample", "--topic"}, "what is to be replayed?"},
		{nil, "what is to be replayed?"},
		{[]string{"--sample"}, "--sample needs --merchant"},
		{[]string{"no-such-file"}, "no such file"},
		{[]string{file(t, "x", lines(weChat("1", "amount", "x")))}, "line 1"},
		{[]string{file(t, "y", "\n")}, "nothing to replay"},
		{[]string{"--sample", "--merchant", "nobody"}, "not in the configuration"},
	} {
		up(t).run(t, append([]string{"replay"}, c.args...)...).want(t, ExitUsage).says(t, c.says)
	}
	real := changedConfig(t, "test: true", "test: false")
	real.run(t, "replay", "--sample", "-m", "S0003469").want(t, ExitUsage).says(t, "not test merchants: S0003469")
	noRecords(t).run(t, "replay", "--topic").want(t, ExitUsage).says(t, "nothing to replay")
	down().run(t, "replay", "--sample", "-m", "S0003469", "--timeout", "300ms").want(t, ExitUnreachable)
}
