package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/sandbox"
)

// sample is one thing that the sandbox shows: what is published, what the gateway
// does, and what must come of it.
type sample struct {
	title   string
	prepare func(*gatewaysim.Sim) error
	publish []string // messages of the request topic, as they are
	forge   string   // a forged callback about this refund number, when the refund has ended
	ends    []ending
}

// ending is what must come of a refund, or of a message that is no request.
type ending struct {
	key    refund.Key
	status refund.Status
	dead   refund.Reason // in place of a status
	says   string        // part of the event's why
}

// request is a message in the form of the contract.
type request map[string]string

func (r request) with(changes request) request {
	out := request{}
	for _, fields := range []request{r, changes} {
		for name, value := range fields {
			out[name] = value
		}
	}
	return out
}

func (r request) json() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // a map of strings
	}
	return string(text)
}

// The requests of the vendors' own examples: eftPay's refund page, its
// notification page, and BluePay's 5.1.
var (
	weChat = request{
		"refund_no": "201901010011", "merchant": sandbox.EftPayMerchant, "order_no": "rrn_1686280006045",
		"amount": "0.01", "order_amount": "10.01", "currency": "HKD", "method": "WeChat", "wallet": "WECHATCN",
		"terminal": "tid_3378", "flow": "refund", "reason": "test测试退款",
	}
	apply = weChat.with(request{
		"refund_no": "R_rrn_1686280005985", "order_no": "rrn_1686280005985", "amount": "0.29", "order_amount": "0.29", "flow": "apply",
	})
	bluePay = request{
		"refund_no": "refund488455057142", "merchant": sandbox.BluePayMerchant, "transaction_id": "CU518563189147832780",
		"amount": "100.00", "order_amount": "100.00", "currency": "THB", "reason": "testRefund",
	}
)

func samples() []sample {
	eftPay := func(no string, status refund.Status, says string) ending {
		return ending{key: refund.Key{Merchant: sandbox.EftPayMerchant, RefundNo: no}, status: status, says: says}
	}
	return []sample{
		{
			title:   "A WeChat refund, the example of eftPay's page",
			publish: []string{weChat.json()},
			ends:    []ending{eftPay("201901010011", refund.StatusSucceeded, "TRADE_REFUND")},
		},
		{
			title: "An Alipay refund",
			publish: []string{weChat.with(request{
				"refund_no": "201901010012", "order_no": "rrn_1686280006046", "method": "Alipay", "wallet": "ALIPAYCN",
			}).json()},
			ends: []ending{eftPay("201901010012", refund.StatusSucceeded, "TRADE_REFUND")},
		},
		{
			title:   "A WeChat refund application, ended by its callback",
			publish: []string{apply.json()},
			ends:    []ending{eftPay("R_rrn_1686280005985", refund.StatusSucceeded, "TRADE_CLOSED")},
		},
		{
			title:   "A BluePay refund, ended by its callback",
			publish: []string{bluePay.json()},
			ends:    []ending{{key: refund.Key{Merchant: sandbox.BluePayMerchant, RefundNo: "refund488455057142"}, status: refund.StatusSucceeded, says: "COMPLETE"}},
		},
		{
			title: "A full refund closes the trade",
			publish: []string{weChat.with(request{
				"refund_no": "10000000001", "order_no": "20190823191819", "amount": "10.01",
			}).json()},
			ends: []ending{eftPay("10000000001", refund.StatusSucceeded, "TRADE_CLOSED")},
		},
		{
			title: "A refund that the gateway declines",
			prepare: func(sim *gatewaysim.Sim) error {
				return sim.Script("201901010013", gatewaysim.Step{Result: gatewaysim.Decline})
			},
			publish: []string{weChat.with(request{"refund_no": "201901010013", "order_no": "rrn_1686280006047"}).json()},
			ends:    []ending{eftPay("201901010013", refund.StatusFailed, "TRADE_FAIL")},
		},
		{
			title:   "The gateway call times out after the money moved: a query finds it, nothing is sent again",
			prepare: func(sim *gatewaysim.Sim) error { return sim.Script("201901010014", gatewaysim.TimeOutAfter()) },
			publish: []string{weChat.with(request{"refund_no": "201901010014", "order_no": "rrn_1686280006048"}).json()},
			ends: []ending{
				eftPay("201901010014", refund.StatusUnknown, ""), eftPay("201901010014", refund.StatusSucceeded, "TRADE_REFUND"),
			},
		},
		{
			title: "The same request twice: one payment",
			publish: []string{
				weChat.with(request{"refund_no": "201901010015", "order_no": "rrn_1686280006049"}).json(),
				weChat.with(request{"refund_no": "201901010015", "order_no": "rrn_1686280006049"}).json(),
			},
			ends: []ending{
				eftPay("201901010015", refund.StatusSucceeded, "TRADE_REFUND"), eftPay("201901010015", refund.StatusSucceeded, "again"),
			},
		},
		{
			title: "Two partial refunds that exceed the order's total: the second is refused here",
			publish: []string{
				weChat.with(request{"refund_no": "201901010016", "order_no": "rrn_1686280006050", "amount": "6.00", "order_amount": "10.00"}).json(),
				weChat.with(request{"refund_no": "201901010017", "order_no": "rrn_1686280006050", "amount": "6.00", "order_amount": "10.00"}).json(),
			},
			ends: []ending{
				eftPay("201901010016", refund.StatusSucceeded, "TRADE_REFUND"),
				eftPay("201901010017", refund.StatusRejected, refund.CodeOverOrderTotal),
			},
		},
		{
			title:   "A message that is no JSON: to the dead letters, its bytes unchanged",
			publish: []string{`{"refund_no": "201901010018", "merchant": `},
			ends:    []ending{{dead: refund.ReasonUndecodable}},
		},
		{
			title: "A forged callback says that a declined refund succeeded: 401, nothing changes",
			forge: "201901010013",
		},
	}
}

// forgeCallback sends it and answers one line about what came back.
func forgeCallback(ctx context.Context, system *sandbox.System, refundNo string) (string, error) {
	url := system.Bridge + "/v1/callbacks/" + sandbox.EftPayMerchant
	reply, err := system.Gateways.Forge(ctx, sandbox.EftPayMerchant, refundNo, url)
	if err != nil {
		return "", err
	}
	line := fmt.Sprintf("the bridge answers %d", reply.HTTPStatus)
	if reply.HTTPStatus != 401 {
		return line, fmt.Errorf("a forged callback was answered with %d, not 401", reply.HTTPStatus)
	}
	return line, nil
}
