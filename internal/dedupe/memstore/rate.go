package memstore

import "time"

// placeKept is how long a place in the queue is kept past its time, and at most a
// minute of places more.
const placeKept = 12 * time.Hour

// rate is a merchant's rate over all workers, in microseconds: lua/rate.lua.
type rate struct {
	tat      int64 // theoretical arrival time
	tail     int64 // the last place that was given to a refund
	asks     int64 // the last time that was named to a query
	interval int64 // between two calls
}

func (r rate) freeAt() int64 { return r.tat - (1_000_000 - r.interval) }

func (t *step) rate(perSecond int) rate {
	r := t.m.rate
	r.interval = max(1, 1_000_000/int64(perSecond))
	return r
}

func (t *step) countCall(r rate) {
	r.tat = max(t.now, r.tat) + r.interval
	change(t, &t.m.rate, r)
}

// waitForCall is how long a call must wait, in microseconds; 0: not at all. One
// that must wait has a place in the queue afterwards.
func (t *step) waitForCall(r rate, refundNo string) int64 {
	free := r.freeAt()
	if place, ok := t.m.queue[refundNo]; ok {
		if place > t.now {
			return place - t.now
		}
		if free <= t.now {
			return 0
		}
		before := int64(0)
		for no, other := range t.m.queue {
			if other < place || other == place && no < refundNo {
				before++
			}
		}
		return free - t.now + before*r.interval
	}
	if free <= t.now && r.tail <= t.now {
		return 0
	}
	place := max(r.tail+r.interval, free)
	if minute := time.Minute.Microseconds(); place/minute != r.tail/minute {
		for no, other := range t.m.queue {
			if other < t.now-placeKept.Microseconds() {
				remove(t, t.m.queue, no)
			}
		}
	}
	r.tail = place
	change(t, &t.m.rate, r)
	put(t, t.m.queue, refundNo, r.tail)
	return r.tail - t.now
}

// waitForQuery is the same for a query, which takes no place; where it may go, r
// is what countCall is to count it on.
func (t *step) waitForQuery(r *rate) int64 {
	if free := r.freeAt(); free > t.now {
		r.asks = max(r.asks+r.interval, free)
		change(t, &t.m.rate, *r)
		return r.asks - t.now
	}
	if r.tail > t.now {
		r.tail += r.interval
	}
	return 0
}
