package dedupe

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// Records as versions have stored them, each quoted on a line of its own. Lines are only ever added: what stands there is in
// somebody's Redis.
const storedRecords = "testdata/stored-records.txt"

// TestWhatWasStoredIsRead: what Redis holds outlives the version that wrote it, and two versions write side by side. So
// the stored form may not change unless its number, format, does: not the fields, not the places of the words.
func TestWhatWasStoredIsRead(t *testing.T) {
	file, err := os.ReadFile(storedRecords)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(storedWords)); n != len(words) {
		t.Errorf("%d words, and the samples have %d: append to storedWords", len(words), n)
	}
	samples, lines := sampleRecords(), strings.Split(strings.TrimSpace(string(file)), "\n")
	if len(lines) != len(samples) {
		t.Errorf("%d lines for %d samples: add the line of a new sample", len(lines), len(samples))
	}
	for i, want := range samples {
		packed := pack(want, "k3_6FfKwXUjoKFdWRMmXhg", "")
		if i >= len(lines) {
			t.Errorf("to be added to %s:\n%s", storedRecords, strconv.QuoteToASCII(packed))
			continue
		}
		stored, err := strconv.Unquote(lines[i])
		if err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if packed != stored {
			t.Errorf("line %d: this version would write\n%s\nand not\n%s", i+1, strconv.QuoteToASCII(packed), lines[i])
		}
		var got refund.Record
		if err := unpack(&got, want.Request.Key, stored); err != nil || got != want {
			t.Errorf("line %d: %v\n got %+v\nwant %+v", i+1, err, got, want)
		}
	}
}

// storedWords are the words in the places that they have had from the beginning.
const storedWords = `eftpay bluepay WeChat Alipay WECHATCN WECHATHK ALIPAYCN ALIPAYHK
TRADE_REFUND TRADE_CLOSED TRADE_PROCESSING APPLY_SUCCESS TRADE_FAIL TRADE_FAILED
COMPLETED COMPLETE PENDING FAILED SUCCESS PROCESSING FAIL
over_order_total too_many_refunds unsupported field_limit gateway_down rate_limited on_hold misconfigured withdrawn`

// sampleRecords have every field, every status and every word.
func sampleRecords() (all []refund.Record) {
	at := func(s int64) time.Time { return instant(1795341171861 + 1000*s) }
	hkd, jpy := refund.Currency{Code: "HKD", Exponent: 2}, refund.Currency{Code: "JPY"}
	full := refund.Record{
		Request: refund.Request{
			Key: refund.Key{Merchant: "M", RefundNo: "r1"}, OrderNo: "rrn_1686280006045", TransactionID: "4200001858202306098765432109",
			Amount: refund.Money{Minor: 1, Currency: hkd}, OrderAmount: refund.Money{Minor: 1001, Currency: hkd},
			Method: "WeChat", Wallet: "WECHATCN", Terminal: "tid_3378", Flow: refund.FlowRefund, Reason: "test | 退款", RequestedAt: at(-1),
			Trace: refund.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "a=1"},
		},
		Last: refund.Event{
			Sequence: 2001, Epoch: 2, Status: refund.StatusPending, Source: refund.FromWorker, Matched: true, Attempt: 1, OccurredAt: at(0), RecordedAt: at(0),
		},
		Provider: "eftpay", Order: "rrn_1686280006045", Version: 7, Attempt: 2, Accepted: true, Doubt: true, Holding: refund.HoldsReserved,
		Token: "LPPLFGLBAEMVUZ3F6SQ7XWFWXI", LeaseEnd: at(30), CallEnd: at(30), FollowUp: 3, Place: "refund.delay.1m/2/77", FirstSeen: at(-60), Published: 2001,
	}
	all = append(all, full)
	claimed := full
	claimed.Last.Status = refund.StatusNone
	all = append(all, claimed)
	for _, one := range []struct {
		status  refund.Status
		source  refund.Source
		holding refund.Holding
	}{
		{refund.StatusWaiting, refund.FromWorker, refund.HoldsNothing}, {refund.StatusUnknown, refund.FromCallback, refund.HoldsReserved},
		{refund.StatusReview, refund.FromQuery, refund.HoldsReserved}, {refund.StatusSucceeded, refund.FromOperator, refund.HoldsSucceeded},
		{refund.StatusFailed, refund.FromQuery, refund.HoldsNothing}, {refund.StatusRejected, refund.FromWorker, refund.HoldsNothing},
	} {
		done := refund.Record{
			Request: refund.Request{
				Key: full.Request.Key, OrderNo: "o|1", TransactionID: "T1", Method: "card", Flow: refund.FlowApply,
				Amount: refund.Money{Minor: refund.MaxMinor, Currency: jpy}, RequestedAt: at(-5), Trace: refund.Trace{Parent: "01-x"},
			},
			Last: refund.Event{
				Sequence: 3, Status: one.status, Source: one.source, Correction: true, Attempt: 1, ProviderStatus: "TRADE_REFUND", TransactionID: "42",
				ProviderRefundID: "50300006062023060935342514210", Code: refund.CodeOverOrderTotal, Message: "no room", OccurredAt: at(-2), RecordedAt: at(0),
			},
			Provider: "bluepay", Order: "T1", Version: 3, Attempt: 1, Holding: one.holding, FirstSeen: at(-9), Published: 3,
		}
		all = append(all, done)
	}
	for _, word := range strings.Fields(storedWords) {
		all = append(all, refund.Record{
			Request: refund.Request{Key: full.Request.Key, Amount: refund.Money{Minor: 1, Currency: hkd}},
			Last:    refund.Event{Sequence: 1, Status: refund.StatusFailed, Source: refund.FromWorker, Code: word, RecordedAt: at(0)},
			Version: 1, Holding: refund.HoldsNothing,
		})
	}
	missed := full
	missed.Missed, missed.Accepted = true, false
	return append(all, missed)
}
