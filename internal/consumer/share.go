package consumer

import (
	"slices"
	"time"
)

const (
	// leaveFree keeps some running places for those who hold few: a share gets another one only while it holds less than
	// so many times those that are free. However many shares hold all that they can get, somebody else still finds one.
	leaveFree = 8
	// sentAwayBy is the part of its most that a share uses for tasks that are only sent away, while others have work too.
	sentAwayBy = 8
	// crowdedAfter is how long the next one of a share has waited for its share's own limit when others are turned away
	// for the sake of the messages behind them.
	crowdedAfter = 30 * time.Second
	// turnedAwayAtOnce of one partition.
	turnedAwayAtOnce = 16
)

// share is the lanes of one Lane.Share, a merchant's: the running places are given to shares in turns, so that a backlog
// of one delays no other's.
type share struct {
	name    string
	most    int // of its tasks that run, 0: as many as there are places
	lanes   int
	running int     // in their turn
	fresh   int     // of those: without an appointment
	away    bool    // the last one without an appointment was sent away, and so will be the next
	early   []*lane // with an appointment: they go first
	ready   []*lane
}

// enter answers the share of one more lane.
func (l *lanes) enter(of Lane) *share {
	s := l.shares[of.Share]
	if s == nil {
		s = &share{name: of.Share}
		l.shares[of.Share] = s
	}
	s.most = of.Most
	s.lanes++
	return s
}

// leave forgets a lane, and the share with its last.
func (l *lanes) leave(s *share) {
	if s.lanes--; s.lanes == 0 {
		delete(l.shares, s.name)
	}
}

func (s *share) waiting() bool { return len(s.early)+len(s.ready) > 0 }

// next takes the lane whose turn it is.
func (s *share) next() *lane {
	from := &s.ready
	if len(s.early) > 0 {
		from = &s.early
	}
	one := (*from)[0]
	(*from)[0] = nil
	*from = (*from)[1:]
	return one
}

// ended notes that a step has ended which was begun in its turn.
func (s *share) ended(one *lane, head *task, finished bool) {
	s.running--
	if one.early {
		return
	}
	s.fresh--
	if finished && head.of != nil {
		s.away = head.of.sentAway
	}
}

// may says whether the share gets one more place.
func (l *lanes) may(s *share) bool {
	alone := len(l.shares) == 1
	switch {
	case s.most > 0 && s.running >= s.most:
		return false
	case s.away && !alone && len(s.early) == 0 && s.fresh >= max(1, s.most/sentAwayBy):
		return false // a backlog is given its appointments beside the others' work, not before it
	}
	return alone || s.running < leaveFree*(l.max-l.running)
}

// dropEmpty takes lanes without a task out of the turns.
func (l *lanes) dropEmpty() {
	empty := func(one *lane) bool { return len(one.queue) == 0 }
	for _, s := range l.turns {
		s.early = slices.DeleteFunc(s.early, empty)
		s.ready = slices.DeleteFunc(s.ready, empty)
	}
	l.turns = slices.DeleteFunc(l.turns, func(s *share) bool { return !s.waiting() })
}

// turnAway starts some of the tasks that match out of their turn, the last to come first, where a share's own limit has
// made the next one wait for long. Their step is told how long that is: who comes now will hardly wait for less. It is
// for a partition that can read no further because of those that wait: they go elsewhere, for the others behind them. It
// answers whether there were any.
func (l *lanes) turnAway(match func(*task) bool) (some bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.shares {
		if s.most == 0 || s.running < s.most || len(s.ready) == 0 {
			continue
		}
		waited := time.Since(s.ready[0].since)
		if waited < crowdedAfter {
			continue
		}
		n := 0
		for i := len(s.ready) - 1; i > 0 && n < turnedAwayAtOnce && l.aside < (l.max+3)/4 && l.running < l.max; i-- {
			if one := s.ready[i]; match(one.queue[0]) {
				s.ready = slices.Delete(s.ready, i, i+1)
				l.aside++
				l.begin(one, waited)
				n++
				some = true
			}
		}
	}
	return some
}
