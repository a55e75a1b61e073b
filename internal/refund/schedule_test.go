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
	if want := []time.Duration{s10, s10, s10, s10, s10, m, m, m, m, m}; !slices.Equal(tried, want) {
		t.Errorf("tried after %v", tried)
	}
	if only := (refund.Schedule{time.Second}); only.After(99) != time.Second || only.Retry(99) != time.Second {
		t.Error("a single delay is not the only one")
	}
}
