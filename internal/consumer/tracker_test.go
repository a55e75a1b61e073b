package consumer

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the order in which deliveries end, and whatever gaps the offsets have: the watermark never passes one that is
// not done, never goes back, and reaches the end when all are done.
func TestWatermark(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 100).Draw(t, "start")
		tr := newTracker(start, newWindow(1, 512))
		next, open, last := start, map[int64]*place{}, start
		check := func() {
			mark, known := tr.watermark()
			if !known || mark < last {
				t.Fatalf("watermark %d after %d", mark, last)
			}
			for offset := range open {
				if mark > offset {
					t.Fatalf("watermark %d passes %d, which is not done", mark, offset)
				}
			}
			if len(open) == 0 && mark != next {
				t.Fatalf("all done: watermark %d, read up to %d", mark, next)
			}
			last = mark
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				offset := next + rapid.Int64Range(0, 3).Draw(t, "gap")
				open[offset] = tr.add(offset, 1, time.Time{})
				next = offset + 1
			},
			"gap at the end": func(t *rapid.T) {
				next += rapid.Int64Range(0, 3).Draw(t, "gap")
				tr.read(next)
			},
			"done": func(t *rapid.T) {
				for offset, p := range open { // any
					tr.done(p)
					tr.done(p) // twice is once
					delete(open, offset)
					return
				}
				t.Skip("nothing is open")
			},
			"": func(*rapid.T) { check() },
		})
	})
}

func TestWatermarkIsUnknownBeforeTheFirstOffsetIs(t *testing.T) {
	tr := newTracker(-2, newWindow(1, 512))
	if mark, known := tr.watermark(); known {
		t.Fatalf("watermark %d", mark)
	}
	tr.read(0)
	if mark, known := tr.watermark(); !known || mark != 0 {
		t.Fatalf("watermark %d %v", mark, known)
	}
}

func TestWindowIsBoundedByCountBytesAndPlaces(t *testing.T) {
	const alone = windowAll / 2
	for name, one := range map[string]struct {
		size  int
		done  func(i int) bool
		limit int
	}{
		"count":  {1, func(int) bool { return false }, alone},
		"bytes":  {alone * windowBytes / 4, func(int) bool { return false }, 4},
		"places": {1, func(i int) bool { return i > 0 }, windowOffset},
	} {
		tr := newTracker(0, newWindow(1, 512))
		n := 0
		var first *place
		for ; tr.room() == nil && n <= one.limit; n++ {
			p := tr.add(int64(n), one.size, time.Time{})
			if n == 0 {
				first = p
			}
			if one.done(n) {
				tr.done(p)
			}
		}
		if n != one.limit {
			t.Errorf("%s: %d fit, want %d", name, n, one.limit)
		}
		room := tr.room()
		tr.done(first)
		select {
		case <-room:
		default:
			t.Errorf("%s: nobody was told of the room", name)
		}
		if tr.room() != nil {
			t.Errorf("%s: no room after the first is done", name)
		}
	}
}
