package explorer

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing/synctest"
	"time"
)

// side of a step at a port.
type side string

const (
	before side = "before"
	after  side = "after"
)

// waiter is a goroutine of a process at a gate: about to take a step at a port, or just behind it.
type waiter struct {
	proc  *process
	actor string // delivery, callback or keeper
	op    string // claim, publish, send, ...
	side  side
	key   string // refund
	asked bool   // the director has had its say
	ready time.Time
	fail  bool
	ghost time.Duration
	leave chan bool // true: die
}

func (w *waiter) String() string {
	return fmt.Sprintf("%s %s %s %s/%s", w.proc.name, w.actor, w.key, w.op, w.side)
}

// gates is the scheduler: at most one goroutine that has passed a gate runs at a time. What a goroutine does between two
// gates touches nothing that is shared.
type gates struct {
	mu      sync.Mutex
	arrived []*waiter
	bell    chan struct{}

	waiting []*waiter // the scheduler's own
	passed  int
}

func newGates() *gates { return &gates{bell: make(chan struct{}, 1)} }

// pass waits for its turn. It answers whether the step is to fail, and never returns in a process that was killed.
func (p *process) pass(ctx context.Context, op string, at side, key string) (fail bool) {
	return p.enter(ctx, op, at, key).fail
}

// enter is pass, and answers all that the director has said.
func (p *process) enter(ctx context.Context, op string, at side, key string) *waiter {
	if p.dead.Load() {
		runtime.Goexit()
	}
	w := &waiter{proc: p, actor: actorOf(ctx), op: op, side: at, key: key, leave: make(chan bool)}
	g := p.world.gates
	g.mu.Lock()
	g.arrived = append(g.arrived, w)
	g.mu.Unlock()
	select {
	case g.bell <- struct{}{}:
	default:
	}
	if <-w.leave {
		runtime.Goexit()
	}
	return w
}

// settle waits until every goroutine is at a gate or asleep, and takes in who has come, in an order that does not depend
// on the machine.
func (g *gates) settle() {
	synctest.Wait()
	g.mu.Lock()
	come := g.arrived
	g.arrived = nil
	g.mu.Unlock()
	if len(come) > 1 {
		slices.SortStableFunc(come, func(a, b *waiter) int {
			return cmp.Or(cmp.Compare(a.proc.name, b.proc.name), cmp.Compare(a.actor, b.actor), cmp.Compare(a.key, b.key),
				cmp.Compare(a.op, b.op), cmp.Compare(a.side, b.side))
		})
	}
	g.waiting = append(g.waiting, come...)
}

// runnable are those that may go on now; next is when the first of the others may.
func (g *gates) runnable(now time.Time) (all []*waiter, next time.Time) {
	for _, w := range g.waiting {
		at := w.ready
		if thaw := w.proc.frozenUntil(); thaw.After(at) {
			at = thaw
		}
		if !at.After(now) {
			all = append(all, w)
		} else {
			next = earliest(next, at)
		}
	}
	return all, next
}

// release lets one go.
func (g *gates) release(w *waiter) {
	g.waiting = slices.DeleteFunc(g.waiting, func(o *waiter) bool { return o == w })
	g.passed++
	w.leave <- w.proc.dead.Load()
}

// bury ends every goroutine of dead processes that stands at a gate.
func (g *gates) bury() (any bool) {
	for i := 0; i < len(g.waiting); {
		if w := g.waiting[i]; w.proc.dead.Load() {
			g.release(w)
			any = true
			continue
		}
		i++
	}
	return any
}

// earliest of two instants, of which zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

type actorKey struct{}

// withActor names who acts, for the order of those that act at the same instant.
func withActor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

func actorOf(ctx context.Context) string {
	name, _ := ctx.Value(actorKey{}).(string)
	return name
}
