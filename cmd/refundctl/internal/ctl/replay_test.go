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
		return replay0(t, w, append([]string{"--duration", "2s", "--ledger", ledger}, args...)...)
	}
	t.Run("samples", func(t *testing.T) {
		a, got := replay("--sample", "--merchant", "S0003469", "--rate", "50", "--ramp-to", "100", "--threshold", "p99<1m,pending.p99<1m,lost==0,succeeded==150,broken==0",
			"--html", filepath.Join(dir, "load.html"), "--hgrm", filepath.Join(dir, "load.hgrm"), "--json", filepath.Join(dir, "load.json"))
		if a.want(t, ExitDone); a.err != "" {
			t.Errorf("there is no terminal to show progress on: %q", a.err)
		}
		if got.Sent != 150 || got.Ended["SUCCEEDED"] != 150 || got.Open != 0 || !got.AuditOK || len(got.Thresholds) != 5 || got.Latency.P50 <= 0 || len(got.Timeline) < 2 || got.Pending.Count != 150 || got.Pending.P50 > got.Latency.P50 {
			t.Errorf("%+v", got)
		}
		if page := readFile(t, filepath.Join(dir, "load.html")); !strings.Contains(page, got.Run) || !strings.Contains(page, "<polyline") {
			t.Error(page)
		}
		if text := readFile(t, filepath.Join(dir, "load.hgrm")); !strings.Contains(text, "Total count    =          150") {
			t.Error(text)
		}
		var again load.Result
		if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dir, "load.json"))), &again); err != nil || again.Run != got.Run {
			t.Errorf("%v: %+v", err, again)
		}
		if n := len(s.Gateways.Ledger()); n != 150 {
			t.Errorf("%d payments", n)
		}
	})
	t.Run("a threshold is missed", func(t *testing.T) {
		a := w.onTerminal().withProgress().run(t, "replay", "--sample", "-m", "shop-th", "--rate", "10", "--count", "10", "--drain", "3m", "--threshold", "p50<1us")
		a.want(t, ExitMissed).says(t, "p50<1us: MISSED", "10 of 10", "10 SUCCEEDED", "audit: promises 1, 3 and 4 kept, 10 refunds", "10 refunds, 10 a second",
			"under way", ", lag ", "\r\x1b[K")
	})
	t.Run("a file, whose orders stay together and whose gateway misbehaves", func(t *testing.T) {
		text := lines(weChat("a", "order_no", "A", "amount", "6.00"), weChat("b", "order_no", "A", "amount", "6.00"), weChat("c", "amount", "900.17", "order_amount", "2000.00"))
		_, got := replay(file(t, "f.jsonl", text), "--rate", "30", "--count", "30")
		if got.Ended["SUCCEEDED"] != 10 || got.Ended["REJECTED"] != 10 || got.Ended["FAILED"] != 10 || !got.AuditOK {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the topic", func(t *testing.T) {
		bluePay := map[string]string{"refund_no": "t5", "merchant": "shop-th", "transaction_id": "T5", "amount": "5.00", "order_amount": "5.00", "currency": "THB"}
		w.reading(lines(weChat("t1"), weChat("t2"), weChat("t1"), weChat("t3"), bluePay)).run(t, "submit", "-", "--wait").want(t, ExitDone)
		a, got := replay("--topic", "--since", "1h", "--merchant", "S0003469", "--rate", "40", "--count", "20")
		a.says(t, "1 of 4 requests do not fit merchant S0003469 and are left out") // neither repeats nor load tests are replayed
		if got.Sent != 20 || !got.AuditOK {
			t.Errorf("%+v", got)
		}
		_, got = replay("--topic=refund.requests", "--rate", "40", "--count", "20")
		if got.Sent != 20 || !got.AuditOK {
			t.Errorf("%+v", got)
		}
		w.run(t, "replay", "--topic=no.such.topic", "-m", "S0003469").want(t, ExitUsage).says(t, "topic not found")
		w.run(t, "replay", file(t, "b", lines(weChat("1"))), "--merchant", "shop-th").want(t, ExitUsage).says(t, "no request fits merchant shop-th")
	})
	t.Run("as they came, faster", func(t *testing.T) {
		text := lines(weChat("p2", "requested_at", "2026-11-22T10:00:10Z"), weChat("p1", "requested_at", "2026-11-22T10:00:00Z"), weChat("p3", "requested_at", "2026-11-22T10:00:10.5Z"))
		_, got := replay0(t, w, file(t, "p.jsonl", text), "--pace", "20", "--ledger", ledger)
		if got.Sent != 3 || !got.AuditOK || got.Load != "3 refunds, as they came, over 525ms" || got.Timeline[0].Due != 3 {
			t.Errorf("%+v", got)
		}
		_, got = replay0(t, w, "--topic", "--pace", "1000")
		if got.Sent != 4 || !got.AuditOK {
			t.Errorf("%+v", got)
		}
		w.run(t, "replay", file(t, "q", lines(weChat("q"))), "--pace", "2").want(t, ExitUsage).says(t, "line 1: it has no requested_at")
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan answer)
		interrupted := w.within(ctx)
		go func() {
			ended <- interrupted.run(t, "replay", "--sample", "-m", "S0003469", "--rate", "20", "--duration", "1h")
		}()
		until(t, func() bool {
			return strings.Contains(w.run(t, "trail", "--what", "replay").out, `72000 refunds, 20 a second`)
		})
		cancel()
		if a := <-ended; a.code != ExitInterrupted || !strings.Contains(a.out, "not audited: interrupted") {
			t.Errorf("%d: %s%s", a.code, a.out, a.err)
		}
	})
	w.run(t, "audit", "--whole", "--ledger", ledger).want(t, ExitDone)
}

func replay0(t testing.TB, w world, args ...string) (answer, load.Result) {
	t.Helper()
	a := w.run(t, append([]string{"replay", "--drain", "3m"}, args...)...)
	var result load.Result
	if a.out != "" {
		if err := json.Unmarshal([]byte(a.out), &result); err != nil {
			t.Fatalf("%v: %s%s", err, a.out, a.err)
		}
	}
	return a, result
}

func TestReplayUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--rate", "0", "--sample"}, "above 0"},
		{[]string{"--pace", "-1", "--topic"}, "above 0"},
		{[]string{"--pace", "2", "--rate", "10", "--topic"}, "contradicts"},
		{[]string{"--pace", "2", "--sample"}, "no pace"},
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
