package providers

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/refundworker/refundworker/internal/refund"
)

// breaker is gobreaker with a rolling window and an estimate of how long an outage
// lasts. One good probe closes it.
//
// gobreaker calls back under its own lock: nothing in a callback may ask it for
// its state.
type breaker struct {
	two *gobreaker.TwoStepCircuitBreaker[struct{}]

	openFor   time.Duration
	downSince atomic.Pointer[time.Time] // since when it is not closed
	openUntil atomic.Pointer[time.Time]

	mu    sync.Mutex
	probe *probe // under way, while half-open
}

// probe is the one call that a half-open breaker lets through.
type probe struct {
	begun time.Time
	done  func(error)
}

var (
	errOutage  = errors.New("outage")
	errNothing = errors.New("says nothing")
)

// windowParts is how finely the window rolls.
const windowParts = 10

// longest bounds the estimate of an outage or a hold, and so what recovery costs.
const longest = 5 * time.Minute

func newBreaker(b Breaker, changed func(from, to string)) *breaker {
	br := &breaker{openFor: b.OpenFor}
	br.two = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  1,
		Interval:     b.Window,
		BucketPeriod: max(b.Window/windowParts, time.Millisecond),
		Timeout:      b.OpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			// Counts.Requests has calls under way and those that say nothing in it.
			calls := c.TotalSuccesses + c.TotalFailures
			return calls >= uint32(max(b.MinCalls, 1)) && float64(c.TotalFailures) >= b.FailureRatio*float64(calls)
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNothing) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			br.note(from, to)
			changed(from.String(), to.String())
		},
	})
	return br
}

func (br *breaker) note(from, to gobreaker.State) {
	now := time.Now()
	switch to {
	case gobreaker.StateOpen:
		until := now.Add(br.openFor)
		br.openUntil.Store(&until)
		if from == gobreaker.StateClosed {
			br.downSince.Store(&now)
		}
	case gobreaker.StateClosed:
		br.downSince.Store(nil)
	}
}

func (br *breaker) state() string { return br.two.State().String() }

func (br *breaker) halfOpen() bool { return br.two.State() == gobreaker.StateHalfOpen }

// wait is nil unless the breaker is open. The estimate: an outage lasts as long
// again as it has lasted, so what waits comes back ever more rarely.
func (br *breaker) wait(now time.Time) *refund.Wait {
	if br.two.State() != gobreaker.StateOpen {
		return nil
	}
	var left, lasted time.Duration
	if until := br.openUntil.Load(); until != nil {
		left = until.Sub(now)
	}
	if since := br.downSince.Load(); since != nil {
		lasted = min(now.Sub(*since), longest)
	}
	return &refund.Wait{After: max(left, lasted, time.Second), Code: refund.CodeGatewayDown, Message: "the gateway is down; it is probed from time to time"}
}

// probing is the answer while somebody else probes.
func (br *breaker) probing(timeout time.Duration) *refund.Wait {
	return &refund.Wait{After: max(timeout, time.Second), Code: refund.CodeGatewayDown, Message: "the gateway was down and is being probed"}
}

// allow lets a call through, or not; through a half-open breaker only a query, as
// its probe. What it answers must be told, once, what the call was. A probe that
// never tells (its holder panicked) is given up when it is far past its time:
// gobreaker itself would wait for ever.
func (br *breaker) allow(kind refund.CallKind, timeout time.Duration) (func(counts), *refund.Wait) {
	br.mu.Lock()
	defer br.mu.Unlock()
	now := time.Now()
	if p := br.probe; p != nil && now.Sub(p.begun) > overdue(timeout) {
		br.probe = nil
		p.done(errNothing)
	}
	done, err := br.two.Allow()
	half := br.halfOpen()
	switch {
	case errors.Is(err, gobreaker.ErrOpenState):
		return nil, br.wait(now)
	case err != nil:
		return nil, br.probing(timeout)
	case half && kind == refund.RefundCall:
		done(errNothing)
		return nil, br.probing(timeout)
	}
	p := &probe{begun: now, done: done}
	if half {
		br.probe = p
	}
	return func(c counts) { br.told(p, half, c) }, nil
}

// overdue is how long a probe may be under way: its slot may wait for the store
// before the call.
func overdue(timeout time.Duration) time.Duration { return 2*timeout + time.Minute }

func (br *breaker) told(p *probe, half bool, c counts) {
	if half {
		br.mu.Lock()
		defer br.mu.Unlock()
		if br.probe != p {
			return // given up
		}
		br.probe = nil
	}
	switch c {
	case good:
		p.done(nil)
	case outage:
		p.done(errOutage)
	default:
		p.done(errNothing)
	}
}
