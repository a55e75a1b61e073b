package scenario

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// What no worker can take is a dead letter with its reason and its bytes as they were, and those around it go on. (The
// sixth reason, internal, needs a fault of our own: the consumer's tests have it.)
func TestPoisonGoesToTheDeadLettersAndTheRestGoesOn(t *testing.T) {
	w := newWorld(t, settings{merchants: []string{"shop"}})
	request := func(no, order, amount, total string) string {
		return fmt.Sprintf(`{"refund_no":%q,"merchant":"shop","order_no":%q,"amount":%q,"order_amount":%q,"currency":"HKD","method":"WeChat","wallet":"WECHATCN"}`, no, order, amount, total)
	}
	w.write(request("r1", "o1", "0.10", "1.00"))
	w.await([]refund.Key{{Merchant: "shop", RefundNo: "r1"}}, time.Minute)
	poison := map[string]consumer.Reason{
		`{"refund_no":"r2","merchant":`:                         consumer.ReasonUndecodable,
		"\xff\xfe not UTF-8":                                    consumer.ReasonUndecodable,
		`{"refund_no":"r2","refund_no":"r3","merchant":"shop"}`: consumer.ReasonUndecodable,
		request("r4", "o1", "0.00", "1.00"):                     consumer.ReasonInvalid,
		request("r5", "o1", "0.1x", "1.00"):                     consumer.ReasonInvalid,
		request("r1", "o1", "0.20", "1.00"):                     consumer.ReasonConflict,
		request("r6", "o1", "0.10", "2.00"):                     consumer.ReasonOrderConflict,
		`{"refund_no":"r7","merchant":"nobody","order_no":"o1","amount":"0.10","order_amount":"1.00","currency":"HKD"}`: consumer.ReasonUnknownMerchant,
	}
	headers := []kafka.Header{{Key: "shop-trace", Value: []byte{0, 1, 0xff}}, {Key: "shop-trace", Value: []byte("again")}}
	for message := range poison {
		w.write(message, headers...)
	}
	w.write(request("r8", "o1", "0.10", "1.00"))
	rest := []refund.Key{{Merchant: "shop", RefundNo: "r8"}}
	w.await(rest, time.Minute)

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	left := len(poison)
	w.must(ignoring(errSeen, w.client.WatchDeadLetters(ctx, func(d consumer.DeadLetter, r kafka.Record) error {
		want, known := poison[string(r.Value)]
		same := slices.EqualFunc(r.Headers[:min(2, len(r.Headers))], headers, func(a, b kafka.Header) bool { return a.Key == b.Key && string(a.Value) == string(b.Value) })
		if !known || d.Reason != want || string(r.Key) != "key" || !same || d.Error == "" || d.Attempts != 1 || d.Topic != w.parts.Topics.Requests {
			t.Errorf("%q: %+v, want %s", r.Value, d, want)
		}
		if left--; left == 0 {
			return errSeen
		}
		return nil
	})))
	if left > 0 {
		t.Errorf("%d dead letters are missing", left)
	}
	w.audit()
}
