package out

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Progress is one line that rewrites itself. On what is no terminal it writes
// nothing. Safe for concurrent use.
type Progress struct {
	w     io.Writer // nil: nowhere
	now   func() time.Time
	mu    sync.Mutex
	last  time.Time
	wrote bool
}

// NewProgress makes one; w is nil where there is no terminal.
func NewProgress(w io.Writer, now func() time.Time) *Progress { return &Progress{w: w, now: now} }

// progressEvery bounds how often the line is rewritten.
const progressEvery = 100 * time.Millisecond

// Show rewrites the line, at most ten times a second.
func (p *Progress) Show(format string, args ...any) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); now.Sub(p.last) >= progressEvery {
		p.last, p.wrote = now, true
		fmt.Fprintf(p.w, "\r\x1b[K%s", Clean(Clip(fmt.Sprintf(format, args...), 120)))
	}
}

// Clear takes the line away. Show may write it again.
func (p *Progress) Clear() {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wrote {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.wrote, p.last = false, time.Time{}
	}
}
