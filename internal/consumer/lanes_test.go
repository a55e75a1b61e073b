package consumer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func sleeping(d time.Duration, then func()) func(time.Duration) (bool, time.Duration) {
	return func(time.Duration) (bool, time.Duration) {
		time.Sleep(d)
		if then != nil {
			then()
		}
		return true, 0
	}
}

// Random lanes with random works, some of which rest: one of a lane at a time, in order, never more than the maximum.
func TestLanesKeepOrderAndBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, names, each = 7, 20, 30
		highest := 0
		l := newLanes(most, func(n int) { highest = max(highest, n) })
		var mu sync.Mutex
		busy, got := map[string]bool{}, map[string][]int{}
		random := rand.New(rand.NewPCG(1, 2))
		for i := range each {
			for n := range names {
				name := fmt.Sprint("lane", n)
				took, rests := time.Duration(random.IntN(50))*time.Millisecond, random.IntN(3)
				l.add(Lane{Name: name}, &task{owner: 1, step: func(time.Duration) (bool, time.Duration) {
					mu.Lock()
					if busy[name] {
						t.Errorf("%s runs twice at a time", name)
					}
					busy[name] = true
					mu.Unlock()
					time.Sleep(took)
					mu.Lock()
					defer mu.Unlock()
					busy[name] = false
					if rests--; rests >= 0 {
						return false, took
					}
					got[name] = append(got[name], i)
					return true, 0
				}})
			}
		}
		pass(time.Hour)
		for name, order := range got {
			if len(order) != each || !slices.IsSorted(order) {
				t.Errorf("%s: %v", name, order)
			}
		}
		if len(got) != names || highest != most || l.running != 0 || len(l.byKey) != 0 || len(l.owners) != 0 {
			t.Errorf("%d lanes, at most %d at a time, %d running, %d lanes and %d owners left", len(got), highest, l.running, len(l.byKey), len(l.owners))
		}
	})
}

// One lane with 10,000 tasks takes one running place, not all.
func TestALongLaneDoesNotFillThePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(4, nil)
		for range 10_000 {
			l.add(Lane{Name: "long"}, &task{owner: 1, step: sleeping(time.Second, nil)})
		}
		start := time.Now()
		done := make(chan time.Duration, 3)
		for i := range 3 {
			l.add(Lane{Name: fmt.Sprint("short", i)}, &task{owner: 1, step: sleeping(time.Second, func() { done <- time.Since(start) })})
		}
		for range 3 {
			if took := <-done; took != time.Second {
				t.Errorf("a short lane took %s", took)
			}
		}
		<-l.drop(1)
	})
}

func TestLanesWithoutANameWaitForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(10, nil)
		start := time.Now()
		var all sync.WaitGroup
		for range 10 {
			all.Add(1)
			l.add(Lane{Name: ""}, &task{owner: 1, step: sleeping(time.Second, all.Done)})
		}
		all.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// A dropped owner's waiting and resting tasks never run; one that runs ends its step and no more; another owner's tasks of
// the same lanes go on, one at a time.
func TestDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(2, nil)
		ran := make(chan string, 100)
		named := func(name string, d time.Duration, finished bool) func(time.Duration) (bool, time.Duration) {
			return func(time.Duration) (bool, time.Duration) { time.Sleep(d); ran <- name; return finished, time.Minute }
		}
		l.add(Lane{Name: "a"}, &task{owner: "old", step: named("old runs", time.Second, false)})
		l.add(Lane{Name: "a"}, &task{owner: "old", step: named("old waits behind it", 0, true)})
		l.add(Lane{Name: "b"}, &task{owner: "old", step: named("old rests", 0, false)})
		synctest.Wait()
		l.add(Lane{Name: "b"}, &task{owner: "new", step: named("new behind the resting", 0, true)})
		l.add(Lane{Name: "a"}, &task{owner: "new", step: named("new behind the running", 0, true)})
		l.add(Lane{Name: "c"}, &task{owner: "old", step: named("another rests", 0, false)})
		synctest.Wait()
		start := time.Now()
		<-l.drop("old")
		if took := time.Since(start); took != time.Second {
			t.Errorf("idle after %s", took)
		}
		pass(time.Hour)
		close(ran)
		var got []string
		for r := range ran {
			got = append(got, r)
		}
		want := []string{"old rests", "another rests", "new behind the resting", "old runs", "new behind the running"}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if len(l.byKey) != 0 || len(l.owners) != 0 {
			t.Errorf("%d lanes, %d owners left", len(l.byKey), len(l.owners))
		}
	})
}
