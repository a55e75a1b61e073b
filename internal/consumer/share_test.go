package consumer

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A share with a long backlog and one with a few tasks take turns; no place is left empty meanwhile.
func TestSharesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running := 0
		l := newLanes(4, func(n int) { running = n })
		for i := range 1000 {
			l.add(Lane{Name: fmt.Sprint("big", i), Share: "big"}, &task{owner: 1, step: sleeping(time.Second, nil)})
		}
		start := time.Now()
		done := make(chan time.Duration, 4)
		for i := range 4 {
			l.add(Lane{Name: fmt.Sprint("small", i), Share: "small"}, &task{owner: 1, step: sleeping(time.Second, func() { done <- time.Since(start) })})
		}
		for _, want := range []time.Duration{2, 2, 3, 3} { // behind those that ran already, two at a time
			if took := <-done; took != want*time.Second {
				t.Errorf("done after %s, want %ds", took, want)
			}
		}
		synctest.Wait()
		if running != 4 {
			t.Errorf("%d run, 4 may", running)
		}
		<-l.drop(1)
	})
}

func TestAShareRunsNoMoreThanItsMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(10, nil)
		var now, most, other atomic.Int64
		for i := range 100 {
			l.add(Lane{Name: fmt.Sprint("a", i), Share: "a", Most: 3}, &task{owner: 1, step: func(time.Duration) (bool, time.Duration) {
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(time.Second)
				now.Add(-1)
				return true, 0
			}})
		}
		l.add(Lane{Name: "b", Share: "b"}, &task{owner: 1, step: sleeping(time.Second, func() { other.Add(1) })})
		pass(time.Second)
		if other.Load() != 1 {
			t.Error("the other share waited")
		}
		pass(time.Hour)
		if most.Load() != 3 || len(l.shares) != 0 || len(l.turns) != 0 || len(l.byKey) != 0 {
			t.Errorf("%d at a time, left over %v %v %v", most.Load(), l.shares, l.turns, l.byKey)
		}
	})
}

// Eight shares whose tasks hang, and which could hold all places, hold nearly all; others still find one at once.
func TestHowManyEverHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running := 0
		l := newLanes(512, func(n int) { running = n })
		hang := make(chan struct{})
		for share := range 8 {
			for i := range 100 {
				l.add(Lane{Name: fmt.Sprint(share, " ", i), Share: fmt.Sprint(share), Most: 64}, &task{owner: 1, step: func(time.Duration) (bool, time.Duration) { <-hang; return true, 0 }})
			}
		}
		synctest.Wait()
		if running < 500 {
			t.Errorf("%d of 512 places are used", running)
		}
		start := time.Now()
		for i := range 1000 { // one after another, each of a share of its own
			done := make(chan struct{})
			l.add(Lane{Share: fmt.Sprint("well", i)}, &task{owner: 1, step: sleeping(time.Millisecond, func() { close(done) })})
			<-done
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %s", took)
		}
		close(hang)
		<-l.drop(1)
	})
}

// Who has an appointment goes before those who have none.
func TestAppointmentsComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(10, nil)
		start := time.Now()
		for i := range 100 {
			l.add(Lane{Name: fmt.Sprint(i), Share: "a", Most: 1}, &task{owner: 1, step: sleeping(time.Second, nil)})
		}
		came := make(chan time.Duration, 2)
		l.add(Lane{Name: "delayed", Share: "a", Most: 1}, &task{owner: 1, early: true, step: sleeping(time.Second, func() { came <- time.Since(start) })})
		tries := 0
		l.add(Lane{Name: "rested", Share: "a", Most: 1}, &task{owner: 1, early: true, step: func(time.Duration) (bool, time.Duration) {
			if tries++; tries == 1 {
				return false, 4500 * time.Millisecond // ends while another runs
			}
			came <- time.Since(start)
			return true, 0
		}})
		if delayed, rested := <-came, <-came; delayed != 2*time.Second || rested != 7*time.Second {
			t.Errorf("delayed %s, rested %s", delayed, rested)
		}
		<-l.drop(1)
	})
}

// A share whose tasks are only sent away does that beside the others' work; alone, or for those with an appointment, it
// uses all that it may.
func TestABacklogIsSentAwayBesideTheOthersWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(100, nil)
		now := func() int { l.mu.Lock(); defer l.mu.Unlock(); return l.shares["big"].running }
		parked := func(early bool) *task {
			of := &delivering{}
			return &task{owner: 1, of: of, early: early, step: func(time.Duration) (bool, time.Duration) {
				time.Sleep(time.Second)
				of.sentAway = true
				return true, 0
			}}
		}
		for i := range 1000 {
			l.add(Lane{Name: fmt.Sprint("big", i), Share: "big", Most: 16}, parked(false))
		}
		pass(1500 * time.Millisecond)
		if now() != 16 {
			t.Errorf("alone: %d", now())
		}
		l.add(Lane{Share: "small"}, &task{owner: 1, step: sleeping(10*time.Second, nil)})
		pass(time.Second)
		if now() != 2 {
			t.Errorf("beside another: %d", now())
		}
		for i := range 10 {
			l.add(Lane{Name: fmt.Sprint("come back", i), Share: "big", Most: 16}, parked(true))
		}
		pass(500 * time.Millisecond)
		if now() != 12 {
			t.Errorf("with ten that have an appointment: %d", now())
		}
		pass(10 * time.Second)
		if now() != 16 {
			t.Errorf("alone again: %d", now())
		}
		<-l.drop(1)
	})
}

// shared puts each value into a lane of its own, on the account of its key.
type shared struct {
	most int
	work func(Delivery) Verdict
}

func (s shared) Route(d *Delivery) (Lane, Work) {
	return Lane{Name: string(d.Value), Share: string(d.Key), Most: s.most}, func(context.Context) Verdict { return s.work(*d) }
}

// A merchant's gateway is so slow that its refunds fill the partition's window. Those that came last go away for as long
// as the first ones have waited, and others behind them come through; the slow one's calls never pause.
func TestABacklogBehindASlowShareIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		var calls, away atomic.Int64
		small := make(chan time.Duration, 1)
		start := time.Now()
		w.c.handler = shared{most: 2, work: func(d Delivery) Verdict {
			if string(d.Key) == "small" {
				small <- time.Since(start)
				return Done()
			}
			if after := d.Crowded(); after > 0 {
				if after < crowdedAfter {
					t.Errorf("turned away for %s", after)
				}
				away.Add(1)
				return Later(after, CauseParked, 0)
			}
			calls.Add(1)
			time.Sleep(time.Second)
			return Done()
		}}
		for _, r := range many(3 * windowAll / 2) {
			r.Key = []byte("big")
			w.put("requests", 0, r)
		}
		last := value("last")
		last.Key = []byte("small")
		w.put("requests", 0, last)
		stop := w.start()
		pass(25 * time.Second)
		if away.Load() > 0 {
			t.Errorf("%d were turned away soon", away.Load())
		}
		if took := <-small; took > crowdedAfter+5*time.Second {
			t.Errorf("the one behind them came after %s: %d away", took, away.Load())
		}
		pass(time.Minute - time.Since(start))
		if calls.Load() < 118 { // two at a time
			t.Errorf("%d calls in a minute", calls.Load())
		}
		if got := int(away.Load()); got < windowAll-120-100 || got > windowAll {
			t.Errorf("%d were turned away", got)
		}
		for _, r := range w.writes() {
			if r.Topic != "delay.10s" {
				t.Fatalf("sent to %s", r.Topic)
			}
		}
		stop()
	})
}
