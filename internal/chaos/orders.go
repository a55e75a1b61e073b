//go:build unix

package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// message is one record for the request topic.
type message struct {
	due    time.Duration // since the run began
	key    string
	body   []byte
	script map[string]any // the gateway's script for this refund, told to it before
	no     string
}

// published counts what the publisher was to do.
type published struct {
	Messages, Refunds, Orders, Repeats, Conflicts, Unreadable int
	keys                                                      []refund.Key
	endless                                                   map[refund.Key]bool // that the gateway never ends
}

// shop makes orders and their refunds: the same from the same seed.
type shop struct {
	rng     *rand.Rand
	scripts bool // some refunds have one
	orders  int
	tally   published
}

func newShop(seed uint64, scripts bool) *shop {
	return &shop{rng: rand.New(rand.NewPCG(seed, 1)), scripts: scripts, tally: published{endless: map[refund.Key]bool{}}}
}

// kinds of refunds: what is common to all requests of a merchant and flow.
var kinds = []map[string]string{
	{"merchant": eftPayMerchant, "currency": "HKD", "method": "WeChat", "wallet": "WECHATHK"},
	{"merchant": eftPayMerchant, "currency": "HKD", "method": "WeChat", "wallet": "WECHATCN", "flow": "apply"},
	{"merchant": eftPaySecond, "currency": "HKD", "method": "Alipay", "wallet": "ALIPAYCN"},
	{"merchant": bluePayMerchant, "currency": "THB"},
}

// order makes the refunds of one more order, due from now on: partial ones that
// together are often more than the order's total, some of them published several
// times, at once or later.
func (s *shop) order(now time.Duration) []message {
	s.orders++
	s.tally.Orders++
	kind := kinds[s.rng.IntN(len(kinds))]
	order := fmt.Sprintf("o%d", s.orders)
	total := int64(200 + s.rng.IntN(9800))
	var all []message
	for i := range 1 + s.rng.IntN(5) {
		amount := 1 + s.rng.Int64N(total/3)
		if s.rng.IntN(10) == 0 {
			amount = total
		}
		s.tally.Refunds++
		m := s.request(kind, fmt.Sprintf("%s-%d", order, i+1), order, amount, total)
		s.tally.keys = append(s.tally.keys, refund.Key{Merchant: kind["merchant"], RefundNo: m.no})
		m.due = now + s.within(6*time.Second)
		m.script = s.script(kind["merchant"], m.no)
		all = append(all, m)
		for s.rng.IntN(5) == 0 { // the upstream publishes it again
			s.tally.Repeats++
			again := m
			again.script, again.due = nil, m.due+s.within(20*time.Second)
			all = append(all, again)
		}
		if s.rng.IntN(100) == 0 { // and once with another content: a conflict
			s.tally.Conflicts++
			other := s.request(kind, m.no, order, amount%total+1, total)
			other.due = m.due + s.within(20*time.Second)
			all = append(all, other)
		}
	}
	if s.rng.IntN(40) == 0 {
		s.tally.Unreadable++
		all = append(all, message{due: now, key: order, body: []byte(`{"refund_no": "` + order)})
	}
	s.tally.Messages += len(all)
	return all
}

func (s *shop) within(d time.Duration) time.Duration { return time.Duration(s.rng.Int64N(int64(d))) }

func (s *shop) request(kind map[string]string, no, order string, amount, total int64) message {
	fields := map[string]string{"refund_no": no, "amount": major(amount), "order_amount": major(total), "reason": "chaos"}
	for name, value := range kind {
		fields[name] = value
	}
	if kind["merchant"] == bluePayMerchant {
		fields["transaction_id"] = order
	} else {
		fields["order_no"] = order
	}
	body, err := json.Marshal(fields)
	if err != nil {
		panic(err) // a map of strings
	}
	return message{key: order, body: body, no: no}
}

// script is what the generator's table has no line for in these times.
func (s *shop) script(merchant, no string) map[string]any {
	if !s.scripts {
		return nil
	}
	switch s.rng.IntN(100) {
	case 0, 1, 2: // lands after the deadline, within what is assumed of a gateway
		late := time.Second + s.within(2*time.Second)
		return map[string]any{"calls": []any{map[string]any{"result": "succeed", "answer": "hang", "land_after": late.String()}}}
	case 3: // taken, ended seconds later, told long after
		return map[string]any{
			"calls":         []any{map[string]any{"result": "succeed", "settle_after": s.within(8 * time.Second).String()}},
			"notifications": []any{map[string]any{"after": (5*time.Second + s.within(15*time.Second)).String()}},
		}
	case 4: // taken, and never ended
		s.tally.endless[refund.Key{Merchant: merchant, RefundNo: no}] = true
		return map[string]any{"calls": []any{map[string]any{"result": "process", "times": -1}}}
	}
	return nil
}

func major(minor int64) string { return fmt.Sprintf("%d.%02d", minor/100, minor%100) }

// rates of the gateway's misbehaviour, in refunds per thousand. What contradicts
// itself for good ("contradict", "reverse") is not among them: no promise survives a
// gateway whose signed word is wrong.
var rates = map[string]int{
	"timeout_before": 25, "timeout_after": 25, "reset_before": 20, "reset_after": 20, "error_before": 15, "error_after": 15,
	"garbage": 8, "unsigned": 8, "bad_sign": 8, "unknown_status": 8, "unknown_code": 8, "drip": 4, "oversized": 3, "redirect": 4,
	"slow": 8, "decline": 40, "fail_later": 15, "cancel_later": 10, "settle_by_query": 15, "system_error_before": 10,
	"system_error_after": 10, "later": 6, "other_refund": 5, "other_amount": 5, "query_fails": 10,
	"callback_lost": 30, "callback_doubled": 40, "callback_overtaken": 20, "callback_forged": 20, "callback_amount": 15, "callback_first": 20,
}
