package statuslog

import (
	"bytes"
	"fmt"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// restore builds the record of a refund, and refuses one whose key names another.
func restore(r kafka.Record) (refund.Record, error) {
	rec, err := events.RestoreRecord(r.Value, events.As[events.Header](r.Headers))
	if err == nil && !bytes.Equal(r.Key, []byte(rec.Key().String())) {
		err = fmt.Errorf("the event is of %s", rec.Key())
	}
	if err != nil {
		return refund.Record{}, fmt.Errorf("statuslog: %s/%d/%d (key %q): %w", r.Topic, r.Partition, r.Offset, r.Key, err)
	}
	return rec, nil
}

// window holds the newest event of each refund that was read lately, so that the usual PENDING, SUCCEEDED is one step of
// the store and an ended refund costs no follow-up.
type window struct {
	newest map[refund.Key]refund.Record
}

func newWindow() *window { return &window{newest: map[refund.Key]refund.Record{}} }

// add reports that the window is full.
func (w *window) add(rec refund.Record) (full bool) {
	if held, there := w.newest[rec.Key()]; !there || held.Last.Sequence < rec.Last.Sequence {
		w.newest[rec.Key()] = rec
	}
	return len(w.newest) >= windowSize
}

// take empties it.
func (w *window) take() map[refund.Key]refund.Record {
	taken := w.newest
	w.newest = map[refund.Key]refund.Record{}
	return taken
}

// windowSize bounds the memory of a rebuild: about 2 KB a refund.
const windowSize = 20_000
