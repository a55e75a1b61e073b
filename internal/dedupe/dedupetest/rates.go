package dedupetest

import (
	"fmt"
	"sort"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

func theRateIsShared(b *bench) {
	five := limits(refund.Limits{Rate: 5})
	for i := range 5 { // one second's worth at once
		b.claim(refund.Yours, claimOf(fmt.Sprint("r", i), "t", five))
	}
	for i, want := range []time.Duration{200, 400, 600} {
		got := b.claim(refund.NotNow, claimOf(fmt.Sprint("w", i), "t", five))
		if got.Wait != want*time.Millisecond || got.Record.Known() {
			b.Errorf("number %d waits %v", i, got.Wait)
		}
	}
	if got := b.claim(refund.NotNow, claimOf("w1", "t", five)); got.Wait != 400*time.Millisecond {
		b.Errorf("asking again moved its place: %v", got.Wait)
	}
	b.claim(refund.Yours, claimOf("r0", "t", five, func(c *refund.Claim) { c.Request.Merchant = Merchants[1] }))
	b.Advance(200 * time.Millisecond)
	if got := b.claim(refund.NotNow, claimOf("new", "t", five)); got.Wait != 600*time.Millisecond {
		b.Errorf("a newcomer overtook those that wait: %v", got.Wait)
	}
	b.claim(refund.Yours, claimOf("w0", "t", five))
	if got := b.claim(refund.NotNow, claimOf("w1", "t", five)); got.Wait != 200*time.Millisecond {
		b.Errorf("%v", got.Wait)
	}
	b.Advance(10 * time.Second)
	for _, no := range []string{"new", "w1", "w2", "late"} {
		b.claim(refund.Yours, claimOf(no, "t", five, order("order-2")))
	}
	// A refused one leaves its place.
	b.claim(refund.Yours, claimOf("full", "t", five, order("order-3"), amount(1000)))
	b.claim(refund.NotNow, claimOf("over", "t", five, order("order-3")))
	b.Advance(time.Second)
	b.claim(refund.OverTotal, claimOf("over", "t", five, order("order-3")))
}

// thousandsWaitEachForItsOwnTime: each is told its time once, comes at it, and is
// let through: none is sent round again.
func thousandsWaitEachForItsOwnTime(b *bench) {
	const many, rate = 1500, 100
	limit := limits(refund.Limits{Rate: rate})
	type waiting struct {
		claim refund.Claim
		at    time.Duration
	}
	var queue []waiting
	for i := range many {
		c := claimOf(fmt.Sprint("r", i), "t", limit, order(fmt.Sprint("o", i)))
		got, err := b.Store.Claim(b.ctx, c)
		if err != nil {
			b.Fatal(err)
		}
		if got.Answer == refund.NotNow {
			queue = append(queue, waiting{c, got.Wait})
		}
	}
	if len(queue) != many-rate {
		b.Fatalf("%d of %d wait", len(queue), many)
	}
	sort.SliceStable(queue, func(i, j int) bool { return queue[i].at < queue[j].at })
	var now time.Duration
	for _, w := range queue {
		b.Advance(w.at - now)
		now = w.at
		b.claim(refund.Yours, w.claim)
	}
	if last := queue[len(queue)-1].at; last != (many-rate)*time.Second/rate {
		b.Errorf("the last one waited %v", last)
	}
}

// latecomersWaitInLine: whose time came while nobody worked are told times of
// their own as well, in the order of their places.
func latecomersWaitInLine(b *bench) {
	const many, rate = 40, 10
	limit := limits(refund.Limits{Rate: rate})
	claims := make([]refund.Claim, many)
	for i := range claims {
		claims[i] = claimOf(fmt.Sprintf("r%02d", i), "t", limit, order(fmt.Sprint("o", i)))
		if _, err := b.Store.Claim(b.ctx, claims[i]); err != nil {
			b.Fatal(err)
		}
	}
	b.Advance(time.Minute)
	waits := map[time.Duration]bool{}
	for i, c := range claims[rate:] {
		got, err := b.Store.Claim(b.ctx, c)
		if err != nil {
			b.Fatal(err)
		}
		if now := got.Answer == refund.Yours; now != (i < rate) {
			b.Errorf("latecomer %d: answer %d", i, got.Answer)
		}
		if got.Answer == refund.NotNow {
			if waits[got.Wait] || got.Wait <= 0 || got.Wait > (many-2*rate)*time.Second/rate {
				b.Errorf("latecomer %d waits %v", i, got.Wait)
			}
			waits[got.Wait] = true
		}
	}
	for range many - 2*rate {
		b.Advance(time.Second / rate)
	}
	for _, c := range claims[2*rate : 3*rate] {
		b.claim(refund.Yours, c)
	}
}

func queriesTakeNoPlace(b *bench) {
	ten := limits(refund.Limits{Rate: 10})
	var open []refund.Claim
	for i := range 20 {
		c := claimOf(fmt.Sprint("r", i), "t", order(fmt.Sprint("o", i)))
		b.claim(refund.Yours, c)
		c.Token, c.FollowUp, c.Place, c.Limits = "q", 1, fmt.Sprint("d/0/", i), refund.Limits{Rate: 10}
		open = append(open, c)
	}
	b.Advance(lease)
	for _, c := range open[:10] {
		b.claim(refund.InDoubt, c)
	}
	for i, c := range open[10:] { // each is told a time of its own
		if got := b.claim(refund.NotNow, c); got.Wait != time.Duration(i+1)*100*time.Millisecond || got.Record.Token != "t" {
			b.Errorf("query %d waits %v", i, got.Wait)
		}
	}
	// Queries and calls share the rate, and a query does not wait behind parked calls.
	b.claim(refund.NotNow, claimOf("new", "t", ten))
	b.Advance(100 * time.Millisecond)
	b.claim(refund.InDoubt, open[10])
	if got := b.claim(refund.NotNow, claimOf("new", "t", ten)); got.Wait <= 0 {
		b.Errorf("waits %v", got.Wait)
	}
	b.Advance(100 * time.Millisecond)
	b.claim(refund.Yours, claimOf("new", "t", ten))
	b.Advance(100 * time.Millisecond)
	b.claim(refund.InDoubt, open[11])
}

// aQueryPushesTheQueue: places are given so that calls and queries together keep
// the rate.
func aQueryPushesTheQueue(b *bench) {
	one := limits(refund.Limits{Rate: 1})
	b.claim(refund.Yours, claimOf("asked", "t"))
	b.Advance(lease)
	b.claim(refund.Yours, claimOf("r0", "t", one, order("o0")))
	for i, want := range []time.Duration{time.Second, 2 * time.Second} {
		if got := b.claim(refund.NotNow, claimOf(fmt.Sprint("w", i), "t", one, order("o1"))); got.Wait != want {
			b.Errorf("number %d waits %v", i, got.Wait)
		}
	}
	b.Advance(time.Second)
	b.claim(refund.InDoubt, claimOf("asked", "q", followUp(1, "d/0/1"), one))
	if got := b.claim(refund.NotNow, claimOf("w2", "t", one, order("o1"))); got.Wait != 3*time.Second {
		b.Errorf("behind two that wait and a query: %v", got.Wait)
	}
}

// placesAreDropped: who does not come back does not hold the others up for ever.
func placesAreDropped(b *bench) {
	one := limits(refund.Limits{Rate: 1})
	b.claim(refund.Yours, claimOf("r0", "t", one, order("o0")))
	for _, no := range []string{"withdrawn", "withdrawn too", "late"} {
		b.claim(refund.NotNow, claimOf(no, "t", one, order("o1")))
	}
	b.Advance(13 * time.Hour)
	b.claim(refund.Yours, claimOf("r1", "t", one, order("o2")))
	if got := b.claim(refund.NotNow, claimOf("late", "t", one, order("o1"))); got.Wait != 3*time.Second {
		b.Errorf("behind two that were withdrawn: %v", got.Wait) // their places stand until somebody queues
	}
	b.claim(refund.NotNow, claimOf("new", "t", one, order("o3")))
	if got := b.claim(refund.NotNow, claimOf("late", "t", one, order("o1"))); got.Wait != 2*time.Second {
		b.Errorf("its place was dropped too, it queues behind the newcomer: %v", got.Wait)
	}
}
