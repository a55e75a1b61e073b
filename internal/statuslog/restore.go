package statuslog

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// merchantOf is the merchant of a key of the status topic: merchant/refund_no.
func merchantOf(key []byte) ([]byte, bool) {
	merchant, no, ok := bytes.Cut(key, []byte("/"))
	return merchant, ok && len(merchant) > 0 && len(no) > 0
}

// restore builds the record of a refund, and refuses one whose key names another.
func restore(r kafka.Record) (refund.Record, error) {
	rec, err := events.RestoreRecord(r.Value, events.As[events.Header](r.Headers))
	if err == nil && !bytes.Equal(r.Key, []byte(rec.Key().String())) {
		err = fmt.Errorf("the event is of %s", rec.Key())
	}
	if err != nil {
		return refund.Record{}, unreadable(r, err)
	}
	return rec, nil
}

func unreadable(r kafka.Record, err error) error {
	return fmt.Errorf("statuslog: %s/%d/%d (key %q): %w", r.Topic, r.Partition, r.Offset, r.Key, err)
}

// event is a record of the status topic of which no more is known yet than where it stands among those of its refund.
type event struct {
	kafka.Record
	sequence int64
}

// glance reads the sequence from the event's id, so that of many events of a refund one is decoded: the newest.
func glance(r kafka.Record) (event, error) {
	for _, h := range r.Headers {
		if h.Key != events.HeaderID {
			continue
		}
		sequence, err := strconv.ParseInt(string(h.Value[bytes.LastIndexByte(h.Value, '/')+1:]), 10, 64)
		if err != nil {
			return event{}, unreadable(r, fmt.Errorf("its id %q does not end in a sequence", h.Value))
		}
		return event{r, sequence}, nil
	}
	return event{}, unreadable(r, fmt.Errorf("it has no header %s: not an event of ours", events.HeaderID))
}

// decode is restore, and holds the event against what a glance told of it.
func (e event) decode() (refund.Record, error) {
	rec, err := restore(e.Record)
	if err == nil && rec.Last.Sequence != e.sequence {
		err = unreadable(e.Record, fmt.Errorf("its id ends in %d, its sequence is %d", e.sequence, rec.Last.Sequence))
	}
	return rec, err
}
