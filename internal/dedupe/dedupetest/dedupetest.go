// Package dedupetest is the suite that every store of refunds passes: the
// scripts on an embedded and on a real Redis, alone and as a cluster, and the
// store in plain Go. The clock is the test's, so nothing sleeps.
package dedupetest

import (
	"context"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// Store is all that a store of refunds does.
type Store interface {
	refund.Claims
	refund.Records
	Epoch(ctx context.Context, merchant string) (int64, error)
	Begin(ctx context.Context, merchant string, epoch int64) (int64, error)
	Lock(ctx context.Context, merchant string, ttl time.Duration) (string, error)
	Refresh(ctx context.Context, merchant, token string, ttl time.Duration) error
	Unlock(ctx context.Context, merchant, token string) error
	Finish(ctx context.Context, merchant, token string, epoch int64) (int64, error)
	Restore(ctx context.Context, merchant, token string, recs []refund.Record) (open []refund.Record, err error)
	Note(ctx context.Context, merchant, offsets string) error
	Noted(ctx context.Context, merchant string) (string, error)
}

// Part is an empty store and what a test does to it. Its clock stands still at
// Start until Advance.
type Part struct {
	Store     Store
	Advance   func(time.Duration)
	Wipe      func()                // everything is gone
	Failover  func()                // the server's identity changes
	BreakLock func(merchant string) // the right to rebuild runs out
}

// Merchants that a Part's clock is set for.
var Merchants = []string{"S0003469", "shop-th.2_x"}

// Start is where a Part's clock begins.
var Start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// Retention is what a Part's store is made with.
const Retention = 400 * 24 * time.Hour

var (
	hkd = refund.Currency{Code: "HKD", Exponent: 2}
	thb = refund.Currency{Code: "THB", Exponent: 2}
)

const (
	merchant = "S0003469"
	lease    = 30 * time.Second
)

// Run holds a store against the suite; open makes a new Part for each test.
func Run(t *testing.T, open func(*testing.T) *Part) {
	for _, test := range []struct {
		name string
		run  func(*bench)
	}{
		{"ANewRefundIsYours", aNewRefundIsYours},
		{"ARepeatedClaimGetsTheSameAnswer", aRepeatedClaimGetsTheSameAnswer},
		{"OneTokenAtATime", oneTokenAtATime},
		{"AnEndedLeaseIsInDoubt", anEndedLeaseIsInDoubt},
		{"OtherContentIsAConflict", otherContentIsAConflict},
		{"WhatTheGatewayHasIsRunning", whatTheGatewayHasIsRunning},
		{"WhatWasNotSentMayBeSent", whatWasNotSentMayBeSent},
		{"AWaitingRefundInDoubtIsAskedAbout", aWaitingRefundInDoubtIsAskedAbout},
		{"FinalIsFinished", finalIsFinished},
		{"ADisputedFinalIsInDoubt", aDisputedFinalIsInDoubt},
		{"OneChainOfFollowUpsGoesOn", oneChainOfFollowUpsGoesOn},
		{"AnUnmatchedCallbackIsAdopted", anUnmatchedCallbackIsAdopted},
		{"UnmatchedAmountsCount", unmatchedAmountsCount},
		{"NoOrderOverItsTotal", noOrderOverItsTotal},
		{"TheTotalIsPinned", theTotalIsPinned},
		{"MostRefundsOfAnOrder", mostRefundsOfAnOrder},
		{"TheIntervalOfAnOrder", theIntervalOfAnOrder},
		{"SixtyFourAtOnce", sixtyFourAtOnce},
		{"AResendNeedsItsLease", aResendNeedsItsLease},
		{"AResendLooksAtTheTotal", aResendLooksAtTheTotal},
		{"OnlyWhatIsOpenIsResent", onlyWhatIsOpenIsResent},
		{"RecordComparesAndSets", recordComparesAndSets},
		{"RecordRepeated", recordRepeated},
		{"RecordKeepsWhatIsTheStores", recordKeepsWhatIsTheStores},
		{"RecordEndsTheLease", recordEndsTheLease},
		{"RecordMovesTheReservation", recordMovesTheReservation},
		{"AnEventNeverChanges", anEventNeverChanges},
		{"FullyRefunded", fullyRefunded},
		{"PublishedOnlyGrows", publishedOnlyGrows},
		{"TheRateIsShared", theRateIsShared},
		{"ThousandsWaitEachForItsOwnTime", thousandsWaitEachForItsOwnTime},
		{"LatecomersWaitInLine", latecomersWaitInLine},
		{"QueriesTakeNoPlace", queriesTakeNoPlace},
		{"AQueryPushesTheQueue", aQueryPushesTheQueue},
		{"PlacesAreDropped", placesAreDropped},
		{"WhatIsGoneIsNotNew", whatIsGoneIsNotNew},
		{"AFailoverIsNoticed", aFailoverIsNoticed},
		{"AnAttemptEndsWithItsEpochAtTheEarliest", anAttemptEndsWithItsEpochAtTheEarliest},
		{"EpochsOnlyGrow", epochsOnlyGrow},
		{"OldNewsMeetANewEpoch", oldNewsMeetANewEpoch},
		{"OneRebuildsAtATime", oneRebuildsAtATime},
		{"ARebuildBringsBack", aRebuildBringsBack},
		{"ARebuildGoesForwardOnly", aRebuildGoesForwardOnly},
		{"ARebuildPinsTheSmallestTotal", aRebuildPinsTheSmallestTotal},
		{"ARebuildTrustsNoAttempt", aRebuildTrustsNoAttempt},
		{"WhatIsFinalHereIsNotTouched", whatIsFinalHereIsNotTouched},
		{"ARebuildKeepsADispute", aRebuildKeepsADispute},
		{"ARestoredRequestIsWhole", aRestoredRequestIsWhole},
		{"ARebuildTakesManyAtOnce", aRebuildTakesManyAtOnce},
		{"ALongFinalRefundStaysForgotten", aLongFinalRefundStaysForgotten},
		{"AFailoverEndsARebuild", aFailoverEndsARebuild},
		{"NamesOfEveryKind", namesOfEveryKind},
		{"EveryFieldComesBack", everyFieldComesBack},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &bench{T: t, Part: open(t), ctx: t.Context()}
			for _, m := range Merchants {
				if _, err := b.Store.Begin(b.ctx, m, 0); err != nil {
					t.Fatal(err)
				}
			}
			test.run(b)
		})
	}
}

