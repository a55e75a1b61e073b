package refund

import "time"

// Schedule says when an open refund is asked about: after the second configured
// delay five times, then after each longer one twice, then after the longest for
// ever. With the default delays (10s 1m 5m 10m 30m 1h 6h) that is each minute at
// first, then 5, 10, 30 min, 1 h, 6 h, as WeChat asks of its callers.
type Schedule []time.Duration

// After is the wait before follow-up number n (the first is 1).
func (s Schedule) After(n int) time.Duration {
	steps := s
	if len(steps) > 1 {
		steps = steps[1:] // the first is for what surely was not sent
	}
	const first, each = 5, 2
	if n <= first || len(steps) == 1 {
		return steps[0]
	}
	return steps[min(1+(n-first-1)/each, len(steps)-1)]
}

// Retry is the wait before what was surely not sent, after so many attempts, is
// tried again, where nobody said when: each attempt is announced to everybody. It
// is the first delay for five attempts, the second for five more, then the third
// for ever, so that a gateway that is back is not left waiting for hours.
func (s Schedule) Retry(attempts int) time.Duration {
	const each, longest = 5, 2
	return s[min(max(0, attempts-1)/each, longest, len(s)-1)]
}

// Again is when to try again what the gateway, or a limit of ours, wants back after
// that time; 0: nobody said.
func (s Schedule) Again(after time.Duration, attempts int) time.Duration {
	if after == 0 {
		return s.Retry(attempts)
	}
	return max(after, s[0])
}
