package dedupe_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

// TestMemory bounds what a finished refund and its order take on a real Redis, by
// MEMORY USAGE of their keys and by all that INFO counts. Each refund has an order
// of its own; half of them came with a traceparent.
func TestMemory(t *testing.T) {
	server := startOwn(t, "--appendonly", "no")
	client, worker := dial(t, server.addr).(*redis.Client), dial(t, server.addr)
	store := dedupe.New(worker, dedupe.Options{Prefix: "refund", Retention: 9600 * time.Hour})
	const merchant = "S0003469"
	if _, err := store.Begin(t.Context(), merchant, 0); err != nil {
		t.Fatal(err)
	}
	name := func(i int) (no, order string) {
		return fmt.Sprintf("2019010100%04d", i), fmt.Sprintf("rrn_168628000%04d", i)
	}
	finished(t, store, merchant, "first", "first") // every script is known
	const many = 16_000                            // as near below a doubling of Redis's tables as a million
	before := number(t, client, "memory", "used_memory")
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := w; i < many; i += 8 {
				no, order := name(i)
				trace := ""
				if i%2 == 1 {
					trace = fmt.Sprintf("00-%032x-%016x-01", i+1, i+1)
				}
				finishedTraced(t, store, merchant, no, order, trace)
			}
		})
	}
	all.Wait()
	if err := worker.Close(); t.Failed() || err != nil {
		t.Fatal(err)
	}
	eventually(t, "the worker's connections are gone", func() bool { return number(t, client, "clients", "connected_clients") == 1 })
	counted := (number(t, client, "memory", "used_memory") - before) / many
	var records [2]int64
	var orders int64
	const sample = 200
	for i := range sample {
		no, order := name(i)
		records[i%2] += usage(t, client, store.RecordKey(merchant, no))
		orders += usage(t, client, store.OrderKey(merchant, order))
	}
	no, order := name(0)
	value := client.Get(t.Context(), store.RecordKey(merchant, no)).Val()
	t.Logf("a record of %d bytes: %q", len(value), value)
	t.Logf("an order's: %q", client.Get(t.Context(), store.OrderKey(merchant, order)).Val())
	t.Logf("MEMORY USAGE of a finished refund %d bytes (with a traceparent %d), of its order %d", records[0]*2/sample, records[1]*2/sample, orders/sample)
	if _, err := dedupe.New(client, dedupe.Options{Prefix: "refund"}).Claim(t.Context(), claimFor("20190101009999", "rrn_1686280009999")); err != nil {
		t.Fatal(err)
	}
	t.Logf("of one that is open: %d bytes", usage(t, client, store.RecordKey(merchant, "20190101009999")))
	t.Logf("by INFO a finished refund takes %.0f bytes with its order and all that Redis keeps beside: %.0f MB a million", counted, counted)
	if counted >= 500 {
		t.Errorf("%.0f bytes for a finished refund with its order, want less than 500", counted)
	}
}

// TestManyParked: 20,000 refunds that a merchant's rate makes wait, each with a
// time of its own, on a real Redis.
func TestManyParked(t *testing.T) {
	client := dial(t, fromEnvironment(t, "REDIS_ADDR")).(*redis.Client)
	part, store := partOf(t, client)
	if _, err := part.Store.Begin(t.Context(), dedupetestMerchant, 0); err != nil {
		t.Fatal(err)
	}
	const many, rate = 20_000, 100
	var mu sync.Mutex
	waits := map[time.Duration]bool{}
	next := make(chan int)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range next {
				c := claimFor(fmt.Sprintf("2019010100%06d", i), fmt.Sprint("o", i))
				c.Limits.Rate = rate
				got, err := store.Claim(t.Context(), c)
				if err != nil || got.Answer != refund.Yours && got.Answer != refund.NotNow {
					t.Error(got.Answer, err)
				}
				mu.Lock()
				waits[got.Wait] = true
				mu.Unlock()
			}
		})
	}
	for i := range many {
		next <- i
	}
	close(next)
	wg.Wait()
	if len(waits) != many-rate+1 {
		t.Errorf("%d times for %d that wait", len(waits)-1, many-rate)
	}
	bytes := usage(t, client, store.QueueKey(dedupetestMerchant)) / (many - rate)
	t.Logf("a parked refund takes %d bytes", bytes)
	if bytes > 200 {
		t.Errorf("a parked refund takes %d bytes", bytes)
	}
}

// finished takes a refund like those of production through its life.
func finished(t testing.TB, store *dedupe.Store, merchant, no, order string) refund.Record {
	t.Helper()
	return finishedTraced(t, store, merchant, no, order, "")
}

func finishedTraced(t testing.TB, store *dedupe.Store, merchant, no, order, trace string) refund.Record {
	t.Helper()
	ctx := context.Background()
	hkd := refund.Currency{Code: "HKD", Exponent: 2}
	claimed, err := store.Claim(ctx, refund.Claim{
		Request: refund.Request{
			Key: refund.Key{Merchant: merchant, RefundNo: no}, OrderNo: order, TransactionID: "4200001858202306098765432109",
			Amount: refund.Money{Minor: 1, Currency: hkd}, OrderAmount: refund.Money{Minor: 1001, Currency: hkd},
			Method: "WeChat", Wallet: "WECHATCN", Terminal: "tid_3378", Flow: refund.FlowRefund, Reason: "test refund",
			RequestedAt: time.Now(), Trace: refund.Trace{Parent: trace},
		},
		Provider: "eftpay", Order: order, Token: rand.Text(), Lease: 30 * time.Second, FirstSeen: time.Now(),
		Place: "refund.requests/11/1234567", Limits: refund.Limits{Rate: 100_000},
	})
	if err != nil || claimed.Answer != refund.Yours {
		t.Error(claimed.Answer, err)
		return refund.Record{}
	}
	next := claimed.Record
	next.Last.Sequence = next.NextSequence()
	next.Last.Status, next.Holding = refund.StatusSucceeded, refund.HoldsSucceeded
	next.Last.ProviderStatus, next.Last.ProviderRefundID = "TRADE_REFUND", "50300006062023060935342514210"
	next.Last.OccurredAt, next.Last.RecordedAt = time.Now(), time.Now()
	rec, ok, err := store.Record(ctx, next, next.Token)
	if err == nil && ok {
		rec, err = store.Published(ctx, rec.Key(), rec.Last.Sequence)
	}
	if err != nil || !ok {
		t.Error(ok, err)
	}
	return rec
}

func usage(t testing.TB, client *redis.Client, key string) int64 {
	t.Helper()
	n, err := client.MemoryUsage(context.Background(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n
}
