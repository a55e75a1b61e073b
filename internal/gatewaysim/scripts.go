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
	by        map[string]*Script
	magic     bool
	generator *Generator
}

func newScripts(magic bool, g *Generator) *scripts {
	return &scripts{by: map[string]*Script{}, magic: magic, generator: g}
}

func (s *scripts) set(no string, sc Script, parts part) error {
	if err := sc.Check(); err != nil {
		return fmt.Errorf("gatewaysim: script of refund %q: %w", no, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.by[no]
	if x == nil {
		x = &Script{}
		s.by[no] = x
	}
	if parts&callPart != 0 {
		x.Calls = slices.Clone(sc.Calls)
	}
	if parts&queryPart != 0 {
		x.Queries = slices.Clone(sc.Queries)
	}
	if parts&notificationPart != 0 {
		x.Notifications = slices.Clone(sc.Notifications)
	}
	return nil
}

func (s *scripts) setGenerator(g *Generator) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generator = g
}

func (s *scripts) left(no string) Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copyOf(no)
}

func (s *scripts) copyOf(no string) Script {
	x := s.by[no]
	if x == nil {
		return Script{}
	}
	return Script{Calls: slices.Clone(x.Calls), Queries: slices.Clone(x.Queries), Notifications: slices.Clone(x.Notifications)}
}

func (s *scripts) all() map[string]Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := make(map[string]Script, len(s.by))
	for no := range s.by {
		m[no] = s.copyOf(no)
	}
	return m
}

// call takes the step of the next call of a refund number. A number without
// a script gets one here: by its amount, else by the generator.
func (s *scripts) call(provider, merchant, no string, amount int64) Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.by[no]
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
		s.by[no] = x
	}
	st, _ := take(&x.Calls)
	return st
}

// query takes the step of the next query of a refund number; false where
// none is left.
func (s *scripts) query(no string) (Step, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.by[no]
	if x == nil {
		return Step{}, false
	}
	return take(&x.Queries)
}

func (s *scripts) notifications(no string) []Notification {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.by[no]; x != nil {
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
