package dedupe_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/dedupe/dedupetest"
	"github.com/refundworker/refundworker/internal/refund"
)

const retention = dedupetest.Retention

func claimFor(no, order string) refund.Claim {
	hkd := refund.Currency{Code: "HKD", Exponent: 2}
	return refund.Claim{
		Request: refund.Request{
			Key: refund.Key{Merchant: dedupetestMerchant, RefundNo: no}, OrderNo: order,
			Amount: refund.Money{Minor: 1, Currency: hkd}, OrderAmount: refund.Money{Minor: 1001, Currency: hkd},
			Method: "WeChat", Wallet: "WECHATCN", Terminal: "tid_3378", Flow: refund.FlowRefund, Reason: "test refund",
		},
		Provider: "eftpay", Order: order, Token: rand.Text(), Lease: 30 * time.Second, FirstSeen: time.Now(),
		Limits: refund.Limits{Rate: 1_000_000, MaxRefundsPerOrder: 50},
	}
}

// Benchmark takes refunds through their life, one step a measurement, from eight
// goroutines a CPU: "go test -bench . ./internal/dedupe", with REDIS_ADDR for a
// real one.
func Benchmark(b *testing.B) {
	for _, server := range servers[:2] {
		b.Run(server.name, func(b *testing.B) {
			client := server.dial(b)
			for _, step := range []struct {
				name string
				run  func(*testing.B, *dedupe.Store, []refund.Record, int)
			}{
				{"claim", func(b *testing.B, s *dedupe.Store, recs []refund.Record, i int) { recs[i] = claimed(b, s, i) }},
				{"record", func(b *testing.B, s *dedupe.Store, recs []refund.Record, i int) {
					next := recs[i]
					next.Last.Sequence, next.Last.Status, next.Holding = 2, refund.StatusSucceeded, refund.HoldsSucceeded
					if _, ok, err := s.Record(b.Context(), next, next.Token); err != nil || !ok {
						b.Error(ok, err)
					}
				}},
				{"published", func(b *testing.B, s *dedupe.Store, recs []refund.Record, i int) {
					if _, err := s.Published(b.Context(), recs[i].Key(), 1); err != nil {
						b.Error(err)
					}
				}},
			} {
				b.Run(step.name, func(b *testing.B) { measure(b, client, step.name != "claim", step.run) })
			}
		})
	}
}

func measure(b *testing.B, client redis.UniversalClient, claim bool, step func(*testing.B, *dedupe.Store, []refund.Record, int)) {
	_, store := partOf(b, client)
	if _, err := store.Begin(b.Context(), dedupetestMerchant, 0); err != nil {
		b.Fatal(err)
	}
	recs := make([]refund.Record, b.N)
	all := func(run func(i int)) {
		next := make(chan int)
		done := make(chan struct{})
		const workers = 16
		for range workers {
			go func() {
				for i := range next {
					run(i)
				}
				done <- struct{}{}
			}()
		}
		for i := range b.N {
			next <- i
		}
		close(next)
		for range workers {
			<-done
		}
	}
	if claim {
		all(func(i int) { recs[i] = claimed(b, store, i) })
	}
	b.ReportAllocs()
	b.ResetTimer()
	all(func(i int) { step(b, store, recs, i) })
	b.StopTimer()
}

func claimed(b *testing.B, store *dedupe.Store, i int) refund.Record {
	got, err := store.Claim(b.Context(), claimFor(fmt.Sprint("r", i), fmt.Sprint("o", i)))
	if err != nil || got.Answer != refund.Yours {
		b.Error(got.Answer, err)
	}
	return got.Record
}
