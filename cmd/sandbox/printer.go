package main

import (
	"errors"
	"io"
	"sync"
	"syscall"
)

// printer is the standard output. Where it cannot be written any more nobody sees
// what is played: it ends the sandbox, and says why.
type printer struct {
	to   io.Writer
	stop func()

	mu  sync.Mutex
	err error
}

// Write implements io.Writer.
func (p *printer) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.to.Write(text)
	if err != nil {
		p.err = err
		p.stop()
	}
	return n, err
}

// lost is why the output was lost; a reader who has seen enough (head) is no trouble
// to tell about.
func (p *printer) lost() (words string, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil && !errors.Is(p.err, syscall.EPIPE) {
		words = p.err.Error()
	}
	return words, p.err != nil
}
