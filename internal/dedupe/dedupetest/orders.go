package dedupetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

func noOrderOverItsTotal(b *bench) {
	first := b.claim(refund.Yours, claimOf("r1", "t1", amount(600))).Record
	over := b.claim(refund.OverTotal, claimOf("r2", "t1", amount(401)))
	if over.Record.Known() || b.knows("r2") {
		b.Errorf("a refused claim stored %+v", over.Record)
	}
	b.claim(refund.Yours, claimOf("r2", "t1", amount(400)))
	b.claim(refund.OverTotal, claimOf("r3", "t1", amount(1)))
	b.record(first, refund.StatusUnknown, "t1")
	b.claim(refund.OverTotal, claimOf("r3", "t1", amount(1))) // an unknown outcome keeps its reservation
	b.record(b.load("r1"), refund.StatusFailed, "")
	b.claim(refund.OverTotal, claimOf("r3", "t1", amount(601)))
	b.finish(claimOf("r3", "t1", amount(600)), refund.StatusSucceeded)
	b.claim(refund.OverTotal, claimOf("r4", "t1", amount(1)))
	b.claim(refund.Yours, claimOf("r4", "t1", amount(1), order("order-2")))
}

func theTotalIsPinned(b *bench) {
	first := b.claim(refund.Yours, claimOf("r1", "t1")).Record
	b.claim(refund.OrderConflict, claimOf("r2", "t1", total(2000)))
	b.claim(refund.OrderConflict, claimOf("r2", "t1", func(c *refund.Claim) {
		c.Request.Amount.Currency, c.Request.OrderAmount.Currency = thb, thb
	}))
	b.record(first, refund.StatusFailed, "t1")
	b.claim(refund.Yours, claimOf("r2", "t1", total(2000), amount(1500))) // nothing is held: pinned anew
	b.claim(refund.OrderConflict, claimOf("r3", "t1"))
}

func mostRefundsOfAnOrder(b *bench) {
	two := limits(refund.Limits{MaxRefundsPerOrder: 2})
	b.finish(claimOf("r1", "t1", two), refund.StatusSucceeded)
	second := b.claim(refund.Yours, claimOf("r2", "t1", two)).Record
	b.claim(refund.TooMany, claimOf("r3", "t1", two))
	b.record(second, refund.StatusFailed, "t1")
	b.claim(refund.Yours, claimOf("r3", "t1", two))
}

func theIntervalOfAnOrder(b *bench) {
	slow := limits(refund.Limits{OrderInterval: time.Minute})
	b.finish(claimOf("r1", "t1", slow), refund.StatusSucceeded)
	b.Advance(10 * time.Second)
	if got := b.claim(refund.NotNow, claimOf("r2", "t1", slow)); got.Wait != 50*time.Second || got.Record.Known() {
		b.Errorf("%+v", got)
	}
	b.claim(refund.Yours, claimOf("r3", "t1", slow, order("order-2")))
	b.Advance(50 * time.Second)
	b.claim(refund.Yours, claimOf("r2", "t1", slow))

	// A resend is a refund of the order as well.
	b.Advance(time.Minute)
	asked := b.claim(refund.InDoubt, claimOf("r2", "q", slow)).Record
	b.resend(refund.Yours, asked, "q")
	if got := b.claim(refund.NotNow, claimOf("r4", "t1", slow)); got.Wait != time.Minute {
		b.Errorf("%+v", got)
	}
}

// sixtyFourAtOnce: 64 refunds of 1/10 of their order's total each, at once; and
// so for a number of orders. Ten are taken, never more, and the sum is the total.
func sixtyFourAtOnce(b *bench) {
	const orders, refunds = 8, 64
	var wg sync.WaitGroup
	var taken [orders]atomic.Int64
	for o := range orders {
		for r := range refunds {
			wg.Go(func() {
				c := claimOf(fmt.Sprintf("o%d-r%d", o, r), "t", order(fmt.Sprint("order-", o)))
				got, err := b.Store.Claim(b.ctx, c)
				if err != nil {
					b.Error(err)
					return
				}
				switch got.Answer {
				case refund.Yours:
					taken[o].Add(c.Request.Amount.Minor)
					if r%2 == 0 { // half of them succeed while the others still ask
						_, ok, err := b.Store.Record(b.ctx, eventOf(got.Record, refund.StatusSucceeded), "t")
						if !ok || err != nil {
							b.Error(ok, err)
						}
					}
				case refund.OverTotal:
				default:
					b.Errorf("answer %d", got.Answer)
				}
			})
		}
	}
	wg.Wait()
	for o := range orders {
		if got := taken[o].Load(); got != 1000 {
			b.Errorf("order %d gave back %d of 1000", o, got)
		}
	}
}

func fullyRefunded(b *bench) {
	first := b.finish(claimOf("r1", "t1", amount(400)), refund.StatusSucceeded)
	second := b.claim(refund.Yours, claimOf("r2", "t1", amount(600))).Record
	if first.Last.OrderFullyRefunded || second.Last.OrderFullyRefunded {
		b.Error("fully refunded at 4 of 10")
	}
	done := b.record(second, refund.StatusSucceeded, "t1")
	if !done.Last.OrderFullyRefunded {
		b.Error("not fully refunded at 10 of 10")
	}
	// The same event keeps its flag whatever comes of the order.
	b.record(b.load("r1"), refund.StatusFailed, "", func(r *refund.Record) { r.Last.Correction = true })
	done = b.load("r2")
	done.Doubt = true
	kept, ok, err := b.Store.Record(b.ctx, done, "")
	if err != nil || !ok || !kept.Last.OrderFullyRefunded {
		b.Error(ok, err, kept)
	}
	if over := b.record(kept, refund.StatusSucceeded, "", func(r *refund.Record) { r.Last.Correction = true }); over.Last.OrderFullyRefunded {
		b.Error("fully refunded at 6 of 10")
	}
}
