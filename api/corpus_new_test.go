package api_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/refund"
)

// What the corpus is made of. Add a case and run with -update; never change one.

const (
	traceParent = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	traceState  = "tracestate: a=b"
)

// contractRequest is the example of the contract.
const contractRequest = `{"refund_no":"201901010011","merchant":"S0003469","order_no":"rrn_1686280006045","transaction_id":"",` +
	`"amount":"0.01","order_amount":"10.01","currency":"HKD","method":"WeChat","wallet":"WECHATCN","terminal":"tid_3378",` +
	`"flow":"refund","reason":"test refund","requested_at":"2023-06-09T11:06:46+08:00"}`

func binaryHeaders(more ...string) []string {
	return append([]string{"content-type: application/json", "ce_specversion: 1.0", "ce_type: refund.requested.v1", "ce_id: 6f1c-1", "ce_source: /shop"}, more...)
}

func newRequests(t *testing.T) map[string]message {
	structured := []string{"content-type: application/cloudevents+json; charset=UTF-8"}
	envelope := func(data string) string {
		return `{"specversion":"1.0","type":"refund.requested.v1","id":"6f1c-1","source":"/shop","time":"2023-06-09T03:06:46Z",` + data + `}`
	}
	all := map[string]message{
		"binary":            {About: "CloudEvent in binary mode", Headers: binaryHeaders(), Value: contractRequest},
		"binary-traced":     {About: "with a trace context, which is carried to the status events", Headers: binaryHeaders(traceParent, traceState), Value: contractRequest},
		"binary-extensions": {About: "with attributes that nobody knows", Headers: binaryHeaders("ce_time: 2023-06-09T03:06:46Z", "ce_partitionkey: rrn_1686280006045", "x-shop: 7"), Value: contractRequest},
		"structured":        {About: "CloudEvent in structured mode", Headers: structured, Value: envelope(`"data":` + contractRequest)},
		"structured-base64": {About: "CloudEvent in structured mode, data in Base64", Headers: structured, Value: envelope(`"data_base64":"` + base64.StdEncoding.EncodeToString([]byte(contractRequest)) + `"`)},
		"bare":              {About: "bare JSON", Value: contractRequest},
		"bare-smallest":     {About: "only what is required", Value: `{"refund_no":"R-1","merchant":"S0003469","amount":"0.1","order_amount":"10","currency":"HKD"}`},
		"bare-nulls":        {About: "null and empty are the same as missing", Value: `{"refund_no":"R-1","merchant":"S0003469","order_no":"O-1","transaction_id":null,"amount":"0.10","order_amount":"10.00","currency":"HKD","method":"Alipay","wallet":"ALIPAYHK","terminal":null,"flow":"","reason":"","requested_at":null}`},
		"bare-unknown":      {About: "with fields that nobody knows", Value: `{"refund_no":"R-1","merchant":"S0003469","order_no":"O-1","amount":"00.10","order_amount":"10.00","currency":"HKD","lines":[{"sku":"7","amount":"9"}],"Amount":"9"}`},
		"bare-apply":        {About: "flow apply, characters beyond ASCII", Value: `{"refund_no":"R:1|a@b*c=d+e","merchant":"S0003469","order_no":"O-1","amount":"8.88","order_amount":"8.88","currency":"HKD","method":"WeChat","wallet":"WECHATHK","flow":"apply","reason":"退款 \"x\""}`},
		"bare-bluepay":      {About: "BluePay, whose order is the transaction", Value: `{"refund_no":"B1","merchant":"shop-th","transaction_id":"T20231109","amount":"20","order_amount":"100.00","currency":"THB"}`},
		"bare-yen":          {About: "a currency without decimals", Value: `{"refund_no":"Y1","merchant":"shop-jp","order_no":"O-1","amount":"1000","order_amount":"98000","currency":"JPY"}`},
		"bare-dinar":        {About: "a currency of three decimals", Value: `{"refund_no":"K1","merchant":"shop-kw","order_no":"O-1","amount":"0.005","order_amount":"1.5","currency":"KWD"}`},

		"refused-two-decimals-of-yen":   {About: "more decimals than the currency has", Value: `{"refund_no":"Y1","merchant":"shop-jp","amount":"10.00","order_amount":"98000","currency":"JPY"}`},
		"refused-every-field":           {About: "every field that breaks its rule is named", Value: `{"refund_no":"R 1","merchant":"a/b","order_no":"\u0000","transaction_id":"é","amount":0.01,"order_amount":"-1","currency":"hkd","flow":"later","requested_at":"yesterday"}`},
		"refused-duplicate-key":         {About: "two amounts in one message", Value: `{"refund_no":"R1","merchant":"S0003469","amount":"0.01","order_amount":"10.01","currency":"HKD","amount":"9.99"}`},
		"refused-not-json":              {About: "no JSON", Value: `refund_no=R1`},
		"refused-not-utf8":              {About: "no UTF-8", Base64: base64.StdEncoding.EncodeToString([]byte("{\"refund_no\":\"\xff\"}"))},
		"refused-other-type":            {About: "a CloudEvent of another type", Headers: append([]string{"ce_type: shop.order.v1", "ce_id: 1", "ce_source: /shop", "ce_specversion: 1.0"}, "content-type: application/json"), Value: contractRequest},
		"refused-part-of-an-event":      {About: "some attributes of a CloudEvent, not all", Headers: []string{"ce_type: refund.requested.v1"}, Value: contractRequest},
		"refused-cloudevents-avro":      {About: "a structured format that is not JSON", Headers: []string{"content-type: application/cloudevents+avro"}, Value: contractRequest},
		"refused-structured-duplicates": {About: "a key twice within the data of a structured event", Headers: structured, Value: envelope(`"data":{"refund_no":"R1","refund_no":"R2"}`)},
	}
	request, err := events.DecodeRequest([]byte(contractRequest), nil)
	if err != nil {
		t.Fatal(err)
	}
	value, hs := events.EncodeRequest(request)
	all["written-by-us"] = message{About: "written by refundctl submit", Headers: headerLines(hs), Value: string(value)}
	for name, m := range all {
		m.Topic, m.Key = "refund.requests", "rrn_1686280006045"
		all[name] = m
	}
	return all
}

