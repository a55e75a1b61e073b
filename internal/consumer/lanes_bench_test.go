package consumer

import (
	"runtime"
	"strconv"
	"testing"
	"time"
)

// BenchmarkLanes is the cost of a place to run for one of a backlog, each of its own order, in turns among 20 merchants.
// The work uses as much stack as a gateway's call does.
func BenchmarkLanes(b *testing.B) {
	l, t := newLanes(512, nil), newTracker(0, newWindow(1, 512))
	shares := make([]string, 20)
	for i := range shares {
		shares[i] = "merchant" + strconv.Itoa(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for room := t.room(); room != nil; room = t.room() {
			<-room
		}
		p := t.add(int64(i), 1000, time.Time{})
		l.add(Lane{Name: strconv.Itoa(i), Share: shares[i%len(shares)]}, &task{owner: b, step: func(time.Duration) (bool, time.Duration) {
			deep(8)
			t.done(p)
			return true, 0
		}})
	}
	<-l.drop(b)
}

// deep uses a kilobyte of stack for each level.
func deep(levels int) byte {
	var kilobyte [1 << 10]byte
	if levels > 0 {
		kilobyte[levels] = deep(levels - 1)
	} else {
		runtime.Gosched()
	}
	return kilobyte[levels]
}

// BenchmarkWatermark is the cost of an offset in a full window, done in another order than that of its arrival.
func BenchmarkWatermark(b *testing.B) {
	const open = 512
	t := newTracker(0, newWindow(1, open))
	var places [open]*place
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if p := places[i*7%open]; p != nil {
			t.done(p)
		}
		places[i*7%open] = t.add(int64(i), 1000, time.Time{})
		t.watermark()
	}
}
