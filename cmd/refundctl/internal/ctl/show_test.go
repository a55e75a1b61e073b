package ctl

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/refund"
)

func TestShowAFinishedRefund(t *testing.T) {
	no := numbers(t)
	request := weChat(no("show-done"))
	up(t).reading(lines(request)).run(t, "submit", "-", "--wait").want(t, ExitDone)
	up(t).reading(lines(request)).run(t, "submit", "-", "--wait").want(t, ExitDone)
	up(t).reading(lines(with(request, "amount", "0.02"))).run(t, "submit", "-", "--wait").want(t, ExitWrong)
	until(t, func() bool {
		return !strings.Contains(up(t).onTerminal().run(t, "show", no("show-done")).out, "not yet")
	})
	a := up(t).onTerminal().run(t, "show", no("show-done")).want(t, ExitDone)
	golden(t, "show_done.txt", a.out)
	a = up(t).onTerminal().run(t, "show", no("show-done"), "-o", "wide", "--merchant", "S0003469", "--since", "1h").want(t, ExitDone)
	a.says(t, "PLACE", "refund.status/")
	a = up(t).run(t, "show", no("show-done")).want(t, ExitDone)
	var v struct {
		Next     []string
		Requests []struct{ Taken bool }
		Timeline []struct {
			Sequence int64
			Status   string
			Again    bool
		}
		Record    struct{ Status, Holds string }
		Dead      []struct{ Reason string } `json:"dead_letters"`
		Operators []entry
	}
	if err := json.Unmarshal([]byte(a.out), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Requests) != 3 || len(v.Timeline) != 3 || !v.Timeline[2].Again || v.Record.Holds != "succeeded" || len(v.Dead) != 1 || v.Dead[0].Reason != "conflict" {
		t.Errorf("%+v", v)
	}
}

func TestShowAnOpenRefund(t *testing.T) {
	no := numbers(t)
	if err := theSystem(t).Gateways.SetScript(no("show-open"), gatewaysim.Script{
		Calls: []gatewaysim.Step{{Result: gatewaysim.Process}}, Notifications: []gatewaysim.Notification{{Skip: true}},
	}); err != nil {
		t.Fatal(err)
	}
	up(t).reading(lines(weChat(no("show-open"), "flow", "apply"))).run(t, "submit", "-").want(t, ExitDone)
	until(t, func() bool {
		return strings.Contains(up(t).onTerminal().run(t, "show", no("show-open")).out, "goes on with it")
	})
	a := up(t).onTerminal().run(t, "show", no("show-open")).want(t, ExitDone)
	a.says(t, "PENDING (open)", "The gateway has it and has not ended it.", "The gateway is asked in", "unless its callback comes first", "follow-up", "its amount counts as reserved")

	a = up(t).onTerminal().run(t, "list", "--open", "--merchant", "S0003469", "--limit", "0").want(t, ExitDone)
	a.says(t, no("show-open"), "PENDING")
	a = up(t).run(t, "list", "--status", "pending", "--older-than", "100h").want(t, ExitDone)
	if a.out != "" {
		t.Errorf("lists what is younger: %s", a.out)
	}
	a = up(t).run(t, "list", "--open", "--since", "1h", "--limit", "0").want(t, ExitDone)
	a.says(t, fmt.Sprintf("%q", no("show-open")), `"age_ms":`)
}

// until repeats a look at the running system until it is true, or fails.
func until(t testing.TB, look func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !look(); {
		if time.Now().After(deadline) {
			t.Fatal("it never became so")
		}
	}
}

func TestShowWithoutRedis(t *testing.T) {
	no := numbers(t)
	up(t).reading(lines(weChat(no("show-no-redis")))).run(t, "submit", "-", "--wait").want(t, ExitDone)
	a := changedConfig(t, "addrs: ["+theSystem(t).Redis+"]", "addrs: [127.0.0.1:1]").onTerminal().
		run(t, "show", no("show-no-redis"), "--timeout", "500ms").want(t, ExitDone)
	a.says(t, "SUCCEEDED", "Redis could not be asked", "Nothing: the money moved.")
}

func TestShowADeadLetterOfNoMerchant(t *testing.T) {
	no := numbers(t)
	s := theSystem(t)
	publish(t, s.ConfigFile, `{"refund_no":"`+no("show-dead")+`","merchant":"gone","order_no":"1","amount":"1.00","order_amount":"1.00","currency":"HKD"}`)
	until(t, func() bool {
		return strings.Contains(up(t).onTerminal().run(t, "show", no("show-dead")).out, "It is a dead letter")
	})
	up(t).onTerminal().run(t, "show", no("show-dead")).want(t, ExitDone).says(t, "put the merchant into the configuration")
}

func TestShowUsage(t *testing.T) {
	t.Parallel()
	up(t).run(t, "show", "nobody-knows-it").want(t, ExitWrong).says(t, "nothing is known of refund nobody-knows-it")
	up(t).run(t, "show", "x", "--merchant", "nobody").want(t, ExitUsage)
	up(t).run(t, "show", "x", "--since", "soon").want(t, ExitUsage)
	up(t).run(t, "show").want(t, ExitUsage)
	up(t).run(t, "list", "--older-than", "x").want(t, ExitUsage)
	up(t).run(t, "list", "--status", "DEAD").want(t, ExitUsage)
	for _, command := range [][]string{{"show", "x"}, {"list"}} {
		down().run(t, append(command, "--timeout", "300ms")...).want(t, ExitUnreachable)
		noTopics(t).run(t, command...).want(t, ExitUsage).says(t, "topic not found")
	}
	noRecords(t).run(t, "show", "x").want(t, ExitWrong)
	if a := noRecords(t).run(t, "list", "--open").want(t, ExitDone); a.out != "" {
		t.Errorf("lists %s", a.out)
	}
}

