package consumer

import (
	"context"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// keeping is a Writer that keeps what it is given.
type keeping struct{ records []kafka.Record }

func (k *keeping) Write(_ context.Context, records ...kafka.Record) error {
	k.records = append(k.records, records...)
	return nil
}

func TestReadWaitingReadsWhatADelayerWrote(t *testing.T) {
	var kept keeping
	d := NewDelayer(&kept, Topics{DelayPrefix: "delay."}, Delays{time.Minute})
	began := time.Now()
	if err := d.Write(t.Context(), Delayed{Key: []byte("k"), Value: []byte("v"), After: time.Minute, Cause: CauseFollowUp, FollowUp: 7}); err != nil {
		t.Fatal(err)
	}
	kept.records[0].Offset = 5
	w, err := ReadWaiting(kept.records[0], time.Minute)
	if err != nil || w.Place != "delay.1m/0/5" || w.Cause != CauseFollowUp || w.FollowUp != 7 || w.Origin != "" || w.FirstSeen.Before(began.Add(-time.Second)) || w.Due.Before(began.Add(time.Minute)) {
		t.Errorf("%+v, %v", w, err)
	}
	parked := kafka.Record{Headers: []kafka.Header{{Key: headerPlace, Value: []byte("delay.1m/0/1")}}}
	if w, err := ReadWaiting(parked, time.Minute); err != nil || w.Place != "delay.1m/0/1" {
		t.Errorf("%+v, %v", w, err)
	}
	if _, err := ReadWaiting(kafka.Record{Headers: []kafka.Header{{Key: headerCause, Value: []byte("boredom")}}}, time.Minute); err == nil {
		t.Error("a cause that is none was read")
	}
}
