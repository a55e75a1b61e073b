package explorer

import (
	"strconv"
	"strings"
	"time"
)

// loses is what Redis suffers. The keepers find out within seconds.
func (p *planned) loses(w *world) {
	p.lost = true
	if p.Redis == "keep" {
		return
	}
	lost, splits := strings.CutPrefix(p.Redis, "split")
	ahead, jumps := strings.CutPrefix(p.Redis, "jump")
	dark, rack := strings.CutPrefix(p.Redis, "rack")
	switch {
	case rack:
		w.failover(must(strconv.Atoi(dark)))
		w.elect()
	case jumps: // the new primary's clock is a minute ahead
		w.failover(must(strconv.Atoi(ahead)))
		w.skew.Store(int64(time.Minute))
	case p.Redis == "wipe":
		w.wipe()
	case splits:
		w.split(must(strconv.Atoi(lost)), grace, p.firstLife)
	default:
		w.failover(must(strconv.Atoi(strings.TrimPrefix(p.Redis, "lose"))))
	}
	w.at(2*time.Second, "the keepers look", w.wakeKeepers)
}

func (w *world) wipe() {
	w.logf("-- Redis is wiped")
	w.store.wipe()
	w.forgetChains()
}

func (w *world) failover(lost int) {
	w.forgetChains()
	if w.defect.polled > 0 {
		w.logf("-- Redis fails over, unseen, and loses %d writes", w.store.(memory).Lose(lost))
		w.at(w.defect.polled, "the server is found to be another one", func() {
			w.store.failover(0)
			w.wakeKeepers()
		})
		return
	}
	w.logf("-- Redis fails over and loses %d writes", w.store.failover(lost))
}

// split is a failover in which some processes still talk to the old primary for d: it takes their writes, and they are lost.
func (w *world) split(lost int, d time.Duration, pinned ...*process) {
	old := w.store.old()
	w.failover(lost)
	if old == nil {
		return
	}
	for _, p := range pinned {
		w.logf("-- %s still talks to the old primary", p.name)
		p.store = old
		w.at(d, p.name+" finds the new primary", func() { p.store = w.store.fork() })
	}
}

func (w *world) wakeKeepers() {
	for _, p := range w.workers {
		p.wakeKeepers()
	}
}
