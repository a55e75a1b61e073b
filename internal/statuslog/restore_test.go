package statuslog

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// An event that cannot be read keeps its own merchant closed, with the reason, and nobody else's.
func TestUnreadableEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "S1", "S2")
		defer h.start(h.keeper)()
		for _, name := range []string{"S1", "S2"} {
			h.open(h.keeper, name)
			h.live(request(name, "r1", "o1", 1), refund.Succeeded)
		}
		newer := statusRecord(h.load(request("S1", "r1", "o1", 1)))
		for i := range newer.Headers {
			if newer.Headers[i].Key == "refund-v" {
				newer.Headers[i].Value = []byte("2")
			}
		}
		foreign := kafka.Record{Topic: statusTopic, Key: []byte("no refund's"), Value: []byte("{}")}
		deleted := kafka.Record{Topic: statusTopic, Key: []byte("S2/r1")}
		if err := h.topics.Write(t.Context(), newer, foreign, deleted); err != nil {
			t.Fatal(err)
		}
		h.store.Wipe()
		h.open(h.keeper, "S2")
		if rec := h.load(request("S2", "r1", "o1", 1)); rec.Last.Status != refund.StatusSucceeded {
			t.Errorf("a deletion on the topic took a refund back: %q", rec.Last.Status)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if err := h.keeper.Ensure(ctx, "S1"); err == nil {
			t.Fatal("open although a refund cannot be restored")
		}
		if !strings.Contains(h.log.String(), "newer version") {
			t.Errorf("the log does not say why: %s", h.log.String())
		}
	})
}

// An event under another refund's key is refused.
func TestEventUnderAnotherKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		record := statusRecord(h.live(request("S1", "r1", "o1", 1), refund.Succeeded))
		record.Key = []byte("S1/r2")
		if _, err := restore(record); err == nil || !strings.Contains(err.Error(), "S1/r1") {
			t.Errorf("%v", err)
		}
	})
}

// What cannot be told apart without reading it all is refused, as is an id that lies.
func TestGlance(t *testing.T) {
	good := statusRecord(newRefund("S1", 1, time.Now()))
	e, err := glance(good)
	if err != nil || e.sequence != 1 {
		t.Fatal(e.sequence, err)
	}
	if _, err := e.decode(); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"S1/r/2": "its sequence is 1", "S1/r/": "does not end in a sequence", "x": "does not end in a sequence"} {
		bad := good
		bad.Headers = slices.Clone(good.Headers)
		for i := range bad.Headers {
			if bad.Headers[i].Key == "ce_id" {
				bad.Headers[i].Value = []byte(id)
			}
		}
		e, err := glance(bad)
		if err == nil {
			_, err = e.decode()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", id, err)
		}
	}
	good.Headers = nil
	if _, err := glance(good); err == nil || !strings.Contains(err.Error(), "no header ce_id") {
		t.Errorf("%v", err)
	}
}
