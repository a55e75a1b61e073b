package gatewaysim

import (
	"fmt"
	"time"
)

// Behaviour is a named script. With Config.MagicAmounts a refund of exactly
// Amount minor units shows it, and a Generator's rates name it.
type Behaviour struct {
	// Amount in minor units: 90001 is 900.01.
	Amount int64
	Name   string
	// Text is one line for people.
	Text   string
	script func(provider string) Script
}

// Script is the behaviour written for a provider.
func (b Behaviour) Script(provider string) Script { return b.script(provider) }

// magicBase is the first magic amount less one.
const magicBase = 90000

// Behaviours answers the table of the package doc, in its order.
func Behaviours() []Behaviour {
	all := make([]Behaviour, 0, len(behaviours))
	for i, b := range behaviours {
		b.Amount = magicBase + int64(i) + 1
		all = append(all, b)
	}
	return all
}

// Named answers the behaviour of a name.
func Named(name string) (Behaviour, error) {
	for _, b := range Behaviours() {
		if b.Name == name {
			return b, nil
		}
	}
	return Behaviour{}, fmt.Errorf("gatewaysim: no behaviour %q: see the table of the package doc", name)
}

func magic(provider string, amount int64) (Script, bool) {
	i := amount - magicBase - 1
	if i < 0 || i >= int64(len(behaviours)) {
		return Script{}, false
	}
	return behaviours[i].Script(provider), true
}

// lateBy is how long after the call land_late lands: past any client's
// deadline, within its deadline plus the minute that resend_after waits.
const lateBy = 20 * time.Second

// The table. A line's place is its magic amount: append only.
var behaviours = []Behaviour{
	call("timeout_before", "never answered, no money moved", TimeOutBefore()),
	call("timeout_after", "money moved, never answered", TimeOutAfter()),
	call("land_late", "never answered, money moves 20 s after the call", LandLate(lateBy)),
	call("reset_before", "connection reset, no money moved", ResetBefore()),
	call("reset_after", "money moved, connection reset", ResetAfter()),
	call("error_before", "500 with HTML, no money moved", ErrorBefore()),
	call("error_after", "money moved, 500 with HTML", ErrorAfter()),
	call("garbage", "money moved, answer is no JSON", Step{Result: Succeed, Answer: Garbage}),
	call("unsigned", "money moved, answer unsigned (eftPay)", Step{Result: Succeed, Answer: Unsigned}),
	call("bad_sign", "money moved, answer badly signed (eftPay)", Step{Result: Succeed, Answer: BadSign}),
	call("unknown_status", "money moved, status that no page lists", Step{Result: Succeed, Answer: UnknownStatus}),
	call("unknown_code", "money moved, code that no page lists", Step{Result: Succeed, Answer: UnknownCode}),
	call("drip", "money moved, answer comes a byte a second", Step{Result: Succeed, Answer: Drip}),
	call("oversized", "money moved, answer of 8 MiB", Step{Result: Succeed, Answer: Oversized}),
	call("redirect", "307 to itself; who follows it pays there", Step{Result: Nothing, Answer: Redirect}),
	call("slow", "answers after 5 s", Step{Delay: 5 * time.Second}),
	call("decline", "refused for good", Step{Result: Decline}),
	call("fail_later", "taken, fails 2 s later", Step{Result: Fail, SettleAfter: 2 * time.Second}),
	call("cancel_later", "taken, cancelled 2 s later (BluePay)", Step{Result: Cancel, SettleAfter: 2 * time.Second}),
	call("settle_later", "taken, succeeds 30 s later", Step{Result: Succeed, SettleAfter: 30 * time.Second}),
	call("stuck", "taken, stays open for ever", Step{Result: Process}),
	whole("settle_by_query", "taken, the second query ends it, no callback", Script{
		Calls: []Step{{Result: Process}}, Queries: []Step{{}, {Result: Succeed}}, Notifications: []Notification{{Skip: true}}}),
	call("system_error_before", "eftPay 51, BluePay 21000; no money moved", Step{Code: systemError, Result: Nothing}),
	call("system_error_after", "money moved, eftPay 51, BluePay 21000", Step{Code: systemError, Result: Succeed}),
	{Name: "later", Text: "twice refused for now: BluePay 21014, eftPay HTTP 429", script: refusedForNow},
	call("other_refund", "money moved, answer about another refund", Step{Result: Succeed, Answer: OtherRefund}),
	call("other_amount", "money moved, answer with another amount", Step{Result: Succeed, Answer: OtherAmount}),
	call("contradict", "money moved, answer says failed", Step{Result: Succeed, Answer: Contradict}),
	whole("reverse", "succeeds, the first query finds it taken back", Script{
		Calls: []Step{{Result: Succeed}}, Queries: []Step{{Result: Reverse}}}),
	whole("query_fails", "money moved, never answered; three queries fail", Script{
		Calls: []Step{TimeOutAfter()}, Queries: []Step{{Answer: Reset}, {Answer: HTML}, {Answer: Garbage}}}),
	notify("callback_lost", "ends without a callback", Notification{Skip: true}),
	notify("callback_doubled", "callback twice at once", Notification{}, Notification{}),
	notify("callback_late", "callback 5 min late", Notification{After: 5 * time.Minute}),
	notify("callback_overtaken", "final callback, then an older one", Notification{}, Notification{After: time.Second, Status: stillOpen, Once: true}),
	notify("callback_forged", "forged callback, then the true one", Notification{Sign: SignForeign, Once: true}, Notification{After: time.Second}),
	notify("callback_amount", "callback with another amount, then the true one", Notification{Amount: 1, Once: true}, Notification{After: time.Second}),
	whole("callback_first", "callback before the answer to the call", Script{
		Calls: []Step{{Result: Succeed}}, Notifications: []Notification{{BeforeAnswer: true}}}),
}

// Values that are written out per provider.
const (
	systemError = "\x00system error"
	stillOpen   = "\x00open"
)

func call(name, text string, st Step) Behaviour { return whole(name, text, Script{Calls: []Step{st}}) }

func notify(name, text string, ns ...Notification) Behaviour {
	return whole(name, text, Script{Notifications: ns})
}

func whole(name, text string, sc Script) Behaviour {
	return Behaviour{Name: name, Text: text, script: func(provider string) Script {
		out := Script{Queries: append([]Step(nil), sc.Queries...)}
		for _, st := range sc.Calls {
			if st.Code == systemError {
				st.Code, st.Message = "51", "refund failed: SYSTEM_EXCEPTION"
				if provider == ProviderBluePay {
					st.Code, st.Message = "21000", ""
				}
			}
			out.Calls = append(out.Calls, st)
		}
		for _, n := range sc.Notifications {
			if n.Status == stillOpen {
				n.Status = "TRADE_PROCESSING"
				if provider == ProviderBluePay {
					n.Status = "PENDING"
				}
			}
			out.Notifications = append(out.Notifications, n)
		}
		return out
	}}
}

func refusedForNow(provider string) Script {
	if provider == ProviderBluePay {
		return Script{Calls: []Step{{Code: "21014", Times: 2}}}
	}
	return Script{Calls: []Step{{Result: Nothing, Answer: HTML, HTTPStatus: 429, Times: 2}}}
}
