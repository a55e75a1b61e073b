package explorer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// A life is 72 hours of the whole system, a function of its seed: a few busy times, each with new requests, duplicates of
// old ones and a handful of faults, which strike at gates, where something is under way; then everything is well, and by
// the end every refund has to be settled.
const (
	lifeTime  = 72 * time.Hour
	wellAfter = 44 * time.Hour
)

// life is the director of a life.
type life struct {
	rng      *rand.Rand
	faults   int // still to come in this busy time
	dense    int // one gate of so many is struck
	struck   int
	requests []refund.Request
	stuck    []string
	orders   int
	staff    map[string]bool // refunds that were made by staff at the gateway's portal
	skewed   bool            // Redis's servers have clocks that are up to a minute off
}

// between draws an instant or a length.
func (l *life) between(from, to time.Duration) time.Duration {
	return from + time.Duration(l.rng.Int64N(int64(to-from)))
}

func (l *life) oneOf(each ...time.Duration) time.Duration { return each[l.rng.IntN(len(each))] }

func (l *life) chance(percent int) bool { return l.rng.IntN(100) < percent }

// plan lays out the busy times.
func (l *life) plan(w *world) {
	l.orders = 1 + l.rng.IntN(3)
	l.dense = 5 + l.rng.IntN(30)
	busy := 2 + l.rng.IntN(4)
	for i := range busy {
		at := l.between(0, wellAfter-time.Hour)
		if i == 0 {
			at = time.Second
		}
		w.at(at, "busy", func() { l.busy(w) })
	}
	w.at(wellAfter, "all is well from now on", func() { l.heal(w) })
}

// busy is one busy time.
func (l *life) busy(w *world) {
	l.faults += 1 + l.rng.IntN(6)
	for range 8 {
		w.at(l.between(0, 3*time.Minute), "the keepers look", w.wakeKeepers)
	}
	for range 1 + l.rng.IntN(3) {
		w.at(l.between(0, 90*time.Second), "request", func() { l.ask(w) })
	}
	for range l.rng.IntN(3) {
		w.at(l.between(0, 20*time.Minute), "duplicate", func() { l.repeat(w) })
	}
	if l.chance(20) {
		w.at(l.between(0, time.Hour), "staff", func() { l.byStaff(w) })
	}
}

// ask publishes a new request.
func (l *life) ask(w *world) {
	no := fmt.Sprintf("R%d", len(l.requests)+1)
	r := l.draw(w, no)
	b := behaviours[l.rng.IntN(len(behaviours))]
	if b.stuck && !l.chance(10) {
		b = behaviours[0]
	}
	if b.stuck {
		l.stuck = append(l.stuck, r.Key.String())
	}
	w.logf("-- the gateway treats %s as %s", r.Key, b.name)
	if err := w.sim.SetScript(r.Key.String(), b.scriptOf(no)); err != nil {
		panic(err)
	}
	if b.refuses > 0 {
		w.sim.RefuseFor(b.refuses)
	}
	l.requests = append(l.requests, r)
	w.publish(r, l.rng.IntN(requestPartitions))
}

// draw makes a request of one of the orders, which have room for two or three of them.
func (l *life) draw(w *world, no string) refund.Request {
	flow := refund.FlowRefund
	if l.chance(50) {
		flow = refund.FlowApply
	}
	m := w.merchants[l.rng.IntN(len(w.merchants))]
	order := fmt.Sprintf("O%d", 1+l.rng.IntN(l.orders))
	return request(m, no, order, int64(1+l.rng.IntN(6))*100, 1000, flow)
}

// repeat publishes one of the requests again, now and then with other content.
func (l *life) repeat(w *world) {
	if len(l.requests) == 0 {
		return
	}
	r := l.requests[l.rng.IntN(len(l.requests))]
	if l.chance(5) {
		r.Amount.Minor++
	}
	w.publish(r, l.rng.IntN(requestPartitions))
}

func (l *life) choose(_ *world, ready []*waiter) *waiter { return ready[l.rng.IntN(len(ready))] }

// at strikes one gate of so many.
func (l *life) at(w *world, one *waiter) (do action) {
	if l.faults == 0 || w.now() < time.Second || w.now() > wellAfter || l.rng.IntN(l.dense) > 0 {
		return action{}
	}
	l.faults--
	l.struck++
	return l.strike(w, one)
}

// skew sets Redis's clock, where clocks are off.
func (l *life) skew(w *world) {
	if l.skewed {
		w.skew.Store(int64(l.between(-time.Minute, time.Minute)))
	}
}

// heal makes everything well.
func (l *life) heal(w *world) {
	l.faults = 0
	w.store.down(nil)
	_ = w.sim.Accept()
	w.broker.heal()
	for _, p := range []*process{w.bridge.Load(), w.workers[0], w.workers[1]} {
		p.wake()
		if p.dead.Load() {
			w.restart(p)
		}
	}
	w.at(2*time.Second, "rebalance", func() { w.rebalance(0, w.workers[0], w.workers[1]) })
}

// later is what comes when all has been settled for long: the audit mends what has an older event as its last, the topic is
// compacted, Redis is wiped, and everything is asked for once more.
func (l *life) later(w *world) {
	w.mend()
	w.run(time.Now().Add(8*24*time.Hour), func() bool { return false })
	w.wipe()
	w.at(time.Second, "the keepers look", w.wakeKeepers)
	for _, r := range l.requests {
		w.at(l.between(0, 2*time.Minute), "again", func() { w.publish(r, l.rng.IntN(requestPartitions)) })
	}
	w.run(time.Now().Add(3*24*time.Hour), w.quiet)
}

// live runs a life in a bubble of its own.
func live(t *testing.T, seed uint64, s setup) (j *judgement, l *life) {
	synctest.Test(t, func(t *testing.T) {
		l = &life{rng: rand.New(rand.NewPCG(seed, 72)), staff: map[string]bool{}}
		s.merchants, s.director, s.lanes = []string{merchant}, l, l.chance(50)
		if l.chance(25) {
			s.merchants = []string{merchant, "S2"}
		}
		s.replicas, l.skewed = l.chance(20), l.chance(20)
		w := newWorld(s)
		defer w.close()
		l.skew(w)
		w.rebalance(l.rng.IntN(2), w.workers[0], w.workers[1])
		l.plan(w)
		w.run(w.start.Add(lifeTime), w.quiet)
		if l.chance(10) && len(l.stuck) == 0 {
			l.later(w)
		}
		j = w.judge(l.stuck...)
		for _, broken := range j.broken {
			w.logf("BROKEN %s", broken)
		}
	})
	return j, l
}
