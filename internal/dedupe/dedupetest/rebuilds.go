package dedupetest

import (
	"fmt"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// onTopic is what an event on the status topic tells, of the request that claimOf
// makes.
func onTopic(no string, status refund.Status, sequence int64, attempt int) refund.Record {
	return refund.Record{
		Request:  claimOf(no, "").Request,
		Provider: "eftpay", Order: "order-1", FirstSeen: Start.Add(-time.Hour),
		Last: refund.Event{
			Sequence: sequence, Status: status, Source: refund.FromWorker, Matched: true, Attempt: attempt,
			OccurredAt: Start.Add(-time.Minute), RecordedAt: Start.Add(-time.Minute), ProviderStatus: "TRADE",
		},
	}
}

// rebuild restores records, answers those that are not final, and begins epoch 1.
func (b *bench) rebuild(records ...refund.Record) map[string]refund.Record {
	b.Helper()
	token, err := b.Store.Lock(b.ctx, merchant, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	restored := map[string]refund.Record{}
	for range 2 { // safe to repeat
		open, err := b.Store.Restore(b.ctx, merchant, token, records)
		if err != nil {
			b.Fatal(err)
		}
		for _, rec := range open {
			restored[rec.Request.RefundNo] = rec
		}
	}
	if _, err := b.Store.Finish(b.ctx, merchant, token, 1); err != nil {
		b.Fatal(err)
	}
	return restored
}

func aRebuildBringsBack(b *bench) {
	b.claim(refund.Yours, claimOf("pending", "t1"))
	b.Wipe()
	restored := b.rebuild(
		onTopic("pending", refund.StatusPending, 1, 1),
		onTopic("waiting", refund.StatusWaiting, 2, 1),
		onTopic("parked", refund.StatusWaiting, 1, 0),
		onTopic("done", refund.StatusSucceeded, 2, 1),
		onTopic("failed", refund.StatusFailed, 2, 1),
	)
	for no, want := range map[string]struct {
		holding refund.Holding
		doubt   bool
		called  bool
	}{
		"pending": {refund.HoldsReserved, false, true},
		"waiting": {refund.HoldsReserved, true, true},
		"parked":  {refund.HoldsNothing, false, false},
		"done":    {refund.HoldsSucceeded, false, false},
		"failed":  {refund.HoldsNothing, false, false},
	} {
		got := b.load(no)
		if got.Holding != want.holding || got.Doubt != want.doubt || got.CallEnd.Equal(Start) != want.called || got.Token != "" || !got.LeaseEnd.IsZero() {
			b.Errorf("%s: %+v", no, got)
		}
		if got.Last.ProviderStatus != "TRADE" || got.Published != got.Last.Sequence || got.Epoch != 1 {
			b.Errorf("%s: %+v", no, got)
		}
		answered, open := restored[no]
		if open == got.Last.Status.Final() || open && answered.Last != got.Last {
			b.Errorf("%s: answered %+v", no, answered)
		}
	}
	// 100 each of pending, waiting and done are held.
	b.claim(refund.OverTotal, claimOf("new", "t1", amount(701)))
	b.claim(refund.Yours, claimOf("new", "t1", amount(700)))
	b.claim(refund.InDoubt, claimOf("pending", "q"))
	b.claim(refund.InDoubt, claimOf("waiting", "q", followUp(7, "d/0/1"))) // the first one read goes on
	b.claim(refund.ChainEnded, claimOf("waiting", "q2", followUp(7, "d/0/2")))
	b.claim(refund.Finished, claimOf("done", "t"))
	b.claim(refund.Conflict, claimOf("failed", "t", func(c *refund.Claim) { c.Request.Wallet = "other" }))
	b.claim(refund.OverTotal, claimOf("parked", "t")) // never called: its reservation was never announced
	b.record(b.load("new"), refund.StatusFailed, "t1")
	if got := b.claim(refund.Yours, claimOf("parked", "t")).Record; got.Last.Sequence != 1001 || got.Attempt != 1 {
		b.Errorf("%+v", got)
	}
}

func aRebuildGoesForwardOnly(b *bench) {
	behind := b.finish(claimOf("ahead", "t1"), refund.StatusSucceeded)
	b.claim(refund.Yours, claimOf("open", "t1"))
	b.claim(refund.Yours, claimOf("open2", "t1"))
	b.claim(refund.Running, claimOf("open2", "t2", followUp(2, "d/0/1")))
	over := onTopic("beyond", refund.StatusUnknown, 1, 1)
	over.Request.Amount.Minor = 900
	b.Advance(lease)
	b.Failover()
	b.rebuild(
		onTopic("ahead", refund.StatusPending, 1, 1), // the publish of SUCCEEDED was to come
		onTopic("open", refund.StatusPending, 1, 1),
		onTopic("open2", refund.StatusUnknown, 2, 1), // Redis lost that
		over, // 900 of 1000, where 300 are held: stored whatever the total
	)
	got := b.load("ahead")
	if got.Last != behind.Last || got.Holding != refund.HoldsSucceeded {
		b.Errorf("%+v", got)
	}
	got = b.load("open")
	if got.Token != "" || got.Last.Sequence != 1 || got.CallEnd != Start.Add(lease) {
		b.Errorf("%+v", got)
	}
	got = b.load("open2")
	if got.Last.Status != refund.StatusUnknown || got.FirstSeen != Start || got.FollowUp != 2 || got.Place != "d/0/1" {
		b.Errorf("%+v", got)
	}
	b.claim(refund.OverTotal, claimOf("new", "t1", amount(1)))
	b.record(b.load("beyond"), refund.StatusFailed, "")
	b.claim(refund.OverTotal, claimOf("new", "t1", amount(701)))
	b.claim(refund.Yours, claimOf("new", "t1", amount(700)))
}

// aRebuildPinsTheSmallestTotal where refunds of an order disagree about it, in whatever steps and order they come back:
// "first" was pinned at 5000 until it let go, and then "paid" took 900 of 1000.
func aRebuildPinsTheSmallestTotal(b *bench) {
	of := func(no string, minor, total int64, status refund.Status, sequence int64) refund.Record {
		rec := onTopic(no, status, sequence, 1)
		rec.Request.Amount.Minor, rec.Request.OrderAmount.Minor = minor, total
		return rec
	}
	before, paid := of("first", 300, 5000, refund.StatusPending, 1), of("paid", 900, 1000, refund.StatusSucceeded, 2)
	failed, waiting := of("first", 300, 5000, refund.StatusFailed, 2), of("first", 300, 5000, refund.StatusWaiting, 2)
	rest := func(minor, total int64) refund.Claim {
		return claimOf("rest", "t", amount(minor), func(c *refund.Claim) { c.Request.OrderAmount.Minor = total })
	}
	for name, steps := range map[string][]refund.Record{
		"the latest alone":       {failed, paid},
		"each":                   {before, failed, paid},
		"let go after the other": {before, paid, failed},
		"the other first":        {paid, before, failed},
		"waiting, first":         {waiting, paid},
		"waiting, last":          {paid, waiting},
		"waiting later":          {before, paid, waiting},
	} {
		b.Wipe()
		b.rebuild(steps...)
		b.claim(refund.OrderConflict, rest(4000, 5000))
		held := b.load("first").Holding == refund.HoldsReserved
		if held { // until a query has proved that it was not sent
			b.claim(refund.OverTotal, rest(1, 1000))
			asked := b.claim(refund.InDoubt, claimOf("first", "q", amount(300), func(c *refund.Claim) { c.Request.OrderAmount.Minor = 5000 })).Record
			asked.Doubt = false
			asked.Holding = refund.HoldsNothing
			if _, ok, err := b.Store.Record(b.ctx, asked, "q"); err != nil || !ok {
				b.Fatal(name, ok, err)
			}
			b.claim(refund.OrderConflict, claimOf("first", "t", amount(300), func(c *refund.Claim) { c.Request.OrderAmount.Minor = 5000 }))
		}
		b.claim(refund.OverTotal, rest(101, 1000))
		b.claim(refund.Yours, rest(100, 1000))
	}
}

// aRebuildTrustsNoAttempt: a resend publishes the stored event again, with the attempt before it. That of an adopted
// refund says that there was none.
func aRebuildTrustsNoAttempt(b *bench) {
	b.Wipe()
	b.rebuild(onTopic("adopted", refund.StatusUnknown, 2, 0), onTopic("sent", refund.StatusPending, 1, 1))
	for no, attempt := range map[string]int{"adopted": 0, "sent": 1} {
		got := b.claim(refund.InDoubt, claimOf(no, "q")).Record
		if got.Attempt != attempt || got.CallEnd != Start {
			b.Errorf("%s: attempt %d, ended %s", no, got.Attempt, got.CallEnd)
		}
	}
}

// whatIsFinalHereIsNotTouched, unless somebody had a reason to ask about it: then nobody has the right to do so any more.
func whatIsFinalHereIsNotTouched(b *bench) {
	finished := func(no string) refund.Record {
		rec := b.finish(claimOf(no, "t1"), refund.StatusSucceeded)
		rec, err := b.Store.Published(b.ctx, rec.Key(), rec.Last.Sequence)
		if err != nil {
			b.Fatal(err)
		}
		return rec
	}
	done, disputed := finished("done"), finished("disputed")
	disputed.Doubt = true
	if _, ok, err := b.Store.Record(b.ctx, disputed, ""); err != nil || !ok {
		b.Fatal(ok, err)
	}
	b.claim(refund.InDoubt, claimOf("disputed", "q"))
	b.Failover()
	open := b.rebuild(onTopic("done", refund.StatusSucceeded, 2, 1), onTopic("done", refund.StatusPending, 1, 1),
		onTopic("disputed", refund.StatusSucceeded, 2, 1))
	if len(open) != 0 {
		b.Errorf("%+v", open)
	}
	done.Epoch = 1
	b.same("what is final here", b.load("done"), done)
	if got := b.load("disputed"); got.Token != "" || !got.LeaseEnd.IsZero() || !got.Doubt || got.Version != disputed.Version+4 {
		b.Errorf("%+v", got) // versions: the dispute, the query, two restores
	}
	b.claim(refund.InDoubt, claimOf("disputed", "q2"))
	b.claim(refund.OverTotal, claimOf("new", "t1", amount(801)))
	b.claim(refund.Yours, claimOf("new", "t1", amount(800)))
}

// aRebuildKeepsADispute: what is disputed here holds its amount, also where its event is read again.
func aRebuildKeepsADispute(b *bench) {
	rec := b.finish(claimOf("denied", "t1"), refund.StatusFailed)
	rec.Doubt, rec.Holding = true, refund.HoldsReserved
	if _, ok, err := b.Store.Record(b.ctx, rec, ""); err != nil || !ok {
		b.Fatal(ok, err)
	}
	b.claim(refund.OverTotal, claimOf("new", "t1", amount(901)))
	b.Failover()
	b.rebuild(onTopic("denied", refund.StatusFailed, 2, 1))
	if got := b.load("denied"); !got.Doubt || got.Holding != refund.HoldsReserved {
		b.Errorf("doubt %t, holds %q", got.Doubt, got.Holding)
	}
	b.claim(refund.OverTotal, claimOf("new", "t1", amount(901)))
	b.claim(refund.Yours, claimOf("new", "t1", amount(900)))
}

func aRestoredRequestIsWhole(b *bench) {
	b.Wipe()
	b.rebuild(onTopic("r1", refund.StatusPending, 1, 1), onTopic("r2", refund.StatusWaiting, 1, 0))
	for no, want := range map[string]refund.ClaimAnswer{"r1": refund.InDoubt, "r2": refund.Yours} {
		if got := b.load(no).Request; got != claimOf(no, "").Request {
			b.Errorf("got %+v\nwant %+v", got, claimOf(no, "").Request)
		}
		b.claim(refund.Conflict, claimOf(no, "t", func(c *refund.Claim) { c.Request.Method = "Alipay" }))
		b.claim(want, claimOf(no, "t"))
	}
	b.record(b.load("r1"), refund.StatusSucceeded, "")
	b.claim(refund.Finished, claimOf("r1", "t"))
	b.claim(refund.Conflict, claimOf("r1", "t", func(c *refund.Claim) { c.Request.Method = "Alipay" }))
}

// aRebuildTakesManyAtOnce: refunds of the same and of other orders in one step,
// one of them twice; and another merchant's is refused.
func aRebuildTakesManyAtOnce(b *bench) {
	b.Wipe()
	token, err := b.Store.Lock(b.ctx, merchant, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	var recs []refund.Record
	for i := range 200 {
		rec := onTopic(fmt.Sprint("r", i), refund.StatusSucceeded, 2, 1)
		rec.Order = fmt.Sprint("order-", i%40) // five of 100 each
		rec.Request.OrderNo = rec.Order
		if i%40 == 7 {
			rec.Last.Status = refund.StatusPending
		}
		recs = append(recs, rec)
	}
	older := recs[0]
	older.Last.Sequence, older.Last.Status = 1, refund.StatusPending
	foreign := onTopic("f", refund.StatusPending, 1, 1)
	foreign.Request.Merchant = Merchants[1]
	if _, err := b.Store.Restore(b.ctx, merchant, token, []refund.Record{recs[7], foreign}); err == nil {
		b.Error("another merchant's refund was restored under this one's lock")
	}
	if open, err := b.Store.Restore(b.ctx, merchant, token, nil); err != nil || len(open) != 0 {
		b.Errorf("nothing to restore: %+v, %v", open, err)
	}
	open, err := b.Store.Restore(b.ctx, merchant, token, append(recs, older))
	if err != nil || len(open) != 5 {
		b.Fatalf("%d of five are open, %v", len(open), err)
	}
	for i, rec := range open {
		if rec.Request.RefundNo != recs[7+40*i].Request.RefundNo || rec.Holding != refund.HoldsReserved {
			b.Errorf("%+v", rec)
		}
	}
	if _, err := b.Store.Finish(b.ctx, merchant, token, 1); err != nil {
		b.Fatal(err)
	}
	if got := b.load("r0"); got.Last.Sequence != 2 || got.Last.Status != refund.StatusSucceeded {
		b.Errorf("an older event of the same step won: %+v", got)
	}
	for i := range 40 {
		name := fmt.Sprint("order-", i)
		b.claim(refund.OverTotal, claimOf(name, "t", order(name), amount(501)))
		b.claim(refund.Yours, claimOf(name, "t", order(name), amount(500)))
	}
}

func aLongFinalRefundStaysForgotten(b *bench) {
	b.Wipe()
	old := onTopic("old", refund.StatusSucceeded, 2, 1)
	old.Last.RecordedAt = Start.Add(-Retention)
	open := onTopic("open", refund.StatusReview, 2, 1)
	open.Last.RecordedAt = Start.Add(-2 * Retention)
	restored := b.rebuild(old, open)
	if len(restored) != 1 || b.knows("old") || !b.knows("open") {
		b.Errorf("%+v", restored)
	}
}

func aFailoverEndsARebuild(b *bench) {
	b.Wipe()
	token, err := b.Store.Lock(b.ctx, merchant, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	b.Failover()
	_, err = b.Store.Restore(b.ctx, merchant, token, []refund.Record{onTopic("r1", refund.StatusPending, 1, 1)})
	b.rebuilding("restore", err)
	_, err = b.Store.Finish(b.ctx, merchant, token, 1)
	b.rebuilding("finish", err)
	b.rebuilding("refresh", b.Store.Refresh(b.ctx, merchant, token, time.Hour))
	if _, err := b.Store.Lock(b.ctx, merchant, time.Hour); err != nil {
		b.Fatal("the lock of a server that is gone is void:", err)
	}
}
