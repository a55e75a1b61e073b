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

// TestMemory bounds what a finished refund and its order take on a real Redis,
// by MEMORY USAGE.
func TestMemory(t *testing.T) {
	client := dial(t, fromEnvironment(t, "REDIS_ADDR")).(*redis.Client)
	ctx := context.Background()
	prefix := "refund-" + rand.Text()[:4]
	t.Cleanup(func() {
		if err := remove(ctx, client, prefix); err != nil {
			t.Error(err)
		}
	})
	store := dedupe.New(client, dedupe.Options{Prefix: prefix, Retention: 9600 * time.Hour})
	const merchant = "S0003469"
	if _, err := store.Begin(ctx, merchant, 0); err != nil {
		t.Fatal(err)
	}
	const many = 200
	var record, order int64
	for i := range many {
		no, orderNo := fmt.Sprintf("2019010100%04d", i), fmt.Sprintf("rrn_168628000%04d", i)
		done := finished(t, store, merchant, no, orderNo)
		record += usage(t, client, store.RecordKey(merchant, no))
		order += usage(t, client, store.OrderKey(merchant, orderNo))
		if i == 0 {
			value := client.Get(ctx, store.RecordKey(merchant, no)).Val()
			t.Logf("%d bytes: %q", len(value), value)
			t.Logf("%q", client.Get(ctx, store.OrderKey(merchant, orderNo)).Val())
			if done.Published != 2 {
				t.Errorf("%+v", done)
			}
		}
	}
	t.Logf("a finished refund takes %d bytes, its order %d", record/many, order/many)
	if (record+order)/many >= 500 {
		t.Errorf("%d bytes for a finished refund with its order, want less than 500", (record+order)/many)
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
	ctx := context.Background()
	hkd := refund.Currency{Code: "HKD", Exponent: 2}
	claimed, err := store.Claim(ctx, refund.Claim{
		Request: refund.Request{
			Key: refund.Key{Merchant: merchant, RefundNo: no}, OrderNo: order, TransactionID: "4200001858202306098765432109",
			Amount: refund.Money{Minor: 1, Currency: hkd}, OrderAmount: refund.Money{Minor: 1001, Currency: hkd},
			Method: "WeChat", Wallet: "WECHATCN", Terminal: "tid_3378", Flow: refund.FlowRefund, Reason: "test refund",
			RequestedAt: time.Now(),
		},
		Provider: "eftpay", Order: order, Token: rand.Text(), Lease: 30 * time.Second, FirstSeen: time.Now(),
		Place: "refund.requests/11/1234567", Limits: refund.Limits{Rate: 100_000},
	})
	if err != nil || claimed.Answer != refund.Yours {
		t.Fatal(claimed.Answer, err)
	}
	next := claimed.Record
	next.Last.Sequence = next.NextSequence()
	next.Last.Status, next.Holding = refund.StatusSucceeded, refund.HoldsSucceeded
	next.Last.ProviderStatus, next.Last.ProviderRefundID = "TRADE_REFUND", "50300006062023060935342514210"
	next.Last.OccurredAt, next.Last.RecordedAt = time.Now(), time.Now()
	rec, ok, err := store.Record(ctx, next, next.Token)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if rec, err = store.Published(ctx, rec.Key(), rec.Last.Sequence); err != nil {
		t.Fatal(err)
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
