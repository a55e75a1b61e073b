package memstore_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/dedupe/memstore"
	"github.com/refundworker/refundworker/internal/refund"
)

func claim(no, token string) refund.Claim {
	hkd := refund.Currency{Code: "HKD", Exponent: 2}
	return refund.Claim{
		Request: refund.Request{
			Key: refund.Key{Merchant: "M", RefundNo: no}, OrderNo: "o1", Flow: refund.FlowRefund,
			Amount: refund.Money{Minor: 100, Currency: hkd}, OrderAmount: refund.Money{Minor: 1000, Currency: hkd},
		},
		Order: "o1", Token: token, Lease: time.Minute, Limits: refund.Limits{Rate: 2},
	}
}

func mustClaim(t *testing.T, s *memstore.Store, want refund.ClaimAnswer, c refund.Claim) refund.Record {
	t.Helper()
	got, err := s.Claim(t.Context(), c)
	if err != nil || got.Answer != want {
		t.Fatalf("%s by %s: answer %d, %v; want %d", c.Request.RefundNo, c.Token, got.Answer, err, want)
	}
	return got.Record
}

// TestAFailoverLosesASuffix: for every number of writes, the store is as it was
// before the last ones.
func TestAFailoverLosesASuffix(t *testing.T) {
	for n := range 6 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			now := time.Unix(1_800_000_000, 0)
			s := memstore.New(memstore.Options{History: 100, Now: func() time.Time { return now }})
			if _, err := s.Begin(t.Context(), "M", 3); err != nil {
				t.Fatal(err)
			}
			var before []*memstore.Image
			for i := range 6 { // two are called, four take places in the queue
				before = append(before, s.Take())
				want := refund.Yours
				if i >= 2 {
					want = refund.NotNow
				}
				mustClaim(t, s, want, claim(fmt.Sprint("r", i), "t"))
			}
			if s.Writes() != 7 {
				t.Fatalf("%d writes", s.Writes())
			}
			if lost := s.Failover(6 - n); lost != 6-n {
				t.Fatalf("lost %d", lost)
			}
			_, err := s.Load(t.Context(), refund.Key{Merchant: "M", RefundNo: "r0"})
			if changed, ok := errors.AsType[*dedupe.ServerChangedError](err); !ok || changed.Epoch != 3 {
				t.Fatalf("not noticed: %v", err)
			}
			// Both images behave alike from here on, under a new epoch.
			other := memstore.New(memstore.Options{Now: func() time.Time { return now }})
			other.Put(image(t, before, s, n))
			for _, store := range []*memstore.Store{s, other} {
				if _, err := store.Begin(t.Context(), "M", 4); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 8 {
				c := claim(fmt.Sprint("r", i), "u")
				got, err1 := s.Claim(t.Context(), c)
				want, err2 := other.Claim(t.Context(), c)
				got.Record.Seen, want.Record.Seen = time.Time{}, time.Time{}
				if got != want || err1 != nil || err2 != nil {
					t.Errorf("r%d:\n got %+v, %v\nwant %+v, %v", i, got, err1, want, err2)
				}
			}
		})
	}
}

// image is what the store held before write n; after all six, what it holds now.
func image(t *testing.T, before []*memstore.Image, s *memstore.Store, n int) *memstore.Image {
	t.Helper()
	if n < len(before) {
		return before[n]
	}
	return s.Take()
}

func TestTakeAndPut(t *testing.T) {
	s := memstore.New(memstore.Options{})
	if _, err := s.Begin(t.Context(), "M", 0); err != nil {
		t.Fatal(err)
	}
	empty := s.Take()
	mustClaim(t, s, refund.Yours, claim("r1", "t1"))
	one := s.Take()
	mustClaim(t, s, refund.Yours, claim("r2", "t1"))
	s.Put(one)
	mustClaim(t, s, refund.Running, claim("r1", "t2"))
	mustClaim(t, s, refund.Yours, claim("r2", "t2"))
	s.Put(empty)
	mustClaim(t, s, refund.Yours, claim("r1", "t3"))
	s.Put(one) // an image is not changed by what came after it
	mustClaim(t, s, refund.Running, claim("r1", "t4"))
	mustClaim(t, s, refund.Yours, claim("r2", "t4"))
}

func TestDown(t *testing.T) {
	s := memstore.New(memstore.Options{})
	if _, err := s.Begin(t.Context(), "M", 0); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	s.Down(broken)
	_, err := s.Claim(t.Context(), claim("r1", "t1"))
	if _, ok := errors.AsType[*refund.Unavailable](err); !ok || !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	s.Down(nil)
	mustClaim(t, s, refund.Yours, claim("r1", "t1"))
}

// TestClockOfABubble: without a clock of its own the store lives in its bubble's
// time, and final refunds are forgotten after the retention, orders later.
func TestClockOfABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const retention = 48 * time.Hour
		s := memstore.New(memstore.Options{Retention: retention})
		if _, err := s.Begin(t.Context(), "M", 0); err != nil {
			t.Fatal(err)
		}
		rec := mustClaim(t, s, refund.Yours, claim("r1", "t1"))
		rec.Last.Sequence, rec.Last.Status, rec.Holding = 2, refund.StatusSucceeded, refund.HoldsSucceeded
		if _, ok, err := s.Record(t.Context(), rec, "t1"); err != nil || !ok {
			t.Fatal(ok, err)
		}
		mustClaim(t, s, refund.Yours, claim("open", "t1"))
		time.Sleep(retention - time.Second)
		mustClaim(t, s, refund.Finished, claim("r1", "t2"))
		time.Sleep(time.Second)
		if got, err := s.Load(t.Context(), rec.Key()); err != nil || got.Known() {
			t.Errorf("%+v, %v", got, err)
		}
		big := claim("r3", "t3")
		big.Request.Amount.Minor = 801 // 100 succeeded, 100 open
		mustClaim(t, s, refund.OverTotal, big)
		mustClaim(t, s, refund.InDoubt, claim("open", "t2"))
	})
}
