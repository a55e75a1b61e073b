package dedupetest

import (
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// resend wants one answer.
func (b *bench) resend(want refund.ClaimAnswer, rec refund.Record, token string) refund.Claimed {
	b.Helper()
	got, err := b.Store.Resend(b.ctx, rec, token, lease)
	if err != nil {
		b.Fatal(err)
	}
	if got.Answer != want {
		b.Fatalf("resend by %s: answer %d, want %d (%+v)", token, got.Answer, want, got.Record)
	}
	return got
}

// doubtful is a refund that was called, and whose query lease "q" runs.
func (b *bench) doubtful(no string, with ...func(*refund.Claim)) refund.Record {
	b.Helper()
	b.claim(refund.Yours, claimOf(no, "t-"+no, with...))
	b.Advance(lease)
	return b.claim(refund.InDoubt, claimOf(no, "q", with...)).Record
}

func aResendNeedsItsLease(b *bench) {
	asked := b.doubtful("r1")
	b.resend(refund.NotYours, asked, "t-r1")
	b.resend(refund.NotYours, b.load("r9"), "q")
	b.Advance(time.Second)
	sent := b.resend(refund.Yours, asked, "q")
	want := asked
	want.Version, want.Attempt, want.StoreTime = 3, 2, Start.Add(lease+time.Second)
	want.LeaseEnd = want.StoreTime.Add(lease)
	want.CallEnd = want.LeaseEnd
	b.same("the same event, another attempt", sent.Record, want)
	b.same("the repeat of a step whose reply was lost", b.resend(refund.Yours, asked, "q").Record, want)
	b.resend(refund.NotYours, sent.Record, "q") // a call's lease proves nothing
	b.claim(refund.Running, claimOf("r1", "t3"))

	late := b.doubtful("r2")
	b.Advance(lease)
	b.resend(refund.NotYours, late, "q")

	overtaken := b.doubtful("r3")
	b.claim(refund.Running, claimOf("r3", "f", followUp(1, "d/0/1"))) // this alone does not matter
	if _, err := b.Store.Published(b.ctx, overtaken.Key(), 1); err != nil {
		b.Fatal(err)
	}
	accepted := overtaken
	accepted.Accepted = true // a callback: the gateway has it
	if _, ok, err := b.Store.Record(b.ctx, accepted, ""); err != nil || !ok {
		b.Fatal(ok, err)
	}
	b.resend(refund.NotYours, overtaken, "q")
	b.record(b.load("r3"), refund.StatusSucceeded, "")
	b.resend(refund.NotYours, b.load("r3"), "q")

	taken := b.doubtful("r4")
	b.claim(refund.Running, claimOf("r4", "f", followUp(1, "d/0/1")))
	b.resend(refund.Yours, taken, "q")
}

func aResendLooksAtTheTotal(b *bench) {
	asked := b.doubtful("r1", amount(600))
	// Gateway facts took the room meanwhile: they are stored whatever the total.
	other := refund.Record{
		Request: refund.Request{
			Key: refund.Key{Merchant: merchant, RefundNo: "r2"}, OrderNo: "order-1",
			Amount: refund.Money{Minor: 401, Currency: hkd},
		},
		Provider: "eftpay", Order: "order-1", StoreTime: Start,
	}
	stored := b.record(other, refund.StatusSucceeded, "", func(r *refund.Record) { r.Last.Source = refund.FromCallback })
	b.same("nothing is stored", b.resend(refund.OverTotal, asked, "q").Record, b.load("r1"))
	b.record(stored, refund.StatusFailed, "", func(r *refund.Record) { r.Last.Correction = true })
	b.resend(refund.Yours, asked, "q")
	b.claim(refund.OverTotal, claimOf("r3", "t1", amount(401)))

	// What nobody asked for is not sent.
	unmatched := other
	unmatched.Request.RefundNo, unmatched.Order, unmatched.Request.OrderAmount = "r7", "order-3", refund.Money{Minor: 1000, Currency: hkd}
	b.record(unmatched, refund.StatusPending, "", func(r *refund.Record) { r.Last.Source = refund.FromCallback })
	asked = b.claim(refund.InDoubt, claimOf("r7", "q", amount(401), order("order-3"), followUp(1, "d/0/1"))).Record
	b.resend(refund.NotYours, asked, "q")

	// After a rebuild the order may be pinned to a smaller total than the one that this request named.
	b.Wipe()
	first, second := onTopic("r6", refund.StatusSucceeded, 2, 1), onTopic("r5", refund.StatusPending, 1, 1)
	first.Request.OrderAmount.Minor, second.Request.Amount.Minor = 500, 600
	b.rebuild(first, second)
	asked = b.claim(refund.InDoubt, claimOf("r5", "q", amount(600))).Record
	b.resend(refund.OverTotal, asked, "q")
}

func onlyWhatIsOpenIsResent(b *bench) {
	rec := b.claim(refund.Yours, claimOf("r1", "t1")).Record
	b.record(rec, refund.StatusWaiting, "t1", func(r *refund.Record) { r.Doubt = true })
	asked := b.claim(refund.InDoubt, claimOf("r1", "q")).Record
	b.resend(refund.NotYours, asked, "q") // it is on the topic as waiting: a claim announces its next call

	final := b.finish(claimOf("r3", "t1"), refund.StatusFailed)
	final.Doubt = true
	if _, ok, err := b.Store.Record(b.ctx, final, ""); err != nil || !ok {
		b.Fatal(ok, err)
	}
	disputed := b.claim(refund.InDoubt, claimOf("r3", "q")).Record
	b.resend(refund.NotYours, disputed, "q") // a final refund is never sent again
}
