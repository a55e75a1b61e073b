package statuslog

// window holds the newest event of each refund that was read lately, so that the usual PENDING, SUCCEEDED is one step of
// the store. It has two halves: what was not heard of again while the younger one filled is given out.
type window struct{ young, old *half }

type half struct {
	events []event
	at     map[string]int // key -> place in events
}

func newHalf() *half {
	return &half{events: make([]event, 0, halfWindow), at: make(map[string]int, halfWindow)}
}

func newWindow() *window { return &window{young: newHalf(), old: newHalf()} }

// halfWindow bounds the memory of a rebuild: about 2 KB an event, in two halves and a third that is being applied.
const halfWindow = 4096

// add takes an event in, and answers those that are ready to be applied, most often none. Of several with one sequence,
// which are the same, the last one counts.
func (w *window) add(e event) (ready []event) {
	key := string(e.Key)
	if i, there := w.young.at[key]; there {
		if w.young.events[i].sequence <= e.sequence {
			w.young.events[i] = e
		}
		return nil
	}
	if i, there := w.old.at[key]; there && w.old.events[i].sequence > e.sequence {
		return nil
	}
	w.old.drop(key)
	w.young.at[key] = len(w.young.events)
	w.young.events = append(w.young.events, e)
	if len(w.young.events) < halfWindow {
		return nil
	}
	ready = w.old.rest()
	w.young, w.old = newHalf(), w.young
	return ready
}

// take empties the window.
func (w *window) take() []event {
	all := append(w.old.rest(), w.young.rest()...)
	w.young, w.old = newHalf(), newHalf()
	return all
}

// drop takes an event out that a newer one has taken the place of.
func (h *half) drop(key string) {
	if i, there := h.at[key]; there {
		h.events[i] = event{}
		delete(h.at, key)
	}
}

// rest is what was not dropped, in the order in which it was first heard of.
func (h *half) rest() []event {
	rest := h.events[:0]
	for _, e := range h.events {
		if e.Key != nil {
			rest = append(rest, e)
		}
	}
	return rest
}
