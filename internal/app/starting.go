package app

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// starting is what a process waits for before it can do its work, in words; empty
// once it waits for nothing.
type starting struct{ words atomic.Pointer[string] }

// waits notes what is asked now, and what came of the last try.
func (s *starting) waits(part string, err error) {
	words := "starting: waiting for " + part
	if err != nil {
		words = fmt.Sprintf("%s: %v", words, err)
	}
	s.words.Store(&words)
}

func (s *starting) done() { s.words.Store(new(string)) }

// ready says what is waited for, and after the start what then says.
func (s *starting) ready(then func() error) error {
	switch words := s.words.Load(); {
	case words == nil:
		return errors.New("starting")
	case *words != "":
		return errors.New(*words)
	}
	return then()
}
