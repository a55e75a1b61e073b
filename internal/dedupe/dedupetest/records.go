package dedupetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

func recordMovesTheReservation(b *bench) {
	// R -> S -> nothing (a correction), with another refund that asks after each step.
	first := b.claim(refund.Yours, claimOf("r1", "t1", amount(700))).Record
	done := b.record(first, refund.StatusSucceeded, "t1")
	b.claim(refund.OverTotal, claimOf("r2", "t2", amount(301)))
	b.record(done, refund.StatusFailed, "", func(r *refund.Record) { r.Last.Correction = true })
	b.claim(refund.Yours, claimOf("r2", "t2", amount(1000)))

	// What the gateway says is stored, also beyond the total; only claims are refused.
	late := b.load("r1")
	b.record(late, refund.StatusSucceeded, "", func(r *refund.Record) { r.Last.Correction = true })
	b.claim(refund.OverTotal, claimOf("r3", "t3", amount(1)))

	// From one order to another.
	moved := b.load("r1")
	moved.Order, moved.Request.OrderNo = "order-2", "order-2"
	b.record(moved, refund.StatusSucceeded, "", func(r *refund.Record) { r.Last.Correction = true })
	b.claim(refund.OverTotal, claimOf("r4", "t4", amount(301), order("order-2")))
	b.claim(refund.Yours, claimOf("r4", "t4", amount(300), order("order-2")))
	b.record(b.load("r2"), refund.StatusFailed, "t2")
	b.claim(refund.Yours, claimOf("r5", "t5", amount(1000)))
}

func recordComparesAndSets(b *bench) {
	rec := b.claim(refund.Yours, claimOf("r1", "t1")).Record
	callback := b.record(rec, refund.StatusSucceeded, "")
	got, ok, err := b.Store.Record(b.ctx, eventOf(rec, refund.StatusUnknown), "t1")
	if err != nil || ok {
		b.Fatal("stored over a newer version", ok, err)
	}
	b.same("what is there", got, callback)

	unknown := eventOf(b.load("r9"), refund.StatusRejected)
	unknown.Request, unknown.Version = claimOf("r9", "").Request, 3
	if got, ok, err := b.Store.Record(b.ctx, unknown, ""); err != nil || ok || got.Known() {
		b.Fatal("stored without the version that was expected", ok, err, got)
	}
	unknown.Version, unknown.Last.Matched, unknown.Provider, unknown.Order = 0, true, "eftpay", "order-1"
	got, ok, err = b.Store.Record(b.ctx, unknown, "")
	if err != nil || !ok || got.Version != 1 || got.Last.Status != refund.StatusRejected {
		b.Fatal(ok, err, got)
	}
	b.claim(refund.Finished, claimOf("r9", "t1"))
}

func recordRepeated(b *bench) {
	for i, status := range []refund.Status{refund.StatusSucceeded, refund.StatusWaiting, refund.StatusUnknown} {
		c := claimOf(fmt.Sprint("r", i), "t1")
		next := eventOf(b.claim(refund.Yours, c).Record, status)
		first, ok, err := b.Store.Record(b.ctx, next, "t1")
		if err != nil || !ok {
			b.Fatal(ok, err)
		}
		b.Advance(time.Second)
		again, ok, err := b.Store.Record(b.ctx, next, "t1")
		if err != nil || !ok {
			b.Fatalf("%s: the repeat of a step whose reply was lost: %t, %v", status, ok, err)
		}
		again.StoreTime = first.StoreTime
		b.same("the repeat", again, first)
	}
	b.claim(refund.Yours, claimOf("r7", "t1", amount(800))) // 100 succeeded, 100 unknown: counted once
	b.claim(refund.OverTotal, claimOf("r8", "t1", amount(1)))
}

func recordKeepsWhatIsTheStores(b *bench) {
	rec := b.claim(refund.Yours, claimOf("r1", "t1")).Record
	b.claim(refund.Running, claimOf("r1", "t2", followUp(1, "d/0/1")))
	if _, err := b.Store.Published(b.ctx, rec.Key(), 1); err != nil {
		b.Fatal(err)
	}
	rec.Token, rec.LeaseEnd, rec.CallEnd, rec.Published = "forged", time.Time{}, time.Time{}, 0
	got := b.record(rec, refund.StatusUnknown, "")
	if got.Token != "t1" || got.LeaseEnd != Start.Add(lease) || got.CallEnd != got.LeaseEnd || got.FollowUp != 1 || got.Place != "d/0/1" || got.Published != 1 {
		b.Errorf("%+v", got)
	}
}

