package providers

import (
	"sync"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// operatorHold stops a merchant because a person said so.
type operatorHold struct {
	mu     sync.Mutex
	since  time.Time // zero: not held
	reason string
}

func (h *operatorHold) set(held bool, reason string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !held {
		h.since, h.reason = time.Time{}, ""
		return
	}
	if h.since.IsZero() {
		h.since = now
	}
	h.reason = reason
}

func (h *operatorHold) wait(now time.Time) *refund.Wait {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() {
		return nil
	}
	after := min(max(now.Sub(h.since), time.Minute), longest)
	return &refund.Wait{After: after, Code: refund.CodeOnHold, Message: h.reason}
}

// selfHold stops a merchant whose settings the gateway refuses. Each time that
// they seem accepted and the next refund call is refused all the same, the pause
// before the next try doubles: not every setting shows in a query, and each try may
// cost one refund its clear outcome.
type selfHold struct {
	mu      sync.Mutex
	held    bool
	reason  string
	next    time.Time // of the next probe
	probing time.Time // since when one is under way; zero: none
	strikes int       // refused again right after they seemed accepted
	resumed bool      // by a probe, and no refund call has gone well since
	taken   time.Time // when the gateway last took a refund
}

const (
	firstPause = time.Minute
	mostPause  = time.Hour
	// lately is how long a refund that was taken speaks for the settings.
	lately = 10 * time.Minute
)

func (h *selfHold) pause() time.Duration {
	pause := firstPause
	for range h.strikes {
		if pause *= 2; pause >= mostPause {
			return mostPause
		}
	}
	return pause
}

// refused holds, or goes on holding. It reports whether that is new.
func (h *selfHold) refused(now time.Time, reason string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	fresh := !h.held
	if fresh && h.resumed {
		h.strikes++
	}
	if fresh || !h.probing.IsZero() {
		h.next = now.Add(h.pause())
	}
	h.held, h.resumed, h.reason, h.probing = true, false, reason, time.Time{}
	return fresh
}

// wait is nil unless it holds and the next probe is not due.
func (h *selfHold) wait(now time.Time) *refund.Wait {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.held || !now.Before(h.next) {
		return nil
	}
	return h.answer(now)
}

// still is nil once it no longer holds.
func (h *selfHold) still(now time.Time) *refund.Wait {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.held {
		return nil
	}
	return h.answer(now)
}

func (h *selfHold) answer(now time.Time) *refund.Wait {
	return &refund.Wait{After: max(h.next.Sub(now), firstPause), Code: refund.CodeMisconfigured, Message: h.reason}
}

// probe makes the caller the one who finds out, where that is due.
func (h *selfHold) probe(now time.Time, timeout time.Duration) (bool, *refund.Wait) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.held:
		return false, nil
	case now.Before(h.next), !h.probing.IsZero() && now.Sub(h.probing) <= overdue(timeout):
		return false, h.answer(now)
	}
	h.probing = now
	return true, nil
}

// finding is what a probe found out.
type finding int

const (
	unprobed  finding = iota // no call came of it
	stillHeld                // the gateway was not there
	accepted
)

// probed ends a probe. It reports whether the hold is over.
func (h *selfHold) probed(now time.Time, f finding) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.probing = time.Time{}
	switch f {
	case stillHeld:
		h.next = now.Add(h.pause())
	case accepted:
		over := h.held
		h.held, h.reason, h.resumed = false, "", true
		return over
	}
	return false
}

// proved: the gateway looked at a refund call, so the settings are right.
func (h *selfHold) proved(now time.Time, taken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if taken {
		h.taken = now
	}
	if !h.held {
		h.strikes, h.resumed = 0, false
	}
}

// takesOthers: it does not hold, and the gateway took a refund lately.
func (h *selfHold) takesOthers(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.held && !h.taken.IsZero() && now.Sub(h.taken) < lately
}

func (h *selfHold) why() (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reason, h.held
}
