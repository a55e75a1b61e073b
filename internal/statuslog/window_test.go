package statuslog

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// More events than the window holds: an older one never wins, wherever it stands, and whoever ended far behind where it
// began is owed nothing.
func TestMoreThanAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		rec := h.live(request("S1", "r1", "o1", 1), refund.Succeeded)
		older := rec
		older.Last.Sequence, older.Last.Status = 1, refund.StatusPending
		put := func(rec refund.Record) {
			t.Helper()
			if err := h.topics.Write(t.Context(), statusRecord(rec)); err != nil {
				t.Fatal(err)
			}
		}
		far := older
		far.Request = request("S1", "far", "far", 1)
		put(far)
		for i := range 2*halfWindow + 10 {
			other := older
			other.Request = request("S1", fmt.Sprint("x", i), fmt.Sprint("x", i), 1)
			put(other)
		}
		put(older)
		far.Last.Sequence, far.Last.Status = 2, refund.StatusSucceeded
		put(far)
		h.store.Wipe()
		h.open(h.keeper, "S1")
		for _, ended := range []refund.Request{rec.Request, far.Request} {
			if now := h.load(ended); now.Last.Status != refund.StatusSucceeded {
				t.Errorf("%s: %q", ended.Key, now.Last.Status)
			}
		}
		if h.chains.count() != 2*halfWindow+10 || h.chains.left["S1/x0"] == 0 {
			t.Errorf("%d follow-ups", h.chains.count())
		}
	})
}

// What has been read first is also noted first: whoever ended meanwhile is owed nothing, however slow the store is.
func TestBatchesEndInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.keeper.Index = slow{h.keeper.Index}
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		rec := newRefund("S1", 0, time.Now())
		for i := range 3 * halfWindow { // r0's events are given out one after another
			other := newRefund("S1", i, time.Now())
			if i > 0 {
				other = ended(other)
			}
			if err := h.topics.Write(t.Context(), statusRecord(other)); err != nil {
				t.Fatal(err)
			}
			if i == 2*halfWindow {
				if err := h.topics.Write(t.Context(), statusRecord(ended(rec))); err != nil {
					t.Fatal(err)
				}
			}
		}
		h.store.Wipe()
		h.open(h.keeper, "S1")
		if now := h.load(rec.Request); now.Last.Status != refund.StatusSucceeded || h.chains.count() != 0 {
			t.Errorf("%s, %d follow-ups", now.Last.Status, h.chains.count())
		}
	})
}

// slow is a store whose answers about what is open take their time.
type slow struct{ Index }

func (s slow) Restore(ctx context.Context, merchant, token string, recs []refund.Record) ([]refund.Record, error) {
	open, err := s.Index.Restore(ctx, merchant, token, recs)
	if len(open) > 0 {
		time.Sleep(time.Second)
	}
	return open, err
}

// Of each refund the window gives out the newest event, once it was not heard of for a while, in order.
func TestWindow(t *testing.T) {
	w := newWindow()
	given := map[string][]int64{}
	take := func(events []event) {
		for _, e := range events {
			given[string(e.Key)] = append(given[string(e.Key)], e.sequence)
		}
	}
	add := func(key string, sequence int64) {
		take(w.add(event{kafka.Record{Key: []byte(key)}, sequence}))
	}
	for i := range 3*halfWindow - 5 {
		add(fmt.Sprint("k", i), 1)
		switch i {
		case 10, halfWindow + 10:
			add("k10", int64(i)+1) // the second takes it from the older half
			add("k10", int64(i))
		case halfWindow + 20:
			add("k20", 0) // older than what waits there
		case 3*halfWindow - 10:
			add("k30", 2) // given out before
		}
	}
	if len(given["k10"]) != 0 || len(given["k20"]) != 1 || len(given["k31"]) != 1 {
		t.Errorf("k10 %v, k20 %v, k31 %v", given["k10"], given["k20"], given["k31"])
	}
	take(w.take())
	take(w.take())
	if len(given) != 3*halfWindow-5 {
		t.Errorf("%d keys", len(given))
	}
	for key, sequences := range given {
		want := []int64{1}
		switch key {
		case "k10":
			want = []int64{halfWindow + 11}
		case "k30":
			want = []int64{1, 2}
		}
		if !slices.Equal(sequences, want) {
			t.Errorf("%s: %v, want %v", key, sequences, want)
		}
	}
}
