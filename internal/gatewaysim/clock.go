package gatewaysim

import "time"

// Clock is the simulator's only source of time. A nil Clock in Config means
// the system's, which testing/synctest replaces by itself; an explorer that
// keeps its own virtual time passes its own.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once, d from now, from any goroutine. f never blocks.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a call that Clock.AfterFunc will make. Stop answers whether it
// prevented the call.
type Timer interface{ Stop() bool }

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }

// vendorZone is the zone of every time stamp without a zone on either
// gateway's pages.
var vendorZone = time.FixedZone("UTC+8", 8*60*60)

// sleep waits for d of the simulator's time and answers false where the
// simulator was closed meanwhile. It does not care whether the client is
// still there: a gateway goes on with a call whose caller hung up.
func (s *Sim) sleep(d time.Duration) bool {
	if d <= 0 {
		return !s.closed()
	}
	over := make(chan struct{})
	timer := s.clock.AfterFunc(d, func() { close(over) })
	select {
	case <-over:
		return true
	case <-s.done:
		timer.Stop()
		return false
	}
}
