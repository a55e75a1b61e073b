package explorer

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/refund"
)

// plan is one schedule: what happens at one gate of the first worker, and everything around it.
type plan struct {
	Gateway string // name of a behaviour
	Flow    refund.Flow
	Point   int    // number of the gate at which it happens, from 1; 0: nothing happens
	Act     string // kill; freeze45s ...; delay3s: this step alone is slow; late3s: killed, but it arrives; fail: it, or its answer, is lost; stay: nothing
	Next    string // who continues
	Redis   string // keep, wipe, lose1 ...; rack2: the status topic's leader fails as well
	Later   int    // the loss happens at this gate of whoever continues, from 1; 0: at the point itself
	Again   int    // whoever continues is killed at this gate of his, from 1, and nobody is there for two minutes; 0: he is not
	Notes   bool   // the keepers look every three seconds at first, and note how far the topic is reflected
	Pair    int    // a second refund of the order, for which there is no room, comes meanwhile: 1 to the same worker, 2 to the other; 0: none does
}

func (p plan) String() string {
	return fmt.Sprintf("gateway=%s flow=%s point=%d act=%s next=%s redis=%s later=%d again=%d notes=%t pair=%d",
		p.Gateway, p.Flow, p.Point, p.Act, p.Next, p.Redis, p.Later, p.Again, p.Notes, p.Pair)
}

func parsePlan(s string) (p plan, err error) {
	_, err = fmt.Sscanf(s, "gateway=%s flow=%s point=%d act=%s next=%s redis=%s later=%d again=%d notes=%t pair=%d",
		&p.Gateway, &p.Flow, &p.Point, &p.Act, &p.Next, &p.Redis, &p.Later, &p.Again, &p.Notes, &p.Pair)
	return p, err
}

// Who continues.
var continuations = []string{"same", "other", "callback", "followup", "duplicate", "duplicate1h", "soon", "nobody2m"}

// horizon is how long a schedule may take: everything is well after its first minutes.
const horizon = 72 * time.Hour

const merchant = "S1"

// planned is the director of a plan.
type planned struct {
	plan
	gate      int      // of the first worker's deliveries so far
	on        int      // of those that continue
	happened  bool     // the point was reached
	lost      bool     // Redis has lost what it shall lose
	firstLife *process // that it happens to
	points    []string // gates by name
}

func (p *planned) choose(_ *world, ready []*waiter) *waiter { return ready[0] }

func (p *planned) at(w *world, one *waiter) (do action) {
	if strings.HasPrefix(one.actor, "keeper") || w.now() < time.Second {
		return
	}
	switch {
	case one.proc == p.firstLife && !p.happened:
		if p.gate++; p.gate == p.Point {
			p.happened = true
			return p.happen(w, one)
		}
		if p.Point == 0 {
			p.points = append(p.points, fmt.Sprintf("%s/%s", one.op, one.side))
		}
	case p.happened && one.proc != p.firstLife:
		if p.on++; p.on == p.Later {
			p.loses(w)
		}
		if p.on == p.Again {
			p.again(w, one.proc)
		}
	}
	return
}

// again is the second blow.
func (p *planned) again(w *world, who *process) {
	who.kill()
	w.at(2*time.Minute, "restart", func() {
		if next := w.restart(who); next.bridge == nil {
			w.rebalance(0, next)
		}
	})
}

// happen is the fault at the point.
func (p *planned) happen(w *world, one *waiter) (do action) {
	w.logf("-- point %d: %s", p.Point, one)
	if p.Later == 0 {
		p.loses(w)
	}
	var frozen time.Duration
	if slow, slows := strings.CutPrefix(p.Act, "delay"); slows {
		do.delay = must(time.ParseDuration(slow))
		p.beside(w)
		return
	}
	switch p.Act {
	case "kill":
		one.proc.kill()
	case "fail":
		do.fail = true
		return
	case "late3s":
		do.ghost = 3 * time.Second
		w.at(500*time.Millisecond, "killed", one.proc.kill)
	case "stay": // only Redis suffers
		p.beside(w)
		return
	default:
		frozen = must(time.ParseDuration(strings.TrimPrefix(p.Act, "freeze")))
		one.proc.freeze(frozen)
	}
	p.goOn(w, one.proc, frozen)
	return
}

