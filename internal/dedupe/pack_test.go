package dedupe

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/refund"
)

// TestPackAndUnpack: whatever a record holds comes back, but for a final one's
// Terminal and Reason, and instants' fractions of a millisecond.
func TestPackAndUnpack(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9]{0,40}`), rapid.SampledFrom(words[:]))
	word := rapid.StringMatching(`[a-zA-Z0-9/_.-]{0,40}`)
	count := rapid.Int64Range(0, refund.MaxMinor)
	when := rapid.Custom(func(t *rapid.T) time.Time {
		return instant(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 1<<42)).Draw(t, "ms"))
	})
	number := rapid.StringMatching(`[A-Za-z0-9_.:@+*=|-]{0,64}`)
	rapid.Check(t, func(r *rapid.T) {
		currency := refund.Currency{Code: rapid.StringMatching(`[A-Z]{3}`).Draw(r, "currency"), Exponent: rapid.IntRange(0, 12).Draw(r, "exponent")}
		want := refund.Record{
			Request: refund.Request{
				Key:     refund.Key{Merchant: "M", RefundNo: "r1"},
				OrderNo: number.Draw(r, "order_no"), TransactionID: number.Draw(r, "transaction"),
				Amount: refund.Money{Minor: count.Draw(r, "amount"), Currency: currency},
				Method: text.Draw(r, "method"), Wallet: text.Draw(r, "wallet"), Terminal: text.Draw(r, "terminal"),
				Flow: rapid.SampledFrom([]refund.Flow{"", refund.FlowRefund, refund.FlowApply}).Draw(r, "flow"), Reason: text.Draw(r, "reason"),
				RequestedAt: when.Draw(r, "requested"),
				Trace: refund.Trace{
					Parent: rapid.OneOf(text, rapid.StringMatching(`00-[0-9a-fA-F]{32}-[0-9a-f]{16}-[0-9a-f]{2}`)).Draw(r, "parent"),
					State:  text.Draw(r, "state"),
				},
			},
			Last: refund.Event{
				Sequence: count.Draw(r, "sequence"), Source: rapid.SampledFrom([]refund.Source{"worker", "callback", "query", "operator"}).Draw(r, "source"),
				Status:  rapid.SampledFrom([]refund.Status{"", "WAITING", "PENDING", "UNKNOWN", "REVIEW", "SUCCEEDED", "FAILED", "REJECTED"}).Draw(r, "status"),
				Matched: rapid.Bool().Draw(r, "matched"), Correction: rapid.Bool().Draw(r, "correction"), Attempt: rapid.IntRange(0, 99).Draw(r, "event attempt"), Epoch: count.Draw(r, "epoch"),
				ProviderStatus: text.Draw(r, "word"), ProviderRefundID: text.Draw(r, "id"), TransactionID: text.Draw(r, "told"),
				Code: text.Draw(r, "code"), Message: text.Draw(r, "message"), OccurredAt: when.Draw(r, "occurred"), RecordedAt: when.Draw(r, "recorded"),
			},
			Provider: word.Draw(r, "provider"), Version: count.Draw(r, "version"), Missed: rapid.Bool().Draw(r, "missed"),
			Attempt: rapid.IntRange(0, 99).Draw(r, "attempt"), Accepted: rapid.Bool().Draw(r, "accepted"), Doubt: rapid.Bool().Draw(r, "doubt"),
			Holding: rapid.SampledFrom([]refund.Holding{"-", "R", "S"}).Draw(r, "holding"), Token: word.Draw(r, "token"), Place: word.Draw(r, "place"),
			LeaseEnd: when.Draw(r, "lease end"), CallEnd: when.Draw(r, "call end"), FirstSeen: when.Draw(r, "first seen"),
			FollowUp: rapid.IntRange(0, 99).Draw(r, "follow-up"), Published: count.Draw(r, "published"),
		}
		want.Order = rapid.SampledFrom([]string{want.Request.OrderNo, want.Request.TransactionID, "|other|"}).Draw(r, "order")
		if total := count.Draw(r, "total"); total > 0 {
			want.Request.OrderAmount = refund.Money{Minor: total, Currency: currency}
		}
		var got refund.Record
		err := unpack(&got, want.Request.Key, pack(want, want.Request.Content(), ""))
		if err != nil {
			r.Fatal(err)
		}
		if want.Last.Status.Final() {
			want.Request.Terminal, want.Request.Reason = "", ""
		}
		if got != want {
			r.Fatalf("\n got %+v\nwant %+v", got, want)
		}
	})
}

// FuzzUnpack: what is in Redis may be anything; it is read or refused, and what
// was read packs to the same record.
func FuzzUnpack(f *testing.F) {
	hkd := refund.Currency{Code: "HKD", Exponent: 2}
	f.Add(pack(refund.Record{
		Request: refund.Request{
			OrderNo: "rrn_1686280000000", TransactionID: "4200001858202306098765432109", Method: "WeChat", Wallet: "WECHATCN", Flow: refund.FlowRefund,
			Amount: refund.Money{Minor: 1, Currency: hkd}, OrderAmount: refund.Money{Minor: 1001, Currency: hkd}, RequestedAt: instant(1795341171861),
			Trace: refund.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		},
		Last: refund.Event{
			Sequence: 2, Status: refund.StatusSucceeded, Source: refund.FromWorker, Matched: true, Attempt: 1,
			ProviderStatus: "TRADE_REFUND", ProviderRefundID: "50300006062023060935342514210", RecordedAt: instant(1795341171862),
		},
		Provider: "eftpay", Order: "rrn_1686280000000", Version: 2, Attempt: 1, Holding: refund.HoldsSucceeded, Published: 2,
	}, "k3_6FfKwXUjoKFdWRMmXhg", ""))
	f.Add("1|1|P|1|1|1|m|R|w|t|30000|30000|0||0|0|1|0|0|1|HKD2||0|1|\x00")
	f.Add("1|2|3")
	f.Add("1|1|P|1|1|1|m|R|w|t|30000|30000|0||0|0|1|0|0|1|HKD2||9223372036854775807|9223372036854775807|\x00")
	f.Fuzz(func(t *testing.T, value string) {
		key := refund.Key{Merchant: "M", RefundNo: "r"}
		var rec, again refund.Record
		err := unpack(&rec, key, value)
		if err != nil {
			return
		}
		full := rec.Last.OrderFullyRefunded
		err = unpack(&again, key, pack(rec, "", map[bool]string{true: "f"}[full]))
		if err != nil {
			t.Fatalf("%q was read as %+v, which does not come back: %v", value, rec, err)
		}
		if rec.Last.Status.Final() {
			rec.Request.Terminal, rec.Request.Reason = "", ""
		}
		if again != rec {
			t.Fatalf("%q:\n got %+v\nwant %+v", value, again, rec)
		}
	})
}

// TestTexts: what recurs and what is all digits takes little; and what nobody can have packed is refused.
func TestTexts(t *testing.T) {
	for text, size := range map[string]int{
		"": 1, "x": 2, "7": 2, "00": 2, "007": 3, "TRADE_REFUND": 1, "trade_refund": 13, "WeChat": 1,
		"4200001858202306098765432109": 15, "50300006062023060935342514210": 16, "４２": 7,
	} {
		b := appendText(nil, text)
		p := packed{rest: string(b)}
		if got := p.text(); got != text || p.bad || p.rest != "" || len(b) != size {
			t.Errorf("%q takes %d bytes, want %d, and came back as %q", text, len(b), size, got)
		}
	}
	for _, bad := range []string{"\x04", "\x08", "\x0a\xaa", "\x0a\x1a", "\x06\x10", "\x02", "\x03", "\xfd\x03", "\x0a"} {
		p := packed{rest: bad}
		if got := p.text(); !p.bad {
			t.Errorf("%q was read as %q", bad, got)
		}
	}
}
