package dedupe_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

// TestOrdersUnderContention: 64 refunds of one order at once, a tenth of its total
// each, a thousand orders one after another on a real Redis. A third of those that
// were taken fails and gives its room back, and whoever was turned away comes
// again until nobody is. What is held never passes the total, and reaches it.
func TestOrdersUnderContention(t *testing.T) {
	for _, server := range servers {
		orders := map[string]int{"miniredis": 20, "redis": 1000, "cluster": 100}[server.name]
		t.Run(server.name, func(t *testing.T) {
			client := server.dial(t)
			_, store := partOf(t, client)
			if _, err := store.Begin(t.Context(), dedupetestMerchant, 0); err != nil {
				t.Fatal(err)
			}
			began, claims := time.Now(), int64(0)
			for i := range orders {
				c := contest{T: t, store: store, client: client, order: fmt.Sprint("o", i)}
				c.play()
				claims += c.claims.Load()
			}
			t.Logf("%d orders of 64 refunds: each gave back its total and no more, by %d claims in %v", orders, claims, time.Since(began))
		})
	}
}

// contest is one order and the 64 who want a tenth of it.
type contest struct {
	*testing.T
	store  *dedupe.Store
	client redis.UniversalClient
	order  string

	held   atomic.Int64 // seen from outside: less than the store holds, or as much
	claims atomic.Int64
}

const (
	contenders = 64
	orderTotal = 1000
	aTenth     = orderTotal / 10
)

func (c *contest) play() {
	c.Helper()
	waiting := make([]int, contenders)
	for i := range waiting {
		waiting[i] = i
	}
	for round := 0; ; round++ {
		var all sync.WaitGroup
		var mu sync.Mutex
		var again []int
		failed := false
		start := make(chan struct{})
		for _, i := range waiting {
			all.Go(func() {
				<-start
				taken, gaveBack := c.contend(i, round)
				mu.Lock()
				defer mu.Unlock()
				failed = failed || gaveBack
				if !taken {
					again = append(again, i)
				}
			})
		}
		close(start)
		all.Wait()
		if c.Failed() {
			c.FailNow()
		}
		if waiting = again; !failed { // nobody made room: whoever was turned away stays so
			break
		}
	}
	if got := c.held.Load(); got != orderTotal || len(waiting) == 0 {
		c.Fatalf("order %s holds %d of %d, %d were turned away", c.order, got, orderTotal, len(waiting))
	}
	value := c.client.Get(c.Context(), c.store.OrderKey(dedupetestMerchant, c.order)).Val()
	fields := strings.Split(value, "|") // total, currency, reserved, succeeded, count, last
	reserved, _ := strconv.Atoi(fields[2])
	succeeded, _ := strconv.Atoi(fields[3])
	if fields[0] != strconv.Itoa(orderTotal) || reserved+succeeded != orderTotal || fields[4] != "10" {
		c.Fatalf("order %s is stored as %q", c.order, value)
	}
}

// contend asks once. Of those that are taken a third succeeds, a third fails, a
// third stays unknown, each while the others still ask.
func (c *contest) contend(i, round int) (taken, gaveBack bool) {
	claim := claimFor(fmt.Sprint(c.order, "-", i), c.order)
	claim.Request.Amount.Minor, claim.Request.OrderAmount.Minor = aTenth, orderTotal
	c.claims.Add(1)
	got, err := c.store.Claim(c.Context(), claim)
	switch {
	case err != nil:
		c.Error(err)
		return false, false
	case got.Answer == refund.OverTotal:
		return false, false
	case got.Answer != refund.Yours:
		c.Errorf("%s: answer %d", claim.Request.Key, got.Answer)
		return false, false
	}
	if held := c.held.Add(aTenth); held > orderTotal {
		c.Errorf("order %s holds %d of %d", c.order, held, orderTotal)
	}
	next := got.Record
	next.Last.Sequence = next.NextSequence()
	switch (i + round) % 3 {
	case 0:
		next.Last.Status, next.Holding = refund.StatusSucceeded, refund.HoldsSucceeded
	case 1:
		next.Last.Status, next.Holding = refund.StatusFailed, refund.HoldsNothing
		c.held.Add(-aTenth) // before the store does: what is seen from outside is never more
		gaveBack = true
	default:
		next.Last.Status = refund.StatusUnknown
	}
	if _, ok, err := c.store.Record(c.Context(), next, next.Token); err != nil || !ok {
		c.Error(ok, err)
	}
	return true, gaveBack
}
