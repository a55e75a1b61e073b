// Package load is a load test's pure part: when each message is to be sent, under
// which fresh numbers, how long each refund took, what is missed, and the page that
// shows it.
//
// It guarantees: the load is open, so a message has its intended time whatever
// became of those before; a latency is counted from that time, so a stall of the
// system, or of the load test itself, is never hidden; every latency is kept, so a
// percentile is exact. It knows the domain (refund) alone.
package load

import (
	"fmt"
	"math"
	"time"
)

// Schedule says when each message is to be sent: at a rate that is constant or
// grows, or falls, steadily; or at given times.
type Schedule struct {
	From, To float64 // messages a second, above 0
	For      time.Duration
	Times    []time.Duration // in place of a rate: from the beginning, in order
	Most     int             // messages; 0: as many as fit into For, or all Times
}

// Paced is the schedule of messages that were made at these times, in order, n times
// as fast.
func Paced(times []time.Time, n float64) Schedule {
	s := Schedule{}
	for _, t := range times {
		s.Times = append(s.Times, time.Duration(float64(t.Sub(times[0]))/n))
	}
	return s
}

// Check says what is wrong with it.
func (s Schedule) Check() error {
	switch {
	case s.Times == nil && (!(s.From > 0) || !(s.To > 0) || math.IsInf(s.From, 0) || math.IsInf(s.To, 0)):
		return fmt.Errorf("a rate must be above 0")
	case s.Times == nil && s.For <= 0:
		return fmt.Errorf("the duration must be above 0")
	case s.Count() > mostMessages:
		return fmt.Errorf("%d messages are more than a load test keeps (%d)", s.Count(), mostMessages)
	}
	return nil
}

// mostMessages bounds the memory: some 60 bytes each, and the audit's.
const mostMessages = 20_000_000

// Count is how many messages there are.
func (s Schedule) Count() int {
	n := len(s.Times)
	if s.Times == nil {
		n = int(math.Floor((s.From + s.To) / 2 * s.For.Seconds()))
	}
	if s.Most > 0 {
		n = min(n, s.Most)
	}
	return n
}

// At is when message i, counted from 0, is to be sent, from the beginning.
func (s Schedule) At(i int) time.Duration {
	if s.Times != nil {
		return s.Times[i]
	}
	n, growth := float64(i), (s.To-s.From)/s.For.Seconds()
	seconds := n / s.From
	if growth != 0 {
		// The rate is From + growth*t, so message n is due where From*t + growth*t*t/2 is n.
		seconds = (math.Sqrt(math.Max(0, s.From*s.From+2*growth*n)) - s.From) / growth
	}
	return time.Duration(seconds * float64(time.Second))
}

// String says it in words.
func (s Schedule) String() string {
	n := s.Count()
	switch {
	case s.Times != nil && n > 0:
		return fmt.Sprintf("%d refunds, as they came, over %s", n, s.At(n-1).Round(time.Millisecond))
	case s.From != s.To:
		return fmt.Sprintf("%d refunds, %g growing to %g a second over %s", n, s.From, s.To, s.For)
	}
	return fmt.Sprintf("%d refunds, %g a second", n, s.From)
}
