package explorer

import (
	"maps"
	"slices"
	"time"

	"github.com/refundworker/refundworker/internal/gatewaysim"
)

// behaviour is how the gateway treats the first refund.
type behaviour struct {
	name    string
	script  gatewaysim.Script
	refuses time.Duration // it takes no connections at first
	stuck   bool          // it never ends the refund
}

func calls(steps ...gatewaysim.Step) gatewaysim.Script { return gatewaysim.Script{Calls: steps} }

// named takes one of the simulator's own.
func named(name string) behaviour {
	return behaviour{name: name, script: must(gatewaysim.Named(name)).Script(gatewaysim.ProviderEftPay)}
}

// latest is the last instant at which a call may land: its deadline and resend_after.
const latest = callTimeout + resendAfter - time.Millisecond

// behaviours are what a gateway may do within what is assumed of it.
var behaviours = []behaviour{
	{name: "well"},
	named("timeout_before"), named("timeout_after"), named("land_late"),
	{name: "land_latest", script: calls(gatewaysim.LandLate(latest))},
	named("reset_before"), named("reset_after"),
	{name: "reset_land_late", script: calls(gatewaysim.Step{LandAfter: latest, Answer: gatewaysim.Reset})},
	{name: "error_land_late", script: calls(gatewaysim.Step{LandAfter: latest, Answer: gatewaysim.HTML})},
	named("error_before"), named("error_after"), named("garbage"), named("unsigned"), named("bad_sign"),
	named("unknown_status"), named("unknown_code"), named("drip"), named("slow"), named("redirect"),
	named("decline"), named("fail_later"), named("settle_later"),
	{name: "settle_by_query", script: gatewaysim.Script{Calls: []gatewaysim.Step{{Result: gatewaysim.Process}},
		Queries: []gatewaysim.Step{{}, {Result: gatewaysim.Succeed, Times: -1}}, Notifications: []gatewaysim.Notification{{Skip: true}}}},
	named("system_error_before"), named("system_error_after"), named("later"),
	named("other_refund"), named("other_amount"), named("reverse"), named("query_fails"),
	named("callback_lost"), named("callback_doubled"), named("callback_late"), named("callback_overtaken"),
	named("callback_forged"), named("callback_amount"), named("callback_first"),
	{name: "refused", script: calls(gatewaysim.Respond("12"))},
	{name: "refused_then_timeout_after", script: calls(gatewaysim.Respond("12"), gatewaysim.TimeOutAfter())},
	{name: "declined_then_timeout_after", script: calls(gatewaysim.Step{Result: gatewaysim.Nothing, Fields: declinedFields}, gatewaysim.TimeOutAfter())},
	{name: "timeout_then_settles", script: calls(gatewaysim.Step{Result: gatewaysim.Succeed, SettleAfter: 12 * time.Second, Answer: gatewaysim.Hang})},
	{name: "lost_then_timeout_after", script: calls(gatewaysim.TimeOutBefore(), gatewaysim.TimeOutAfter())},
	{name: "lost_then_land_latest", script: calls(gatewaysim.TimeOutBefore(), gatewaysim.LandLate(latest))},
	{name: "lost_then_decline", script: calls(gatewaysim.TimeOutBefore(), gatewaysim.Step{Result: gatewaysim.Decline})},
	{name: "unreachable", refuses: 30 * time.Second},
	{name: "timeout_queries_unknown", script: gatewaysim.Script{Calls: []gatewaysim.Step{gatewaysim.TimeOutAfter()},
		Queries: []gatewaysim.Step{{Answer: gatewaysim.UnknownStatus}, {Answer: gatewaysim.Unsigned}, {Answer: gatewaysim.OtherRefund}, {Code: "51"}}}},
	{name: "stuck", script: calls(gatewaysim.Step{Result: gatewaysim.Process}), stuck: true},
}

// declinedFields make a signed answer that declines, of a refund that queries do not know afterwards.
var declinedFields = map[string]any{"return_status": "00", "return_char": "", "trade_status": "TRADE_FAIL", "refund_no": refundNoField}

// refundNoField stands for the refund's own number.
const refundNoField = "\x00refund_no"

// scriptOf is the behaviour's script for one refund.
func (b behaviour) scriptOf(no string) gatewaysim.Script {
	script := b.script
	script.Calls = slices.Clone(script.Calls)
	for i, step := range script.Calls {
		if step.Fields["refund_no"] == refundNoField {
			fields := maps.Clone(step.Fields)
			fields["refund_no"] = no
			script.Calls[i].Fields = fields
		}
	}
	return script
}

func behaviourOf(name string) behaviour {
	for _, b := range behaviours {
		if b.name == name {
			return b
		}
	}
	panic("no behaviour " + name)
}
