package gatewaysim

import (
	"fmt"
	"slices"
	"sync"
)

// part names the parts of a Script that a call of set replaces.
type part int

const (
	callPart part = 1 << iota
	queryPart
	notificationPart
)

// scripts holds what is left of each refund number's script.
type scripts struct {
	mu        sync.Mutex
	given     map[string]*Script // by refund number, or merchant/number
	written   map[string]*Script // by magic or generator: merchant/number
	magic     bool
	generator *Generator
}

func newScripts(magic bool, g *Generator) *scripts {
	return &scripts{given: map[string]*Script{}, written: map[string]*Script{}, magic: magic, generator: g}
}

func (s *scripts) set(no string, sc Script, parts part) error {
	if err := sc.Check(); err != nil {
		return fmt.Errorf("gatewaysim: script of refund %q: %w", no, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.given[no]
	if x == nil {
		x = &Script{}
		s.given[no] = x
	}
	sc = sc.clone()
	if parts&callPart != 0 {
		x.Calls = sc.Calls
	}
	if parts&queryPart != 0 {
		x.Queries = sc.Queries
	}
	if parts&notificationPart != 0 {
		x.Notifications = sc.Notifications
	}
	return nil
}

func (sc Script) clone() Script {
	return Script{Calls: slices.Clone(sc.Calls), Queries: slices.Clone(sc.Queries), Notifications: slices.Clone(sc.Notifications)}
}

func (s *scripts) setGenerator(g *Generator) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generator = g
}

// left answers what is left of a script, by number or merchant/number.
func (s *scripts) left(no string) Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range []map[string]*Script{s.given, s.written} {
		if x := m[no]; x != nil {
			return x.clone()
		}
	}
	return Script{}
}

// all answers every script there is.
func (s *scripts) all() map[string]Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]Script{}
	for _, m := range []map[string]*Script{s.written, s.given} {
		for no, x := range m {
			all[no] = x.clone()
		}
	}
	return all
}

// find answers the script of a merchant's refund number, nil where there is
// none: one for this merchant, else one for any, else a written one. The
// caller holds the lock.
func (s *scripts) find(merchant, no string) *Script {
	own := merchant + "/" + no
	for _, x := range []*Script{s.given[own], s.given[no], s.written[own]} {
		if x != nil {
			return x
		}
	}
	return nil
}

// call takes the step of the next call of a refund number. A number without
// a script gets one here: by its amount, else by the generator.
func (s *scripts) call(provider, merchant, no string, amount int64) Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.find(merchant, no)
	if x == nil {
		sc, ok := Script{}, false
		if s.magic {
			sc, ok = magic(provider, amount)
		}
		if !ok && s.generator != nil {
			sc, ok = s.generator.Script(provider, merchant, no), true
		}
		if !ok {
			return Step{}
		}
		x = &sc
		s.written[merchant+"/"+no] = x
	}
	st, _ := take(&x.Calls)
	return st
}

// query takes the step of the next query of a refund number; false where
// none is left.
func (s *scripts) query(merchant, no string) (Step, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.find(merchant, no)
	if x == nil {
		return Step{}, false
	}
	return take(&x.Queries)
}

func (s *scripts) notifications(merchant, no string) []Notification {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.find(merchant, no); x != nil {
		return slices.Clone(x.Notifications)
	}
	return nil
}

func take(steps *[]Step) (Step, bool) {
	if len(*steps) == 0 {
		return Step{}, false
	}
	st := (*steps)[0]
	switch {
	case st.Times < 0:
	case st.Times > 1:
		(*steps)[0].Times--
	default:
		*steps = (*steps)[1:]
	}
	return st, true
}
