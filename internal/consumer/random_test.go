package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// Random verdicts, panics, works that take long or ignore their ctx, writes that fail, commits that fail, generations that
// end by a stop or by being fenced: nothing is ever committed past a message that is not accounted for (done, or written
// to a delay topic or the dead letters), no lane runs twice at a time within its window, and in the end all is committed.
func TestRandomLives(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomLife(t, seed) })
		})
	}
}

func randomLife(t *testing.T, seed uint64) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 7))
	draw := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	type at struct {
		tp     kafka.TopicPartition
		offset int64
	}
	accounted, busy, calm := map[at]bool{}, map[string]bool{}, false
	account := func(d Delivery) {
		mu.Lock()
		defer mu.Unlock()
		accounted[at{kafka.TopicPartition{Topic: d.Topic, Partition: d.Partition}, d.Offset}] = true
	}
	enter := func(lane string, in bool) {
		mu.Lock()
		defer mu.Unlock()
		if in && busy[lane] {
			t.Errorf("lane %s runs twice at a time", lane)
		}
		busy[lane] = in
	}
	w := newWorld(t, func(d Delivery) (string, Work) {
		lane := fmt.Sprint("lane", d.Offset%7)
		return lane, func(ctx context.Context) Verdict {
			enter(lane, true)
			defer enter(lane, false)
			select {
			case <-time.After(time.Duration(draw(2000)) * time.Millisecond):
			case <-ctx.Done():
				if draw(2) == 0 {
					time.Sleep(5 * time.Second) // ignores it for a while
				}
				return Abandon()
			}
			what := draw(20)
			if calm {
				what = 19
			}
			switch what {
			case 0:
				return Later(time.Minute, CauseRetry, 1)
			case 1:
				return Dead(ReasonInvalid, errors.New("bad"))
			case 2:
				return Again(time.Duration(draw(5))*time.Second, "waiting")
			case 3:
				return Abandon()
			case 4:
				panic("boom")
			}
			account(d)
			return Done()
		}
	}, func(c *Config) { c.DrainTimeout = 3 * time.Second; c.MaxInFlight = 5 })
	w.setFail(func(r kafka.Record) error {
		mu.Lock()
		defer mu.Unlock()
		if !calm && random.IntN(4) == 0 {
			return errors.New("not written")
		}
		var d at
		if _, err := fmt.Sscanf(string(r.Value), "%s %d %d", &d.tp.Topic, &d.tp.Partition, &d.offset); err != nil {
			t.Error(err)
		}
		accounted[d] = true
		return nil
	})
	const each = 40
	fill := func(topic string, partition int) {
		for i := range each {
			w.put(topic, partition, kafka.Record{Value: fmt.Appendf(nil, "%s %d %d", topic, partition, i), Time: time.Now().Add(time.Duration(i-each) * time.Second)})
		}
	}
	fill("requests", 0)
	fill("requests", 1)
	fill("delay.10s", 0)
	w.gen.check = func(tp kafka.TopicPartition, offset int64) {
		mu.Lock()
		defer mu.Unlock()
		for i := range offset {
			if !accounted[at{tp, i}] {
				t.Errorf("%s: %d is committed, %d is not accounted for", tp, offset, i)
			}
		}
	}
	for life := 0; ; life++ {
		for _, s := range w.sources {
			s.SeekTo(w.gen.at(s.tp.Topic, s.tp.Partition))
		}
		mu.Lock()
		calm = life > 4
		mu.Unlock()
		w.gen.setErr(nil)
		stop := w.start()
		pass(time.Duration(draw(8000)) * time.Millisecond)
		switch draw(3) {
		case 0:
			w.gen.setErr(kafka.ErrFenced)
		case 1:
			w.gen.setErr(errors.New("no answer"))
			pass(time.Duration(draw(3000)) * time.Millisecond)
			w.gen.setErr(nil)
		}
		if calm {
			w.gen.setErr(nil)
			pass(10 * time.Minute)
		}
		stop()
		if calm {
			break
		}
	}
	pass(time.Minute) // those that ignored their ctx
	for tp, offset := range maps.Clone(w.gen.committed) {
		if offset != each {
			t.Errorf("%s: committed %d of %d", tp, offset, each)
		}
	}
	if len(w.c.lanes.byKey) != 0 || len(w.c.lanes.owners) != 0 || w.c.lanes.running != 0 {
		t.Errorf("left over: %d lanes, %d owners, %d running", len(w.c.lanes.byKey), len(w.c.lanes.owners), w.c.lanes.running)
	}
}
