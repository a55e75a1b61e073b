package dedupe_test

import (
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

func TestForgetClosesAMerchantUntilItsRebuild(t *testing.T) {
	ctx := t.Context()
	store := dedupe.New(dial(t, miniredis.RunT(t).Addr()), dedupe.Options{Prefix: "forget"})
	for _, merchant := range []string{"a", "b"} {
		if _, err := store.Begin(ctx, merchant, 3); err != nil {
			t.Fatal(err)
		}
	}
	other := dedupe.New(dial(t, miniredis.RunT(t).Addr()), dedupe.Options{Prefix: "forget"})
	if err := other.Forget(ctx, "a"); err != nil { // of what is not there: no harm
		t.Fatal(err)
	}
	if err := store.Forget(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	_, err := store.Load(ctx, refund.Key{Merchant: "a", RefundNo: "1"})
	var missing *dedupe.EpochMissingError
	if !errors.As(err, &missing) {
		t.Errorf("a step was taken: %v", err)
	}
	if _, err := store.Load(ctx, refund.Key{Merchant: "b", RefundNo: "1"}); err != nil {
		t.Errorf("another merchant: %v", err)
	}
	if _, err := store.Lock(ctx, "a", time.Second); err != nil {
		t.Errorf("nobody can rebuild it: %v", err)
	}
}
