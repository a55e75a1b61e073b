package refund_test

import (
	"slices"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// What waits for ever is asked about, and tried, less and less often.
func TestSchedule(t *testing.T) {
	s := refund.Schedule{10 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute}
	var asked, tried []time.Duration
	for n := 1; n <= 10; n++ {
		asked, tried = append(asked, s.After(n)), append(tried, s.Retry(n))
	}
	const m = time.Minute
	if want := []time.Duration{m, m, m, m, m, 5 * m, 5 * m, 10 * m, 10 * m, 10 * m}; !slices.Equal(asked, want) {
		t.Errorf("asked after %v", asked)
	}
	const s10 = 10 * time.Second
	if want := []time.Duration{s10, s10, s10, s10, s10, m, m, m, m, m}; !slices.Equal(tried, want) || s.Retry(11) != 5*m || s.Retry(1000) != 5*m {
		t.Errorf("tried after %v", tried)
	}
	for _, row := range []struct {
		after    time.Duration
		attempts int
		want     time.Duration
	}{{0, 3, s10}, {0, 30, 5 * m}, {m, 30, m}, {time.Second, 30, s10}} {
		if got := s.Again(row.after, row.attempts); got != row.want {
			t.Errorf("after %v and %d attempts: %v", row.after, row.attempts, got)
		}
	}
	if only := (refund.Schedule{time.Second}); only.After(99) != time.Second || only.Retry(99) != time.Second || (refund.Schedule{1, 2}).Retry(99) != 2 {
		t.Error("a single delay is not the only one")
	}
}