// Each state of a refund, and what is said of it.
func TestNext(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	status := func(s refund.Status, code string) []event {
		return []event{{status: events.Status{Event: refund.Event{Sequence: 2, Status: s, Code: code, Matched: true}, Final: s.Final()}}}
	}
	rec := func(change func(*refund.Record)) *record {
		r := refund.Record{Last: refund.Event{Sequence: 2, Status: refund.StatusPending}, Published: 2, FollowUp: 1, Place: "refund.delay.1m/0/5", StoreTime: now}
		change(&r)
		return recordOf(r)
	}
	plain := func(*refund.Record) {}
	later := waiting{Place: "refund.delay.1m/0/7", Due: now.Add(time.Minute), Cause: "follow-up", FollowUp: 2, GoesOn: true}
	for _, c := range []struct {
		name  string
		view  view
		says  string
		stuck bool
	}{
		{"not read", view{Requests: []asked{{Place: "refund.requests/3/17", Behind: 4}}}, "waits to be read at refund.requests/3/17; 4 messages", false},
		{"parked", view{Requests: []asked{{Taken: true}}, Waits: []waiting{{Due: now.Add(5 * time.Second), Cause: "parked", GoesOn: true}}}, "taken in 5s: parked", false},
		{"dead", view{Requests: []asked{{Taken: true}}, DeadLetters: []*letter{{Reason: "conflict"}}}, "needs a new number", false},
		{"lost", view{Requests: []asked{{Taken: true}}}, "refundctl audit", true},
		{"succeeded", view{Timeline: status(refund.StatusSucceeded, "")}, "Nothing: the money moved.", false},
		{"failed", view{Timeline: status(refund.StatusFailed, "51")}, "needs a new refund_no", false},
		{"rejected", view{Timeline: status(refund.StatusRejected, refund.CodeFieldLimit)}, "refused here before any call (field_limit)", false},
		{"disputed", view{Timeline: status(refund.StatusSucceeded, ""), Record: rec(func(r *refund.Record) { r.Last.Status, r.Doubt = refund.StatusSucceeded, true }), Waits: []waiting{later}}, "the gateway is asked in 1m00s", false},
		{"disputed and forgotten", view{Timeline: status(refund.StatusSucceeded, ""), Record: rec(func(r *refund.Record) { r.Last.Status, r.Doubt = refund.StatusSucceeded, true })}, "nothing waits to ask", true},
		{"on hold", view{Timeline: status(refund.StatusWaiting, refund.CodeOnHold), Waits: []waiting{{Due: now, Cause: "parked", GoesOn: true}}}, "refundctl release", false},
		{"misconfigured", view{Timeline: status(refund.StatusWaiting, refund.CodeMisconfigured), Waits: []waiting{{Due: now, Cause: "retry", GoesOn: true}}}, "gateway ping", false},
		{"asked about", view{Timeline: status(refund.StatusUnknown, ""), Record: rec(plain), Waits: []waiting{later}}, "asked in 1m00s (follow-up 2)", false},
		{"overdue", view{Timeline: status(refund.StatusUnknown, ""), Waits: []waiting{{Due: now.Add(-time.Minute), FollowUp: 1, GoesOn: true}}}, "asked now (due for 1m00s)", false},
		{"a call under way", view{Timeline: status(refund.StatusPending, ""), Record: rec(func(r *refund.Record) { r.LeaseEnd = now.Add(10 * time.Second) })}, "lease on it runs for another 10s", false},
		{"accepted", view{Timeline: status(refund.StatusPending, ""), Record: rec(func(r *refund.Record) { r.Accepted = true }), Waits: []waiting{later}}, "The gateway has it", false},
		{"review", view{Timeline: status(refund.StatusReview, ""), Waits: []waiting{later}}, "refundctl resolve", false},
		{"forgotten", view{Timeline: status(refund.StatusUnknown, ""), Record: rec(plain)}, "Nothing waits for it", true},
		{"only the ends of chains", view{Timeline: status(refund.StatusUnknown, ""), Record: rec(plain), Waits: []waiting{
			{chain: "refund.delay.1m/0/4", FollowUp: 1, GoesOn: true}, {chain: "refund.delay.1m/0/3", FollowUp: 1, GoesOn: true}}}, "Nothing waits for it", true},
		{"parked within its chain", view{Timeline: status(refund.StatusUnknown, ""), Record: rec(plain), Waits: []waiting{
			{Place: "refund.delay.5m/0/9", chain: "refund.delay.1m/0/5", Due: now.Add(time.Minute), FollowUp: 1, GoesOn: true}}}, "asked in 1m00s (follow-up 1)", false},
		{"not published", view{Timeline: status(refund.StatusPending, ""), Record: rec(func(r *refund.Record) { r.Last.Sequence, r.LeaseEnd = 3, now.Add(1) })}, "not known to be published (sequence 3)", false},
		{"an older event behind a newer one", view{Timeline: append(status(refund.StatusSucceeded, ""), event{status: events.Status{Event: refund.Event{Sequence: 1, Status: refund.StatusPending}}})}, "the money moved", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.view.conclude(now, 72*time.Hour)
			if words := strings.Join(c.view.Next, "\n"); !strings.Contains(words, c.says) || c.view.Stuck != c.stuck {
				t.Errorf("stuck %v: %s\nwant %v: %s", c.view.Stuck, words, c.stuck, c.says)
			}
		})
	}
}