type newStatus struct {
	about  string
	record refund.Record
}

func newStatuses() map[string]newStatus {
	at := time.Date(2026, 11, 22, 9, 30, 0, 250e6, time.UTC)
	thb, _ := refund.CurrencyOf("THB")
	jpy, _ := refund.CurrencyOf("JPY")
	base := func(status refund.Status, source refund.Source, sequence int64, change func(*refund.Record)) refund.Record {
		rec := refund.Record{
			Provider: "eftpay", Order: "rrn_1686280006045", FirstSeen: at.Add(-2 * time.Second),
			Request: refund.Request{
				Key: refund.Key{Merchant: "S0003469", RefundNo: "201901010011"}, OrderNo: "rrn_1686280006045",
				Amount: refund.Money{Minor: 1, Currency: hkd}, OrderAmount: refund.Money{Minor: 1001, Currency: hkd},
				Method: "WeChat", Wallet: "WECHATCN", Flow: refund.FlowRefund,
			},
			Last: refund.Event{Sequence: sequence, Epoch: 1, Status: status, Source: source, Matched: true, Attempt: 1, RecordedAt: at},
		}
		if !status.Final() { // dropped from a record once it is final
			rec.Request.Terminal, rec.Request.Reason = "tid_3378", "test refund"
			rec.Request.RequestedAt = time.Date(2023, 6, 9, 3, 6, 46, 0, time.UTC)
		}
		if change != nil {
			change(&rec)
		}
		return rec
	}
	bluepay := func(r *refund.Record) {
		r.Provider, r.Order = "bluepay", "T20231109"
		r.Request = refund.Request{
			Key: refund.Key{Merchant: "shop-th", RefundNo: "B1"}, TransactionID: "T20231109", Flow: refund.FlowRefund,
			Amount: refund.Money{Minor: 2000, Currency: thb}, OrderAmount: refund.Money{Minor: 10000, Currency: thb},
		}
	}
	told := func(word string) func(*refund.Record) {
		return func(r *refund.Record) {
			r.Last.ProviderStatus, r.Last.ProviderRefundID, r.Last.TransactionID = word, "7110", "4200001"
			r.Last.OccurredAt = at.Add(-time.Second)
		}
	}
	failed := func(code, text string) func(*refund.Record) {
		return func(r *refund.Record) { r.Last.Code, r.Last.Message = code, text }
	}
	both := func(a, b func(*refund.Record)) func(*refund.Record) {
		return func(r *refund.Record) { a(r); b(r) }
	}
	attempt := func(n int) func(*refund.Record) { return func(r *refund.Record) { r.Last.Attempt, r.Attempt = n, n } }
	return map[string]newStatus{
		"waiting-gateway-down":  {"not sent yet", base(refund.StatusWaiting, refund.FromWorker, 1001, both(failed("gateway_down", "gateway is down, tried again later"), attempt(0)))},
		"waiting-on-hold":       {"held by an operator", base(refund.StatusWaiting, refund.FromWorker, 1001, both(failed("on_hold", "merchant is held"), attempt(0)))},
		"waiting-after-pending": {"announced, and surely not sent", base(refund.StatusWaiting, refund.FromWorker, 1002, failed("gateway_down", "connection refused"))},
		"pending": {"being sent; with the trace of its request", base(refund.StatusPending, refund.FromWorker, 1001, func(r *refund.Record) {
			r.Request.Trace = refund.Trace{Parent: traceParent[13:], State: traceState[12:]}
		})},
		"pending-first-epoch":   {"of a merchant that was always there", base(refund.StatusPending, refund.FromWorker, 1, func(r *refund.Record) { r.Last.Epoch = 0 })},
		"pending-third-attempt": {"sent again after the gateway's proof that it has no such refund", base(refund.StatusPending, refund.FromWorker, 1005, attempt(3))},
		"unknown":               {"the call timed out", base(refund.StatusUnknown, refund.FromWorker, 1002, failed("gateway_down", "no answer within 10s"))},
		"review":                {"open for too long", base(refund.StatusReview, refund.FromQuery, 1003, told("TRADE_PROCESSING"))},
		"succeeded":             {"by the gateway's answer", base(refund.StatusSucceeded, refund.FromWorker, 1002, told("TRADE_REFUND"))},
		"succeeded-callback":    {"by a callback", base(refund.StatusSucceeded, refund.FromCallback, 1002, both(bluepay, told("COMPLETE")))},
		"succeeded-query":       {"by a query", base(refund.StatusSucceeded, refund.FromQuery, 1003, told("TRADE_REFUND"))},
		"succeeded-operator":    {"by an operator's word", base(refund.StatusSucceeded, refund.FromOperator, 1004, failed("", "seen in the settlement of 2026-11-21"))},
		"succeeded-whole-order": {"the order is fully refunded", base(refund.StatusSucceeded, refund.FromWorker, 1002, both(told("TRADE_CLOSED"), func(r *refund.Record) { r.Last.OrderFullyRefunded = true; r.Request.Amount = r.Request.OrderAmount }))},
		"succeeded-unmatched": {"a callback about a refund that was never requested here", base(refund.StatusSucceeded, refund.FromCallback, 1, both(bluepay, func(r *refund.Record) {
			r.Last.Epoch, r.Last.Matched, r.Last.Attempt, r.Request.OrderAmount.Minor = 0, false, 0, 0
			r.Last.ProviderStatus = "COMPLETE"
			r.Request.Flow = ""
		}))},
		"pending-adopted":        {"its request came after the callback", base(refund.StatusPending, refund.FromWorker, 2, both(bluepay, func(r *refund.Record) { r.Last.Epoch, r.Last.Attempt = 0, 0 }))},
		"corrected-to-failed":    {"the gateway took its success back", base(refund.StatusFailed, refund.FromQuery, 1006, both(told("TRADE_FAIL"), both(failed("51", "退款失败 \"x\"\n"), func(r *refund.Record) { r.Last.Correction = true })))},
		"corrected-to-succeeded": {"the gateway took its failure back", base(refund.StatusSucceeded, refund.FromQuery, 1006, both(told("TRADE_REFUND"), func(r *refund.Record) { r.Last.Correction = true }))},
		"failed":                 {"refused by the gateway", base(refund.StatusFailed, refund.FromWorker, 1002, both(bluepay, failed("21403", "the original is over 60 days old")))},
		"rejected-over-total":    {"more than the order has left", base(refund.StatusRejected, refund.FromWorker, 1001, both(failed("over_order_total", "0.01 is more than what is left"), attempt(0)))},
		"rejected-field-limit":   {"a field that the gateway cannot take", base(refund.StatusRejected, refund.FromWorker, 1, both(failed("field_limit", "order_no: longer than 28"), func(r *refund.Record) { attempt(0)(r); r.Last.Epoch = 0 }))},
		"rejected-withdrawn":     {"withdrawn by an operator", base(refund.StatusRejected, refund.FromOperator, 1002, both(failed("withdrawn", "customer kept the goods"), attempt(0)))},
		"succeeded-rebuilt":      {"after Redis was lost twice: the sequence goes on in the next block", base(refund.StatusSucceeded, refund.FromQuery, 3001, func(r *refund.Record) { r.Last.Epoch = 3; told("TRADE_REFUND")(r) })},
		"succeeded-yen": {"a currency without decimals", base(refund.StatusSucceeded, refund.FromWorker, 1002, func(r *refund.Record) {
			r.Request.Amount, r.Request.OrderAmount = refund.Money{Minor: 1000, Currency: jpy}, refund.Money{Minor: 98000, Currency: jpy}
		})},
	}
}