// bench is a Part with words for tests.
type bench struct {
	*testing.T
	*Part
	ctx context.Context
}

// claimOf is a request of one refund, of 1.00 of 10.00 unless changed.
func claimOf(no, token string, with ...func(*refund.Claim)) refund.Claim {
	c := refund.Claim{
		Request: refund.Request{
			Key: refund.Key{Merchant: merchant, RefundNo: no}, OrderNo: "order-1",
			Amount: refund.Money{Minor: 100, Currency: hkd}, OrderAmount: refund.Money{Minor: 1000, Currency: hkd},
			Method: "WeChat", Wallet: "WECHATCN", Terminal: "tid_1", Flow: refund.FlowRefund, Reason: "test",
		},
		Provider: "eftpay", Order: "order-1", Token: token, Lease: lease, FirstSeen: Start,
	}
	for _, change := range with {
		change(&c)
	}
	return c
}

func amount(minor int64) func(*refund.Claim) {
	return func(c *refund.Claim) { c.Request.Amount.Minor = minor }
}

func total(minor int64) func(*refund.Claim) {
	return func(c *refund.Claim) { c.Request.OrderAmount.Minor = minor }
}

func order(name string) func(*refund.Claim) {
	return func(c *refund.Claim) { c.Request.OrderNo, c.Order = name, name }
}

func followUp(n int, place string) func(*refund.Claim) {
	return func(c *refund.Claim) { c.FollowUp, c.Place = n, place }
}

func limits(l refund.Limits) func(*refund.Claim) {
	return func(c *refund.Claim) { c.Limits = l }
}

// claim wants one answer and gives what came with it.
func (b *bench) claim(want refund.ClaimAnswer, c refund.Claim) refund.Claimed {
	b.Helper()
	got, err := b.Store.Claim(b.ctx, c)
	if err != nil {
		b.Fatalf("claim of %s by %s: %v", c.Request.RefundNo, c.Token, err)
	}
	if got.Answer != want {
		b.Fatalf("claim of %s by %s: answer %d, want %d (%+v)", c.Request.RefundNo, c.Token, got.Answer, want, got.Record)
	}
	return got
}

func (b *bench) knows(no string) bool {
	b.Helper()
	rec := b.load(no)
	return rec.Known()
}

func (b *bench) load(no string) refund.Record {
	b.Helper()
	rec, err := b.Store.Load(b.ctx, refund.Key{Merchant: merchant, RefundNo: no})
	if err != nil {
		b.Fatal(err)
	}
	return rec
}

// record stores a new event with a status and what it holds, and wants it stored.
func (b *bench) record(rec refund.Record, status refund.Status, endLease string, with ...func(*refund.Record)) refund.Record {
	b.Helper()
	got, ok, err := b.Store.Record(b.ctx, eventOf(rec, status, with...), endLease)
	if err != nil || !ok {
		b.Fatalf("record %s as %s: stored %t, %v", rec.Key(), status, ok, err)
	}
	return got
}

// eventOf is the record with another event, as a lifecycle would make it.
func eventOf(rec refund.Record, status refund.Status, with ...func(*refund.Record)) refund.Record {
	next := rec
	next.Last.Sequence, next.Last.Epoch = rec.NextSequence(), rec.Epoch
	next.Last.Status, next.Last.Source, next.Last.Attempt = status, refund.FromWorker, rec.Attempt
	next.Last.RecordedAt, next.Last.OccurredAt = rec.StoreTime, rec.StoreTime
	next.Holding = holdingOf(status)
	for _, change := range with {
		change(&next)
	}
	return next
}

func holdingOf(s refund.Status) refund.Holding {
	switch {
	case s == refund.StatusSucceeded:
		return refund.HoldsSucceeded
	case s.Open():
		return refund.HoldsReserved
	}
	return refund.HoldsNothing
}

// finish claims a refund and ends it.
func (b *bench) finish(c refund.Claim, status refund.Status) refund.Record {
	b.Helper()
	return b.record(b.claim(refund.Yours, c).Record, status, c.Token)
}

// same compares records but for the clock of our own.
func (b *bench) same(what string, got, want refund.Record) {
	b.Helper()
	got.Seen, want.Seen = time.Time{}, time.Time{}
	if got != want {
		b.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}