// goOn says who continues, and when.
func (p *planned) goOn(w *world, first *process, frozen time.Duration) {
	p.beside(w)
	if frozen > 0 && frozen < session {
		return // nobody notices
	}
	all := func(who *process) func() { return func() { w.rebalance(0, who) } }
	second := w.workers[1]
	switch p.Next {
	case "same":
		if frozen > 0 {
			w.at(session, "fenced", func() { w.leave(first) })
			w.at(frozen+2*time.Second, "rejoins", all(first))
			return
		}
		w.at(3*time.Second, "restart", func() { w.rebalance(0, w.restart(first)) })
	case "other", "callback", "duplicate1h":
		w.at(session, "takes over", all(second))
	case "soon": // the group was about to go on without the first
		w.at(time.Second, "takes over", all(second))
	case "nobody2m":
		w.at(session, "fenced", func() { w.leave(first) })
		w.at(2*time.Minute, "takes over", all(second))
	default: // the second worker has all but the partition of the first message, which comes to it later
		w.at(2*time.Second, "takes over the rest", func() {
			w.assign(func(i int) *process {
				if i == 0 {
					return nil
				}
				return second
			})
		})
		w.at(40*time.Second, "takes over", all(second))
	}
}

// beside is what comes in beside, right after the point.
func (p *planned) beside(w *world) {
	switch p.Next {
	case "callback":
		w.at(time.Second, "callback", w.callsBack)
	case "duplicate":
		w.at(time.Second, "duplicate", func() { w.publish(w.asked[0].request, 1) })
	case "duplicate1h":
		w.at(time.Hour, "duplicate", func() { w.publish(w.asked[0].request, 1) })
	case "followup":
		w.at(time.Second, "a follow-up from outside", func() {
			rec := refund.Record{Request: w.asked[0].request}
			if w.newest[rec.Key().String()].Sequence == 0 {
				return // only of what was announced
			}
			r := followUpRecord(rec, time.Minute)
			r.Time = time.Now().Add(-time.Minute)
			w.broker.append(topicPartition{Topic: r.Topic}, r)
		})
	}
}

// callsBack has the gateway tell the truth to the bridge, where it knows the first refund.
func (w *world) callsBack() {
	r := w.asked[0].request
	w.notify(r, gatewaysim.Notification{URL: callbacks + r.Merchant})
}

// play runs a plan in a bubble of its own.
func play(t *testing.T, p plan, s setup) (j *judgement, points []string) {
	synctest.Test(t, func(t *testing.T) {
		director := &planned{plan: p}
		s.merchants, s.director = []string{merchant}, director
		s.replicas = strings.HasPrefix(p.Redis, "split")
		w := newWorld(s)
		defer w.close()
		director.firstLife = w.workers[0]
		w.assign(func(i int) *process { // the second worker has the second partition of the requests alone
			if i == 1 {
				return w.workers[1]
			}
			return w.workers[0]
		})
		w.run(w.start.Add(time.Second), func() bool { return false }) // the keepers open the merchant
		b := behaviourOf(p.Gateway)
		first := request(merchant, "R1", "O1", 600, 1000, p.Flow)
		if err := w.sim.SetScript(merchant+"/R1", b.scriptOf("R1")); err != nil {
			t.Fatal(err)
		}
		if b.refuses > 0 {
			w.sim.RefuseFor(b.refuses)
		}
		w.publish(first, 0)
		for i := range 40 {
			if p.Notes {
				w.at(time.Duration(i)*3*time.Second, "the keepers look", w.wakeKeepers)
			}
		}
		if p.Pair > 0 {
			w.at(5*time.Second, "second request", func() { w.publish(request(merchant, "R2", "O1", 600, 1000, refund.FlowRefund), p.Pair-1) })
		}
		w.run(w.start.Add(horizon), w.quiet)
		var stuck []string
		if b.stuck {
			stuck = []string{first.Key.String()}
		}
		j, points = w.judge(stuck...), director.points
		if s.trace != nil {
			for _, broken := range j.broken {
				w.logf("BROKEN %s", broken)
			}
		}
	})
	return j, points
}
