package explorer

import (
	"context"
	"time"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/refund"
)

// strike is one fault at a gate.
func (l *life) strike(w *world, one *waiter) (do action) {
	switch n := l.rng.IntN(100); {
	case n < 20:
		l.kill(w, one.proc)
	case n < 23:
		for _, p := range w.workers {
			l.kill(w, p)
		}
	case n < 40:
		l.freeze(w, one.proc)
	case n < 50:
		do.fail = true
	case n < 60:
		do.delay = l.oneOf(10*time.Millisecond, time.Second, 4*time.Second, 12*time.Second, 40*time.Second)
	case n < 65:
		do.ghost = l.oneOf(time.Millisecond, time.Second, 20*time.Second, time.Minute)
	case n < 70:
		w.wipe()
		w.at(l.between(0, 3*time.Second), "the keepers look", w.wakeKeepers)
	case n < 80:
		l.failover(w)
		w.at(l.between(0, 3*time.Second), "the keepers look", w.wakeKeepers)
	case n < 83:
		l.redisDown(w)
	case n < 86:
		if l.chance(50) {
			w.elect()
		}
		w.broker.stop(w, l.oneOf(time.Second, 4*time.Second, 7*time.Second, 20*time.Second, time.Minute))
	case n < 88:
		w.sim.RefuseFor(l.oneOf(5*time.Second, time.Minute, 10*time.Minute))
	case n < 92:
		shift := l.rng.IntN(2)
		w.at(l.oneOf(0, 50*time.Millisecond, time.Second), "rebalance", func() { l.regroup(w, shift) })
	case n < 95:
		l.repeat(w)
	case n < 98:
		l.callBack(w)
	default:
		w.wakeKeepers()
	}
	return do
}

// failover is one, to a server with a clock of its own; where there are replicas some processes may not notice at once.
func (l *life) failover(w *world) {
	lost := l.rng.IntN(12)
	if l.chance(20) {
		w.elect()
	}
	if !w.replicas {
		w.failover(lost)
		l.skew(w)
		return
	}
	var pinned []*process
	for _, p := range []*process{w.bridge.Load(), w.workers[0], w.workers[1]} {
		if l.chance(50) {
			pinned = append(pinned, p)
		}
	}
	w.split(lost, l.between(0, grace), pinned...)
}

// kill ends a process; it starts again some time later, and its partitions go to who is there, sooner or later.
func (l *life) kill(w *world, p *process) {
	if p.dead.Load() {
		return
	}
	p.kill()
	restart, takeover := l.oneOf(500*time.Millisecond, 3*time.Second, 20*time.Second, 2*time.Minute), l.oneOf(200*time.Millisecond, session, 35*time.Second)
	shift := l.rng.IntN(2)
	if p.bridge == nil {
		w.at(takeover, "takeover", func() { l.regroup(w, shift) })
	}
	w.at(restart, "restart", func() {
		w.restart(p)
		if p.bridge == nil {
			l.regroup(w, shift)
		}
	})
}

// freeze stops a process; after a session's time the group goes on without it, until it is back.
func (l *life) freeze(w *world, p *process) {
	d := l.oneOf(500*time.Millisecond, 4*time.Second, 8*time.Second, 12*time.Second, 33*time.Second, 70*time.Second, 100*time.Second, 200*time.Second, 15*time.Minute)
	p.freeze(d)
	if d < session || p.bridge != nil {
		return
	}
	shift := l.rng.IntN(2)
	w.at(session, "fenced", func() {
		w.leave(p)
		l.regroup(w, shift)
	})
	w.at(d+l.oneOf(100*time.Millisecond, time.Second), "rejoins", func() { l.regroup(w, shift) })
}

// regroup begins a generation of those workers that run.
func (l *life) regroup(w *world, shift int) {
	var procs []*process
	for _, p := range w.workers {
		if !p.dead.Load() && !p.frozenUntil().After(time.Now()) {
			procs = append(procs, p)
		}
	}
	w.rebalance(shift, procs...)
}

func (l *life) redisDown(w *world) {
	d := l.oneOf(time.Second, 20*time.Second, time.Minute)
	w.logf("-- Redis is down for %s", d)
	w.store.down(errRefused)
	w.at(d, "Redis is back", func() { w.store.down(nil) })
}

// callBack has the gateway call the bridge about a refund: once more, late, overtaken, forged, with another amount, or,
// of one that has succeeded, with the opposite.
func (l *life) callBack(w *world) {
	if len(l.requests) == 0 {
		return
	}
	r := l.requests[l.rng.IntN(len(l.requests))]
	n := gatewaysim.Notification{URL: callbacks + r.Merchant}
	switch l.rng.IntN(5) {
	case 0:
		n.Status = "TRADE_PROCESSING"
	case 1:
		n.Sign = gatewaysim.SignForeign
	case 2:
		n.Amount = r.Amount.Minor + 100
	case 3:
		if w.newest[r.Key.String()].Status == refund.StatusSucceeded {
			n.Status = "TRADE_FAIL"
		}
	}
	w.at(l.oneOf(0, time.Second, 30*time.Second, time.Hour), "callback", func() { w.notify(r, n) })
}

// notify sends a callback about what the gateway knows.
func (w *world) notify(r refund.Request, n gatewaysim.Notification) {
	if known, ok := w.sim.Refund(r.Merchant, r.RefundNo); ok && known.Status != "" {
		go func() { _, _ = w.sim.Notify(context.Background(), r.Merchant, r.RefundNo, n) }()
	}
}

// byStaff has somebody make a refund at the gateway's portal; its number is asked for here once its callback is known.
func (l *life) byStaff(w *world) {
	r := l.draw(w, "P"+string(rune('a'+len(l.staff))))
	r.Flow = refund.FlowApply
	l.staff[r.RefundNo] = true
	w.foreign[r.Key.String()] = true
	call := must(gatewayOf(r.Merchant).Sign(r))
	go call(context.WithValue(context.Background(), worldKey{}, w))
	w.at(l.between(time.Minute, time.Hour), "request of what staff has made", func() {
		if w.newest[r.Key.String()].Sequence > 0 {
			l.requests = append(l.requests, r)
			w.publish(r, 0)
		}
	})
}
