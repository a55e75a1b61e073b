package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
)

// bury writes messages to the dead letters, as a worker that panicked on them.
func bury(t testing.TB, p app.Parts, requests ...map[string]string) {
	t.Helper()
	for i, request := range requests {
		headers := []kafka.Header{
			{Key: "x-publisher", Value: []byte("shop")}, {Key: "refund-origin", Value: []byte("refund.requests/0/99")},
			{Key: "dlq-reason", Value: []byte("internal")}, {Key: "dlq-error", Value: []byte("3 tries, the last: panic: boom")},
			{Key: "dlq-topic", Value: []byte(p.Topics.Requests)}, {Key: "dlq-partition", Value: []byte("0")}, {Key: "dlq-offset", Value: []byte(fmt.Sprint(1000 + i))},
			{Key: "dlq-attempts", Value: []byte("1")}, {Key: "dlq-first-failed-at", Value: []byte("2026-11-22T10:00:00Z")}, {Key: "dlq-last-failed-at", Value: []byte("2026-11-22T10:00:00Z")},
		}
		record := kafka.Record{Topic: p.Topics.DeadLetters, Key: []byte(request["order_no"]), Value: object(request), Headers: headers}
		if err := p.Producer.Write(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
}

// published are the refund numbers of the request topic whose message has a key, in
// order.
func published(t testing.TB, p app.Parts, key string) (numbers []string, headers []kafka.Header) {
	t.Helper()
	_, err := p.Kafka.Scan(t.Context(), p.Topics.Requests, kafka.FromFirst(), func(r kafka.Record) error {
		if string(r.Key) == key {
			request, err := events.DecodeRequest(r.Value, nil)
			if err != nil {
				return err
			}
			numbers, headers = append(numbers, request.RefundNo), r.Headers
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return numbers, headers
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	s, w := ownSystem(t)
	p := parts(t, s.ConfigFile)
	for i, message := range []string{ // one after another: lanes of different orders run side by side
		`{"refund_no": `, `{"refund_no": "x`, string(object(weChat("d1", "merchant", "gone"))), string(object(weChat("d2", "amount", "1.001"))), string(object(weChat("d3", "amount", "2.002"))),
	} {
		publish(t, s.ConfigFile, message)
		w.run(t, "watch", "--from", "beginning", "--status", "DEAD", "-n", fmt.Sprint(i+1)).want(t, ExitDone)
	}

	golden(t, "dlq_groups.txt", w.onTerminal().run(t, "dlq").want(t, ExitDone).out) // the default view
	golden(t, "dlq_groups.txt", w.onTerminal().run(t, "dlq", "groups").want(t, ExitDone).out)
	a := w.run(t, "dlq", "ls", "--kind", "unknown_merchant").want(t, ExitDone)
	var one letter
	if err := json.Unmarshal([]byte(a.out), &one); err != nil || one.Merchant != "gone" || one.RefundNo != "d1" || one.State != stateOpen || one.Attempts != 1 {
		t.Errorf("%v: %s", err, a.out)
	}
	if a := w.run(t, "dlq", "ls", "--grep", "2.002").want(t, ExitDone); strings.Count(a.out, "\n") != 1 {
		t.Errorf("grep: %s", a.out)
	}
	w.onTerminal().run(t, "dlq", "show", one.ID).want(t, ExitDone).says(t, "would be left: it would come back", "header", "dlq-reason: unknown_merchant", `"merchant":"gone"`)
	w.run(t, "dlq", "show", "9/9").want(t, ExitWrong)

	t.Run("drop", func(t *testing.T) {
		w.run(t, "dlq", "drop", "--kind", "undecodable", "--reason", "a test of the publisher's").want(t, ExitDone).says(t, "2 dead letters would be dropped")
		w.run(t, "dlq", "drop", "--kind", "undecodable", "--reason", "a test of the publisher's", "--yes").want(t, ExitDone).says(t, "2 of 2 dead letters dropped")
		if a := w.run(t, "dlq", "ls", "--kind", "undecodable").want(t, ExitDone); a.out != "" {
			t.Errorf("still there: %s", a.out)
		}
		w.run(t, "dlq", "ls", "--kind", "undecodable", "--state", "dropped").want(t, ExitDone).says(t, `"state":"dropped"`)
		golden(t, "trail.txt", w.onTerminal().run(t, "trail", "--what", "dlq drop", "--all").want(t, ExitDone).out)
	})

	t.Run("redrive leaves what would come back", func(t *testing.T) {
		a := w.onTerminal().run(t, "dlq", "redrive", "--reason", "try").want(t, ExitDone)
		golden(t, "redrive_left.txt", a.out+a.err)
	})

	t.Run("redrive", func(t *testing.T) {
		w.reading(lines(weChat("done"))).run(t, "submit", "-", "--wait").want(t, ExitDone)
		bury(t, p, weChat("r1", "order_no", "or"), weChat("r2", "order_no", "or"), weChat("done"), weChat("done", "amount", "5.00"), weChat("r3", "order_no", "or"))
		golden(t, "redrive_plan.txt", w.onTerminal().run(t, "dlq", "redrive", "--kind", "internal", "--reason", "fixed").want(t, ExitDone).out)
		if got, _ := published(t, p, "or"); len(got) != 0 {
			t.Fatalf("a dry run published %v", got)
		}
		a := w.onTerminal().run(t, "dlq", "redrive", "--kind", "internal", "--reason", "fixed", "--yes").want(t, ExitDone)
		a.says(t, "3 published, 3 SUCCEEDED")
		got, headers := published(t, p, "or")
		if strings.Join(got, " ") != "r1 r2 r3" {
			t.Errorf("the order's letters were published as %v", got)
		}
		for _, h := range headers {
			if h.Key == "refund-origin" {
				t.Error("a header of delay topics is on the request topic")
			}
		}
		if !slices.ContainsFunc(headers, func(h kafka.Header) bool { return h.Key == "dlq-attempts" }) {
			t.Error("attempts do not go on counting")
		}
		w.run(t, "dlq", "redrive", "--kind", "internal", "--reason", "again", "--yes").want(t, ExitDone).says(t, "nothing to redrive")
		for i := range 30 { // a long plan is told in groups
			bury(t, p, weChat("done", "amount", fmt.Sprintf("%d.00", i+2)))
		}
		w.onTerminal().run(t, "dlq", "redrive", "--kind", "internal", "--grep", ".00", "--reason", "x").want(t, ExitDone).says(t, "COUNT", "it would come back: refund_no done is SUCCEEDED with other content", "-o wide shows each letter")
		w.run(t, "audit").want(t, ExitDone)
		w.run(t, "show", "r2").want(t, ExitDone).says(t, `"state":"redriven"`, `"why":"fixed"`)
	})

	t.Run("loops are capped", func(t *testing.T) {
		// refundctl knows a merchant that the worker does not: its letters come back.
		more := world{config: file(t, "more.yaml", strings.Replace(readFile(t, changedConfigOf(t, s.ConfigFile)), "merchants:\n", "merchants:\n"+
			"  - {name: gone, provider: eftpay, base_url: http://127.0.0.1:1, currency: HKD, timeout: 1s, eftpay: {user_confirm_key: S1, secret: canary-secret-7f3a}}\n", 1))}
		for attempts := 2; attempts <= 3; attempts++ {
			more.run(t, "dlq", "redrive", "--kind", "unknown_merchant", "--reason", "try", "--yes", "--max-attempts", "3").want(t, ExitWrong).says(t, `"back":1`)
			w.run(t, "dlq", "ls", "--kind", "unknown_merchant").want(t, ExitDone).says(t, fmt.Sprintf(`"attempts":%d`, attempts))
		}
		more.run(t, "dlq", "redrive", "--kind", "unknown_merchant", "--reason", "try", "--yes", "--max-attempts", "3").want(t, ExitDone).says(t, "it has failed 3 times", "nothing to redrive")
	})

	t.Run("Ctrl-C and on", func(t *testing.T) {
		bury(t, p, weChat("c1", "order_no", "oc"), weChat("c2", "order_no", "oc"), weChat("c3", "order_no", "oc"))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan answer)
		interrupted := w.within(ctx)
		go func() {
			ended <- interrupted.run(t, "dlq", "redrive", "--kind", "internal", "--reason", "slowly", "--rate", "0.001", "--yes")
		}()
		until(t, func() bool { got, _ := published(t, p, "oc"); return len(got) == 1 })
		cancel()
		if a := <-ended; a.code != ExitInterrupted || !strings.Contains(a.err, "1 of 3 were published; the same command goes on") {
			t.Errorf("%d: %s", a.code, a.err)
		}
		w.run(t, "dlq", "redrive", "--kind", "internal", "--reason", "slowly", "--yes").want(t, ExitDone).says(t, `"published":2`)
		if got, _ := published(t, p, "oc"); strings.Join(got, " ") != "c1 c2 c3" {
			t.Errorf("published %v", got)
		}
		w.run(t, "trail", "--what", "dlq redrive").want(t, ExitDone).says(t, `"phase":"failed"`, `"phase":"done"`)
	})
}

// changedConfigOf is a configuration whose key files are named in full.
func changedConfigOf(t testing.TB, name string) string {
	t.Helper()
	return absolute(t, name, readFile(t, name))
}

func TestDeadLettersUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"redrive"}, "--reason TEXT is missing"},
		{[]string{"redrive", "--reason", " ", "--yes"}, "--reason TEXT is missing"},
		{[]string{"drop", "--yes"}, "--reason TEXT is missing"},
		{[]string{"redrive", "--reason", "x", "--rate", "0"}, "above 0"},
		{[]string{"ls", "--kind", "broken"}, "want one of undecodable"},
		{[]string{"ls", "--state", "broken"}, "want open"},
		{[]string{"groups", "--since", "x"}, "--since"},
		{[]string{"show"}, "ID is missing"},
	} {
		down().run(t, append([]string{"dlq"}, c.args...)...).want(t, ExitUsage).says(t, c.says)
	}
	for _, command := range [][]string{{"dlq", "ls"}, {"dlq", "groups"}, {"dlq", "show", "0/0"}, {"dlq", "redrive", "--reason", "x"}, {"dlq", "drop", "--reason", "x"}, {"trail"}} {
		down().run(t, append(command, "--timeout", "300ms")...).want(t, ExitUnreachable)
	}
	if a := noRecords(t).run(t, "dlq", "groups").want(t, ExitDone); a.out != "" {
		t.Errorf("%s", a.out)
	}
	noRecords(t).run(t, "trail").want(t, ExitDone)
}
