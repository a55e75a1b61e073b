package bridge

import "sync"

// limiter counts what is under way by name and lets in at most so many of each.
type limiter struct {
	most int
	mu   sync.Mutex
	in   map[string]int
}

func newLimiter(most int) *limiter { return &limiter{most: most, in: map[string]int{}} }

// enter never waits: whoever is let in must leave.
func (l *limiter) enter(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.in[name] >= l.most {
		return false
	}
	l.in[name]++
	return true
}

func (l *limiter) leave(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.in[name]--; l.in[name] == 0 {
		delete(l.in, name)
	}
}
