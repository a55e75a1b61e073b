package dedupetest

import (
	"errors"
	"time"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

// unavailable wants a *refund.Unavailable that says closed around an error of this
// type.
func unavailable[E error](b *bench, what string, err error) E {
	b.Helper()
	var u *refund.Unavailable
	var cause E
	if !errors.As(err, &u) || !u.Closed || !errors.As(err, &cause) {
		b.Fatalf("%s: %v (%T)", what, err, err)
	}
	return cause
}

func (b *bench) rebuilding(what string, err error) {
	b.Helper()
	var u *refund.Unavailable
	if !errors.As(err, &u) || !u.Closed || !errors.Is(err, dedupe.ErrRebuilding) {
		b.Fatalf("%s: %v", what, err)
	}
}

// steps tries every step of the store on a merchant that cannot be served.
func (b *bench) steps() map[string]error {
	rec := refund.Record{Request: claimOf("r1", "").Request, Version: 1, Order: "order-1", StoreTime: Start}
	_, claim := b.Store.Claim(b.ctx, claimOf("r1", "t9"))
	_, resend := b.Store.Resend(b.ctx, rec, "t1", lease)
	_, load := b.Store.Load(b.ctx, rec.Key())
	_, _, record := b.Store.Record(b.ctx, eventOf(rec, refund.StatusFailed), "t1")
	_, published := b.Store.Published(b.ctx, rec.Key(), 1)
	_, epoch := b.Store.Epoch(b.ctx, merchant)
	note := b.Store.Note(b.ctx, merchant, "0:1")
	return map[string]error{
		"claim": claim, "resend": resend, "load": load, "record": record, "published": published, "epoch": epoch, "note": note,
	}
}

func whatIsGoneIsNotNew(b *bench) {
	b.claim(refund.Yours, claimOf("r1", "t1"))
	b.Wipe()
	for step, err := range b.steps() {
		if missing := unavailable[*dedupe.EpochMissingError](b, step, err); missing.Merchant != merchant {
			b.Errorf("%s: %+v", step, missing)
		}
	}
}

func aFailoverIsNoticed(b *bench) {
	b.claim(refund.Yours, claimOf("r1", "t1"))
	if err := b.Store.Note(b.ctx, merchant, "0:17 1:4"); err != nil {
		b.Fatal(err)
	}
	b.Failover()
	for step, err := range b.steps() {
		if changed := unavailable[*dedupe.ServerChangedError](b, step, err); changed.Merchant != merchant || changed.Epoch != 0 {
			b.Errorf("%s: %+v", step, changed)
		}
	}
	if noted, err := b.Store.Noted(b.ctx, merchant); err != nil || noted != "0:17 1:4" {
		b.Errorf("noted %q, %v", noted, err)
	}
	_, err := b.Store.Begin(b.ctx, merchant, 0)
	unavailable[*dedupe.ServerChangedError](b, "an epoch that is not higher", err)
}

// A failover whose new server is a minute ahead, of a refund that the rebuild did not touch (its event was noted before):
// by the old server's clock its call ended half a minute ago, so "not found" would count while the call may still land.
func anAttemptEndsWithItsEpochAtTheEarliest(b *bench) {
	b.claim(refund.Yours, claimOf("r1", "t1"))
	b.Failover()
	b.Advance(lease + time.Minute)
	token, err := b.Store.Lock(b.ctx, merchant, time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := b.Store.Finish(b.ctx, merchant, token, 1); err != nil {
		b.Fatal(err)
	}
	began := Start.Add(lease + time.Minute)
	b.Advance(time.Second)
	if got := b.claim(refund.InDoubt, claimOf("r1", "t2")).Record; !got.CallEnd.Equal(began) {
		b.Errorf("its call ended at %s, want %s, when the epoch began", got.CallEnd, began)
	}
	b.Advance(lease)
	if got := b.claim(refund.InDoubt, claimOf("r1", "t3")).Record; !got.CallEnd.Equal(began) {
		b.Errorf("its call's end moved on to %s", got.CallEnd)
	}
}

func epochsOnlyGrow(b *bench) {
	for _, step := range []struct{ begin, want int64 }{{0, 0}, {3, 3}, {2, 3}, {3, 3}} {
		if got, err := b.Store.Begin(b.ctx, merchant, step.begin); err != nil || got != step.want {
			b.Errorf("begin %d: %d, %v", step.begin, got, err)
		}
		if got, err := b.Store.Epoch(b.ctx, merchant); err != nil || got != step.want {
			b.Errorf("after begin %d: %d, %v", step.begin, got, err)
		}
	}
	if got := b.claim(refund.Yours, claimOf("r1", "t1")).Record; got.Last.Sequence != 3001 || got.Epoch != 3 {
		b.Errorf("%+v", got)
	}
}

func oldNewsMeetANewEpoch(b *bench) {
	asked := b.doubtful("r1")
	if _, err := b.Store.Begin(b.ctx, merchant, 1); err != nil {
		b.Fatal(err)
	}
	got, ok, err := b.Store.Record(b.ctx, eventOf(asked, refund.StatusFailed), "q")
	if err != nil || ok || got.Epoch != 1 || got.Last.Sequence != 1 {
		b.Fatalf("a sequence of the old epoch was stored: %t, %v, %+v", ok, err, got)
	}
	b.resend(refund.NotYours, asked, "q")
	if got.NextSequence() != 1001 {
		b.Errorf("next sequence %d", got.NextSequence())
	}
	b.record(got, refund.StatusFailed, "q")
}

func oneRebuildsAtATime(b *bench) {
	token, err := b.Store.Lock(b.ctx, merchant, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	_, err = b.Store.Restore(b.ctx, merchant, token, []refund.Record{onTopic("r1", refund.StatusPending, 1, 1)})
	if !errors.Is(err, dedupe.ErrServing) {
		b.Errorf("restored while claims are given: %v", err)
	}
	b.Wipe()
	_, err = b.Store.Finish(b.ctx, merchant, token, 1)
	b.rebuilding("finish after a wipe", err)
	_, err = b.Store.Restore(b.ctx, merchant, token, []refund.Record{onTopic("r1", refund.StatusPending, 1, 1)})
	b.rebuilding("restore after a wipe", err)

	if token, err = b.Store.Lock(b.ctx, merchant, time.Hour); err != nil {
		b.Fatal(err)
	}
	_, err = b.Store.Lock(b.ctx, merchant, time.Hour)
	b.rebuilding("a second lock", err)
	_, err = b.Store.Begin(b.ctx, merchant, 1)
	b.rebuilding("begin beside a rebuild", err)
	b.rebuilding("refresh by another", b.Store.Refresh(b.ctx, merchant, "other", time.Hour))
	if err := b.Store.Unlock(b.ctx, merchant, "other"); err != nil {
		b.Fatal(err)
	}
	if err := b.Store.Refresh(b.ctx, merchant, token, time.Hour); err != nil {
		b.Fatal(err)
	}
	if other, err := b.Store.Lock(b.ctx, Merchants[1], time.Hour); err != nil || b.Store.Unlock(b.ctx, Merchants[1], other) != nil {
		b.Fatal("another merchant's", err)
	}

	b.BreakLock(merchant)
	next, err := b.Store.Lock(b.ctx, merchant, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	b.rebuilding("refresh of a lost one", b.Store.Refresh(b.ctx, merchant, token, time.Hour))
	_, err = b.Store.Finish(b.ctx, merchant, token, 5)
	b.rebuilding("finish of a lost one", err)
	if got, err := b.Store.Finish(b.ctx, merchant, next, 5); err != nil || got != 5 {
		b.Fatal(got, err)
	}
	if _, err := b.Store.Lock(b.ctx, merchant, time.Hour); err != nil {
		b.Fatal("not given back", err)
	}
}
