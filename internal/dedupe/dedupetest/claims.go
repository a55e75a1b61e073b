package dedupetest

import (
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

func aNewRefundIsYours(b *bench) {
	c := claimOf("r1", "t1")
	got := b.claim(refund.Yours, c)
	end := Start.Add(lease)
	want := refund.Record{
		Request: c.Request, Provider: "eftpay", Order: "order-1",
		Last: refund.Event{
			Sequence: 1, Status: refund.StatusPending, Source: refund.FromWorker, Matched: true, Attempt: 1,
			OccurredAt: Start, RecordedAt: Start,
		},
		Version: 1, Attempt: 1, Holding: refund.HoldsReserved,
		Token: "t1", LeaseEnd: end, CallEnd: end, FirstSeen: Start, StoreTime: Start,
	}
	b.same("claimed", got.Record, want)
	b.same("loaded", b.load("r1"), want)
	if got.Record.Seen.IsZero() {
		b.Error("seen at no time")
	}
	if unknown := b.load("r2"); unknown.Known() || unknown.Request.RefundNo != "r2" {
		b.Errorf("a refund that is not known: %+v", unknown)
	}
}

func aRepeatedClaimGetsTheSameAnswer(b *bench) {
	first := b.claim(refund.Yours, claimOf("r1", "t1"))
	b.Advance(time.Second)
	want := first.Record
	want.StoreTime = want.StoreTime.Add(time.Second)
	b.same("yours once more", b.claim(refund.Yours, claimOf("r1", "t1")).Record, want)
	b.Advance(lease)
	asked := b.claim(refund.InDoubt, claimOf("r1", "t2"))
	b.same("in doubt once more", b.claim(refund.InDoubt, claimOf("r1", "t2")).Record, asked.Record)
	b.claim(refund.Running, claimOf("r1", "t1")) // no longer the latest
}

func oneTokenAtATime(b *bench) {
	b.claim(refund.Yours, claimOf("r1", "t1"))
	before := b.load("r1")
	b.Advance(lease - time.Millisecond)
	b.claim(refund.Running, claimOf("r1", "t2"))
	after := b.load("r1")
	after.StoreTime = before.StoreTime
	b.same("a claim that met a running one", after, before)
}

func anEndedLeaseIsInDoubt(b *bench) {
	first := b.claim(refund.Yours, claimOf("r1", "t1")).Record
	b.Advance(lease)
	got := b.claim(refund.InDoubt, claimOf("r1", "t2")).Record
	want := first
	want.Version, want.Token, want.LeaseEnd, want.StoreTime = 2, "t2", Start.Add(2*lease), Start.Add(lease)
	b.same("in doubt", got, want)
	b.claim(refund.Running, claimOf("r1", "t3"))
	b.Advance(lease)
	b.claim(refund.InDoubt, claimOf("r1", "t3"))
}

func otherContentIsAConflict(b *bench) {
	stored := b.finish(claimOf("r1", "t1"), refund.StatusSucceeded)
	for name, change := range map[string]func(*refund.Request){
		"amount":         func(r *refund.Request) { r.Amount.Minor++ },
		"order_amount":   func(r *refund.Request) { r.OrderAmount.Minor++ },
		"currency":       func(r *refund.Request) { r.Amount.Currency, r.OrderAmount.Currency = thb, thb },
		"order_no":       func(r *refund.Request) { r.OrderNo = "other" },
		"transaction_id": func(r *refund.Request) { r.TransactionID = "other" },
		"method":         func(r *refund.Request) { r.Method = "Alipay" },
		"wallet":         func(r *refund.Request) { r.Wallet = "" },
		"flow":           func(r *refund.Request) { r.Flow = refund.FlowApply },
	} {
		got := b.claim(refund.Conflict, claimOf("r1", "c-"+name, func(c *refund.Claim) { change(&c.Request) }))
		b.same(name, got.Record, stored)
	}
	b.claim(refund.Finished, claimOf("r1", "t2", func(c *refund.Claim) { c.Request.Reason, c.Request.Terminal = "another", "tid_2" }))
	b.claim(refund.Yours, claimOf("r1", "t3", func(c *refund.Claim) { c.Request.Merchant = Merchants[1] }))
}

func whatTheGatewayHasIsRunning(b *bench) {
	rec := b.claim(refund.Yours, claimOf("r1", "t1")).Record
	rec.Accepted = true // "processing": no event
	if _, ok, err := b.Store.Record(b.ctx, rec, "t1"); err != nil || !ok {
		b.Fatal(ok, err)
	}
	b.claim(refund.Running, claimOf("r1", "t2"))
	b.claim(refund.InDoubt, claimOf("r1", "t3", followUp(1, "d/0/1")))
	b.Advance(lease)
	b.claim(refund.Running, claimOf("r1", "t4"))
}

func whatWasNotSentMayBeSent(b *bench) {
	first := b.claim(refund.Yours, claimOf("r1", "t1")).Record
	b.Advance(time.Second)
	waiting := b.record(first, refund.StatusWaiting, "t1", func(r *refund.Record) {
		r.Last.Code, r.Last.Message, r.Last.ProviderStatus, r.Last.TransactionID = refund.CodeGatewayDown, "refused", "X", "tx"
	})
	if waiting.CallEnd != Start.Add(time.Second) || waiting.Holding != refund.HoldsNothing || waiting.Last.Code != refund.CodeGatewayDown {
		b.Errorf("waiting: %+v", waiting)
	}
	b.Advance(time.Second)
	again := b.claim(refund.Yours, claimOf("r1", "t2")).Record
	want := waiting
	want.Version, want.Attempt, want.Holding, want.Token = 3, 2, refund.HoldsReserved, "t2"
	want.StoreTime = Start.Add(2 * time.Second)
	want.LeaseEnd = want.StoreTime.Add(lease)
	want.CallEnd = want.LeaseEnd
	want.Last = refund.Event{
		Sequence: 3, Status: refund.StatusPending, Source: refund.FromWorker, Matched: true, Attempt: 2,
		OccurredAt: want.StoreTime, RecordedAt: want.StoreTime,
	}
	b.same("the second attempt", again, want)

	b.record(again, refund.StatusWaiting, "t2")
	b.claim(refund.Yours, claimOf("r1", "t3", followUp(1, "d/0/1")))
}

func aWaitingRefundInDoubtIsAskedAbout(b *bench) {
	rec := b.claim(refund.Yours, claimOf("r1", "t1")).Record
	b.record(rec, refund.StatusWaiting, "t1", func(r *refund.Record) { r.Doubt = true })
	got := b.claim(refund.InDoubt, claimOf("r1", "t2")).Record
	if got.Last.Status != refund.StatusWaiting || !got.Doubt || got.Attempt != 1 {
		b.Errorf("%+v", got)
	}
	// After a rebuild it holds its amount, all that the order has; once it is proved not sent it is claimed in its own place.
	b.Wipe()
	b.rebuild(func() refund.Record {
		waiting := onTopic("r1", refund.StatusWaiting, 2, 1)
		waiting.Request.Amount.Minor = 1000
		return waiting
	}())
	whole := claimOf("r1", "q", amount(1000))
	asked := b.claim(refund.InDoubt, whole).Record
	asked.Doubt = false
	if kept, ok, err := b.Store.Record(b.ctx, asked, "q"); err != nil || !ok || kept.Holding != refund.HoldsReserved {
		b.Fatal(ok, err, kept)
	}
	b.claim(refund.OverTotal, claimOf("r2", "t", amount(1)))
	whole.Token = "t3"
	if got := b.claim(refund.Yours, whole).Record; got.Holding != refund.HoldsReserved || got.Attempt != 2 {
		b.Errorf("%+v", got)
	}
	b.claim(refund.OverTotal, claimOf("r2", "t", amount(1)))
}

func finalIsFinished(b *bench) {
	for _, status := range []refund.Status{refund.StatusSucceeded, refund.StatusFailed, refund.StatusRejected} {
		no := "r-" + string(status)
		stored := b.finish(claimOf(no, "t1"), status)
		if stored.Token != "" || !stored.LeaseEnd.IsZero() || stored.Request.Reason != "" || stored.Request.Terminal != "" {
			b.Errorf("a final record keeps %+v", stored)
		}
		b.same("met by a request", b.claim(refund.Finished, claimOf(no, "t2")).Record, stored)
		b.same("met by a follow-up", b.claim(refund.Finished, claimOf(no, "t3", followUp(3, "d/0/1"))).Record, stored)
		b.claim(refund.Finished, claimOf(no, "t1"))
	}
}

func aDisputedFinalIsInDoubt(b *bench) {
	stored := b.finish(claimOf("r1", "t1"), refund.StatusSucceeded)
	stored.Doubt = true
	disputed, ok, err := b.Store.Record(b.ctx, stored, "")
	if err != nil || !ok || disputed.Last != stored.Last {
		b.Fatal(ok, err, disputed)
	}
	got := b.claim(refund.InDoubt, claimOf("r1", "t2")).Record
	if got.Last != stored.Last || got.Token != "t2" || got.Holding != refund.HoldsSucceeded {
		b.Errorf("%+v", got)
	}
	b.claim(refund.Running, claimOf("r1", "t3", followUp(1, "d/0/1")))
	b.Advance(lease)
	b.claim(refund.InDoubt, claimOf("r1", "t4", followUp(1, "d/0/1")))
	got = b.load("r1")
	got.Doubt = false
	if settled, _, err := b.Store.Record(b.ctx, got, "t4"); err != nil || settled.Token != "" {
		b.Fatal(err, settled)
	}
	b.claim(refund.Finished, claimOf("r1", "t5"))
}

func oneChainOfFollowUpsGoesOn(b *bench) {
	b.claim(refund.Missing, claimOf("r1", "t0", followUp(1, "d/0/1")))
	b.claim(refund.Yours, claimOf("r1", "t1"))
	b.claim(refund.Running, claimOf("r1", "t2", followUp(2, "d/0/5")))
	if got := b.load("r1"); got.FollowUp != 2 || got.Place != "d/0/5" || got.Version != 1 {
		b.Fatalf("taken: %+v", got)
	}
	b.claim(refund.ChainEnded, claimOf("r1", "t3", followUp(1, "d/0/4")))
	b.claim(refund.ChainEnded, claimOf("r1", "t3", followUp(2, "d/0/6")))
	b.claim(refund.Running, claimOf("r1", "t3", followUp(2, "d/0/5"))) // redelivered
	b.Advance(lease)
	b.claim(refund.ChainEnded, claimOf("r1", "t3", followUp(2, "d/0/6")))
	b.claim(refund.InDoubt, claimOf("r1", "t4", followUp(3, "d/1/1")))
	if got := b.load("r1"); got.FollowUp != 3 || got.Place != "d/1/1" {
		b.Fatalf("taken: %+v", got)
	}

	// One that is told to come back has not been taken: it may return from another place.
	b.Advance(lease)
	slow := limits(refund.Limits{Rate: 1})
	b.claim(refund.Yours, claimOf("r2", "t1", slow))
	b.claim(refund.NotNow, claimOf("r1", "t5", followUp(4, "d/1/2"), slow))
	b.Advance(time.Second)
	b.claim(refund.InDoubt, claimOf("r1", "t6", followUp(4, "d/2/9"), slow))
}

func anUnmatchedCallbackIsAdopted(b *bench) {
	notice := refund.Record{
		Request: refund.Request{
			Key: refund.Key{Merchant: merchant, RefundNo: "r1"}, OrderNo: "order-1",
			Amount: refund.Money{Minor: 100, Currency: hkd},
		},
		Provider: "eftpay", Order: "order-1", StoreTime: Start, FirstSeen: Start,
	}
	rec := b.record(notice, refund.StatusSucceeded, "", func(r *refund.Record) { r.Last.Source = refund.FromCallback })
	if rec.Last.Matched || rec.Version != 1 || rec.Last.Sequence != 1 || rec.Last.OrderFullyRefunded {
		b.Fatalf("%+v", rec)
	}
	b.same("met by its request", b.claim(refund.Unmatched, claimOf("r1", "t1")).Record, rec)
	b.same("nothing was stored", b.load("r1"), rec)
	b.claim(refund.Finished, claimOf("r1", "t1", followUp(1, "d/0/1"), total(0)))
	b.claim(refund.Conflict, claimOf("r1", "t1", amount(101)))
	b.claim(refund.Conflict, claimOf("r1", "t1", order("order-2")))
	b.claim(refund.Conflict, claimOf("r1", "t1", func(c *refund.Claim) { c.Request.Amount.Currency = thb }))

	adopted := b.record(rec, refund.StatusSucceeded, "", func(r *refund.Record) {
		r.Request, r.Last.Matched = claimOf("r1", "").Request, true
	})
	if !adopted.Last.Matched || adopted.Request.Method != "WeChat" {
		b.Fatalf("%+v", adopted)
	}
	b.claim(refund.Finished, claimOf("r1", "t2"))
	b.claim(refund.Conflict, claimOf("r1", "t2", func(c *refund.Claim) { c.Request.Method = "Alipay" }))
	b.claim(refund.OverTotal, claimOf("r2", "t1", amount(901)))
}

func unmatchedAmountsCount(b *bench) {
	notice := refund.Record{
		Request: refund.Request{
			Key: refund.Key{Merchant: merchant, RefundNo: "r1"}, OrderNo: "order-1",
			Amount: refund.Money{Minor: 600, Currency: hkd},
		},
		Provider: "eftpay", Order: "order-1", StoreTime: Start,
	}
	open := b.record(notice, refund.StatusPending, "", func(r *refund.Record) { r.Last.Source = refund.FromCallback })
	b.claim(refund.OverTotal, claimOf("r2", "t1", amount(401)))
	b.claim(refund.Yours, claimOf("r2", "t1", amount(400))) // pins the total
	b.claim(refund.OrderConflict, claimOf("r3", "t1", amount(1), total(1001)))
	b.record(open, refund.StatusFailed, "")
	b.claim(refund.Yours, claimOf("r3", "t1", amount(600)))

	// A follow-up of a refund that is known from a callback alone.
	notice.Request.RefundNo, notice.Order = "r4", ""
	b.record(notice, refund.StatusUnknown, "", func(r *refund.Record) { r.Last.Source = refund.FromCallback })
	b.claim(refund.InDoubt, claimOf("r4", "t1", amount(600), total(0), followUp(1, "d/0/1")))
}

func namesOfEveryKind(b *bench) {
	const all = "aZ9_-.:@+*=|aZ9_-.:@+*=|aZ9_-.:@+*=|aZ9_-.:@+*=|aZ9_-.:@+*=|||||"
	for i, m := range Merchants {
		c := claimOf(all, "t1", order("|"+all[1:]), func(c *refund.Claim) { c.Request.Merchant = m })
		if i > 0 {
			c.Request.TransactionID, c.Request.OrderNo, c.Order = "|=|", "1|2|3", "|=|"
		}
		rec := b.claim(refund.Yours, c).Record
		if rec.Request != c.Request || rec.Order != c.Order {
			b.Errorf("got %+v\nwant %+v", rec.Request, c.Request)
		}
		b.record(rec, refund.StatusSucceeded, "t1")
		b.claim(refund.Finished, c)
	}
}
