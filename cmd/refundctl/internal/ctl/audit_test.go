package ctl

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	s, w := ownSystem(t)
	ledger := s.GatewayURL + "/ledger"
	w.reading(lines(weChat("audit-1"), weChat("audit-2"), weChat("audit-3", "order_no", "order-audit-2"))).run(t, "submit", "-", "--wait").want(t, ExitDone)
	w.reading(lines(weChat("audit-1", "amount", "0.02"))).run(t, "submit", "-", "--wait").want(t, ExitWrong)
	publish(t, s.ConfigFile, `{"refund_no": `)
	w.run(t, "watch", "--from", "beginning", "--status", "DEAD", "-n", "2").want(t, ExitDone)

	taken(t, w)

	page := filepath.Join(t.TempDir(), "audit.html")
	a := w.onTerminal().run(t, "audit", "--whole", "--ledger", ledger, "--html", page).want(t, ExitDone)
	golden(t, "audit.txt", a.out)
	for _, part := range []string{"No promise is broken", "<td class=\"good\">kept", "Refunds by status", "Requests over time", "Endings over time", "Time from the first delivery"} {
		if !strings.Contains(readFile(t, page), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	w.run(t, "audit", "--since", "1h", "--until", "0s").want(t, ExitDone).says(t, `"refunds":3`, `"books":"none"`)
	w.run(t, "audit", "--since", "2h", "--until", "1h").want(t, ExitDone).says(t, `"requests":0`)
	w.run(t, "audit", "--merchant", "shop-th").want(t, ExitDone).says(t, `"refunds":0`)

	t.Run("paid twice", func(t *testing.T) {
		book := `{"provider":"eftpay","merchant":"S0003469","order":"order-audit-1","refund_no":"audit-1","amount":1}` + "\n"
		a := w.onTerminal().run(t, "audit", "--ledger", file(t, "book.jsonl", book+book), "--html", page, "-o", "wide").want(t, ExitWrong)
		golden(t, "audit_broken.txt", a.out)
		if text := readFile(t, page); !strings.Contains(text, "Broken promises") || !strings.Contains(text, "Findings by kind") || strings.Contains(text, "<script") {
			t.Error(text)
		}
	})
	t.Run("settlement", func(t *testing.T) {
		right := "Refund ID,Refunded,Sold\naudit-1,-0.01,x\naudit-2,-0.01,x\n"
		args := []string{"audit", "--column", "refund_no=Refund ID", "--column", "amount=Refunded", "--merchant", "S0003469", "--negative", "--settlement"}
		w.run(t, append(args, file(t, "s.csv", right))...).want(t, ExitDone).says(t, `"books":"partial"`, `"payments":2`)
		w.run(t, append(args, file(t, "s.csv", right), "--complete")...).want(t, ExitWrong).says(t, `"kind":"unpaid"`, "audit-3")
		w.run(t, append(args, file(t, "s.csv", strings.Replace(right, "-0.01", "-0.05", 1)))...).want(t, ExitWrong).says(t, `"kind":"wrong_amount"`)
		w.run(t, append(args, file(t, "s.csv", "Refund,Refunded\n"))...).want(t, ExitUsage).says(t, `no column "Refund ID"; there are: Refund, Refunded`)
		w.run(t, append(args, file(t, "s.csv", right+"audit-9,many,x\n"))...).want(t, ExitUsage).says(t, "line 4")
	})
	t.Run("mend", func(t *testing.T) {
		w.run(t, "audit", "--mend").want(t, ExitDone).says(t, "nothing to mend")
		p := parts(t, s.ConfigFile)
		var older kafka.Record // an event of a process that was frozen before it published
		if _, err := p.Kafka.Scan(t.Context(), p.Topics.Status, kafka.FromFirst(), func(r kafka.Record) error {
			if older.Key == nil && string(r.Key) == "S0003469/audit-1" {
				older = r
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := p.Producer.Write(t.Context(), kafka.Record{Topic: p.Topics.Status, Key: older.Key, Value: older.Value, Headers: older.Headers}); err != nil {
			t.Fatal(err)
		}
		w.run(t, "audit").want(t, ExitDone).says(t, `"kind":"stale_last"`, `"notes":1`)
		w.run(t, "audit", "--mend").want(t, ExitDone).says(t, "mended 1 of 1")
		var answer audited
		if err := json.Unmarshal([]byte(w.run(t, "audit").want(t, ExitDone).out), &answer); err != nil || answer.Notes != 0 {
			t.Errorf("%v: %+v", err, answer)
		}
		w.run(t, "show", "audit-1").want(t, ExitDone).says(t, `"what":"audit --mend"`, `"who":"tester"`, `"from":"testhost"`)
	})
}

func TestAuditPage(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	times := newOverTime()
	for i := range 300 {
		times.count(countRequests, at.Add(time.Duration(i)*time.Minute))
		status := refund.StatusSucceeded
		if i%10 == 0 {
			status = refund.StatusFailed
		}
		times.ended(refund.Record{FirstSeen: at, Last: refund.Event{Status: status, RecordedAt: at.Add(time.Duration(i) * time.Minute)}})
	}
	answer := audited{
		At: at, Until: at, Books: "complete", Requests: 300, Refunds: 300, Statuses: 600, Payments: 271, Final: map[string]int{"SUCCEEDED": 270, "FAILED": 30},
		Open: map[string]int{}, DeadLetters: map[string]int{"invalid": 2}, Broken: map[string]int{promises[2]: 1},
		Findings: []auditFinding{{2, "paid_twice", "S0003469", "R1", "2 payments of <one> refund"}},
	}
	verdict := func(promise int) string { return []string{1: "kept", 2: "BROKEN once", 3: "kept", 4: "kept"}[promise] }
	var page strings.Builder
	if err := writeAuditPage(&page, answer, verdict, times); err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{"<script", "NaN", "Inf", "ZgotmplZ", "<one>"} {
		if strings.Contains(page.String(), no) {
			t.Errorf("the page has %q", no)
		}
	}
	golden(t, "audit.html", page.String())
}

// Whatever is counted, the steps stay few, and nothing is lost when they become
// longer.
func TestOverTimeStaysSmall(t *testing.T) {
	times, at := newOverTime(), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 20_000 {
		times.count(countRequests, at.Add(time.Duration(i)*3*time.Hour))
	}
	sum := 0
	for _, counts := range times.steps {
		sum += counts[countRequests]
	}
	if len(times.steps) > mostSteps || sum != 20_000 {
		t.Errorf("%d steps, %d counted", len(times.steps), sum)
	}
	if shown := strings.Count(string(times.charts()[0]), "<g><title>"); shown > 100 {
		t.Errorf("%d columns", shown)
	}
}

// taken waits until the workers' group has committed every request.
func taken(t testing.TB, w world) {
	t.Helper()
	until(t, func() bool {
		for line := range strings.Lines(w.run(t, "offsets", "show").want(t, ExitDone).out) {
			if strings.Contains(line, `"refund.requests"`) && !strings.Contains(line, `"lag":0`) {
				return false
			}
		}
		return true
	})
}

func TestAuditUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--since", "1h", "--until", "2h"}, "not before"},
		{[]string{"--since", "1h", "--whole"}, "contradicts"},
		{[]string{"--since", "x"}, "--since"},
	} {
		down().run(t, append([]string{"audit"}, c.args...)...).want(t, ExitUsage).says(t, c.says)
	}
	down().run(t, "audit", "--timeout", "300ms").want(t, ExitUnreachable)
	noRecords(t).run(t, "audit", "--whole").want(t, ExitDone).says(t, `"ok":true`, `"requests":0`)
	noRecords(t).run(t, "audit", "--ledger", "http://127.0.0.1:1/ledger").want(t, ExitUsage)
	noRecords(t).run(t, "audit", "--ledger", file(t, "l", `{"merchant":"gone","refund_no":"1","amount":1}`)).want(t, ExitUsage).says(t, `line 1: merchant "gone"`)
}
