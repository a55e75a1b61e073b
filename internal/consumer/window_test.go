package consumer

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/kafka"
)

// Whatever partitions take and give back, in whatever order: together they hold no more than the window and what each may
// have anyhow, and none that holds less than that is ever kept waiting.
func TestPartitionsShareAWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions := make([]*held, rapid.IntRange(1, 100).Draw(t, "partitions"))
		shared := newWindow(len(partitions), rapid.IntRange(1, 4000).Draw(t, "in flight"))
		size := rapid.SampledFrom([]int{1, windowBytes, 10 * windowBytes}).Draw(t, "size")
		for i := range partitions {
			partitions[i] = newHeld(shared)
		}
		which := rapid.SampledFrom(partitions)
		t.Repeat(map[string]func(*rapid.T){
			"one takes what it gets": func(t *rapid.T) { which.Draw(t, "partition").takeAll(size) },
			"all take in turns":      func(*rapid.T) { inTurns(partitions, size) },
			"one gives back": func(t *rapid.T) {
				p := which.Draw(t, "partition")
				p.giveBack(rapid.IntRange(0, len(p.open)).Draw(t, "so many"))
			},
			"": func(t *rapid.T) {
				count, bytes := 0, 0
				for _, p := range partitions {
					count, bytes = count+p.tracker.count, bytes+p.tracker.bytes
					if int64(p.tracker.count) < shared.least && int64(p.tracker.bytes) < shared.least*windowBytes && p.tracker.room() != nil {
						t.Fatalf("one that holds %d waits", p.tracker.count)
					}
				}
				most := int(shared.most) + len(partitions)*int(shared.least)
				if count > most || bytes > most*windowBytes+len(partitions)*size {
					t.Fatalf("%d deliveries of %d bytes are held by %d partitions, with a window of %d", count, bytes, len(partitions), shared.most)
				}
				if int64(count) != shared.count.Load() || int64(bytes) != shared.bytes.Load() {
					t.Fatalf("%d deliveries of %d bytes are held, the window has counted %d of %d", count, bytes, shared.count.Load(), shared.bytes.Load())
				}
			},
		})
	})
}

// However many partitions take all that they can get: in turns each has the same, one after another each has half of that
// at least, and all together have enough for what may be in flight.
func TestPartsOfAWindow(t *testing.T) {
	for _, one := range []struct{ partitions, inFlight, each int }{
		{1, 512, 2048}, {8, 512, 455}, {64, 512, 63}, {1000, 512, windowLeast}, {8, 2000, 455}, {1, 10_000, 10_000}, {12, 10_000, 1538},
	} {
		some := func() (all []*held) {
			shared := newWindow(one.partitions, one.inFlight)
			for range one.partitions {
				all = append(all, newHeld(shared))
			}
			return all
		}
		all, total := some(), 0
		inTurns(all, 1)
		for i, p := range all {
			total += len(p.open)
			if got := len(p.open); got < one.each || got > one.each+1 {
				t.Fatalf("%+v, in turns: partition %d has %d", one, i, got)
			}
		}
		if total < one.inFlight {
			t.Errorf("%+v: all together have %d", one, total)
		}
		for i, p := range some() {
			p.takeAll(1)
			if got := len(p.open); got < one.each/2 {
				t.Fatalf("%+v, one after another: partition %d has %d", one, i, got)
			}
		}
	}
}

// Partitions whose gateway does not answer hold all that they can get, and for as long. Another one, which begins later,
// flows meanwhile, with what is its own at least.
func TestPartitionsThatHoldOnDelayNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const down, own = 30, windowAll / 2 / 31
		w := newWorld(t, nil, func(c *Config) { c.MaxInFlight = 512 })
		answered := make(chan struct{})
		w.c.handler = shared{most: 128, work: func(d Delivery) Verdict {
			if d.Partition < down {
				<-answered
			}
			time.Sleep(100 * time.Millisecond)
			return Done()
		}}
		account := func(name string, records []kafka.Record) []kafka.Record {
			for i := range records {
				records[i].Key = []byte(name)
				records[i].Value = fmt.Append(nil, name, i)
			}
			return records
		}
		for i := range down {
			w.put("requests", i, account("down", many(3000))...)
		}
		w.source("requests", down)
		stop := w.start()
		pass(time.Second)
		w.put("requests", down, account("other", many(30*own))...)
		pass(3*time.Second + roomLook)
		if got := w.count("done"); got != 30*own {
			t.Errorf("%d of %d are done", got, 30*own)
		}
		close(answered)
		stop()
	})
}

// held is a partition that holds deliveries.
type held struct {
	tracker *tracker
	next    int64
	open    []*place
}

func newHeld(shared *window) *held { return &held{tracker: newTracker(0, shared)} }

// take takes one more, where it fits.
func (h *held) take(size int) bool {
	if h.tracker.room() != nil {
		return false
	}
	h.open = append(h.open, h.tracker.add(h.next, size, time.Time{}))
	h.next++
	return true
}

func (h *held) takeAll(size int) {
	for h.take(size) {
	}
}

func (h *held) giveBack(n int) {
	for _, p := range h.open[:n] {
		h.tracker.done(p)
	}
	h.open = h.open[n:]
}

// inTurns has all take what they can get, one at a time.
func inTurns(all []*held, size int) {
	for took := true; took; {
		took = false
		for _, h := range all {
			took = h.take(size) || took
		}
	}
}