func recordEndsTheLease(b *bench) {
	rec := b.claim(refund.Yours, claimOf("r1", "t1")).Record
	b.Advance(time.Second)
	other := b.record(rec, refund.StatusUnknown, "t0")
	if other.LeaseEnd != Start.Add(lease) {
		b.Error("another token ended the lease")
	}
	own := b.record(other, refund.StatusReview, "t1")
	if own.LeaseEnd != Start.Add(time.Second) || own.CallEnd != own.LeaseEnd || own.Token != "t1" {
		b.Errorf("%+v", own)
	}
	b.Advance(time.Second)
	asked := b.claim(refund.InDoubt, claimOf("r1", "t2")).Record
	b.Advance(time.Second)
	ended := b.record(asked, refund.StatusUnknown, "t2")
	if ended.LeaseEnd != Start.Add(3*time.Second) || ended.CallEnd != own.CallEnd {
		b.Errorf("a query's end moved the call's: %+v", ended)
	}
	b.Advance(time.Minute)
	late := b.record(ended, refund.StatusReview, "t2")
	if late.LeaseEnd != ended.LeaseEnd {
		b.Error("an ended lease was made longer")
	}

	// A callback ends the refund while the call is under way, another disputes it:
	// the end of the query about that is not the end of the call.
	rec = b.claim(refund.Yours, claimOf("r2", "t1")).Record
	done := b.record(rec, refund.StatusSucceeded, "")
	done.Doubt = true
	if _, ok, err := b.Store.Record(b.ctx, done, ""); err != nil || !ok {
		b.Fatal(ok, err)
	}
	asked = b.claim(refund.InDoubt, claimOf("r2", "q")).Record
	b.Advance(time.Second)
	if ended := b.record(asked, refund.StatusReview, "q"); ended.CallEnd != rec.CallEnd || ended.LeaseEnd == asked.LeaseEnd {
		b.Errorf("%+v", ended)
	}
}

func anEventNeverChanges(b *bench) {
	rec := b.claim(refund.Yours, claimOf("r1", "t1")).Record
	for name, change := range map[string]func(*refund.Record){
		"status":      func(r *refund.Record) { r.Last.Status = refund.StatusReview },
		"source":      func(r *refund.Record) { r.Last.Source = refund.FromQuery },
		"message":     func(r *refund.Record) { r.Last.Message = "x" },
		"recorded_at": func(r *refund.Record) { r.Last.RecordedAt = r.Last.RecordedAt.Add(time.Second) },
		"correction":  func(r *refund.Record) { r.Last.Correction = true },
		"attempt":     func(r *refund.Record) { r.Last.Attempt++ },
		"an older sequence": func(r *refund.Record) {
			b.record(b.load("r1"), refund.StatusUnknown, "") // two events on
			r.Version = b.load("r1").Version
		},
	} {
		next := b.load("r1")
		if name == "an older sequence" {
			next = rec
		}
		change(&next)
		_, ok, err := b.Store.Record(b.ctx, next, "")
		var unavailable *refund.Unavailable
		if err == nil || ok || errors.As(err, &unavailable) {
			b.Errorf("%s: stored %t, %v", name, ok, err)
		}
	}
}

func publishedOnlyGrows(b *bench) {
	rec := b.claim(refund.Yours, claimOf("r1", "t1")).Record
	for _, step := range []struct{ note, want int64 }{{1, 1}, {5, 5}, {3, 5}} {
		got, err := b.Store.Published(b.ctx, rec.Key(), step.note)
		if err != nil || got.Published != step.want || got.Version != rec.Version || got.Last != rec.Last {
			b.Errorf("noted %d: %+v, %v", step.note, got, err)
		}
	}
	unknown, err := b.Store.Published(b.ctx, refund.Key{Merchant: merchant, RefundNo: "r9"}, 1)
	if err != nil || unknown.Known() || b.knows("r9") {
		b.Errorf("a refund that is not known: %+v, %v", unknown, err)
	}
	if got := b.record(b.load("r1"), refund.StatusSucceeded, "t1"); got.Published != 5 {
		b.Errorf("%+v", got)
	}
}

func everyFieldComesBack(b *bench) {
	at := Start.Add(123 * time.Millisecond)
	c := claimOf("r1", "t1", func(c *refund.Claim) {
		c.Request.TransactionID, c.Request.Flow, c.Request.Reason = "4200001", refund.FlowApply, "a | reason\x00\n退款"
		c.Request.RequestedAt = at
		c.Request.Trace = refund.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "a=1,b=2"}
	})
	rec := b.claim(refund.Yours, c).Record
	if rec.Request != c.Request {
		b.Fatalf("got %+v\nwant %+v", rec.Request, c.Request)
	}
	next := eventOf(rec, refund.StatusUnknown, func(r *refund.Record) {
		r.Accepted, r.Doubt = true, true
		r.Last.Correction, r.Last.Source, r.Last.Attempt = true, refund.FromOperator, 7
		r.Last.ProviderStatus, r.Last.ProviderRefundID, r.Last.TransactionID = "TRADE|", "5030|", "42|"
		r.Last.Code, r.Last.Message = "code", "退款 | failed\x00"
		r.Last.OccurredAt = at.Add(time.Hour)
	})
	got, ok, err := b.Store.Record(b.ctx, next, "")
	if err != nil || !ok {
		b.Fatal(ok, err)
	}
	next.Version++
	b.same("recorded", got, next)
	b.same("loaded", b.load("r1"), next)
}
