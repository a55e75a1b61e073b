package consumer

import "sync/atomic"

// How much may be under way. It bounds memory, and what a restart delivers again.
const (
	windowAll    = 4 << 10 // deliveries that are not done, of all partitions of the requests, and as many of the delay topics
	windowLeast  = 16      // of each partition, however many there are
	windowBytes  = 1 << 10 // of keys, values and headers, times either count
	windowOffset = 1 << 16 // offsets between the watermark and the newest delivery: done ones behind one that waits
)

// window is what partitions share: the deliveries of all of them that are not done. Half of an equal part is each
// partition's own, whatever the others hold, and for however long: with a gateway that is down they give nothing back.
// Beyond it a partition gets another one only while it holds less than what is free. So one alone can have half of the
// window, n at the same time a part of n+1 each.
type window struct {
	most, least  int64
	count, bytes atomic.Int64
}

// newWindow is for so many partitions of a consumer that may have so many deliveries in flight: one of them alone is
// enough for these.
func newWindow(partitions, inFlight int) *window {
	most := max(windowAll, 2*inFlight)
	return &window{most: int64(most), least: int64(max(windowLeast, most/(2*partitions)))}
}

// fits says whether one more delivery may be added by a partition that holds so many, of so many bytes. Others may add
// theirs at the same time: then there is one too many of each.
func (w *window) fits(count, bytes int) bool {
	return int64(count) < max(w.least, w.most-w.count.Load()) &&
		int64(bytes) < max(w.least*windowBytes, w.most*windowBytes-w.bytes.Load())
}

// add takes deliveries of so many bytes; below zero it gives them back.
func (w *window) add(count, bytes int) {
	w.count.Add(int64(count))
	w.bytes.Add(int64(bytes))
}
