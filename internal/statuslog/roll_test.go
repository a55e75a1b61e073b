package statuslog

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// loseOnly S1's shard: the other merchants stay open. (None of theirs that the store knew is needed below.)
func (h *house) loseOnly(open ...string) {
	h.t.Helper()
	h.store.Wipe()
	for _, merchant := range open {
		if _, err := h.store.Begin(h.t.Context(), merchant, 0); err != nil {
			h.t.Fatal(err)
		}
	}
}

// The control topic is lost; S2 is on it again by an operator's hold alone when the roll is made whole, so it is not written
// as served. The hold is released, the topic compacted (the tombstone goes after delete.retention.ms). Wiped: S2 is "new".
func TestAHoldAloneDoesNotLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "S1", "S2")
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		h.open(h.keeper, "S2")
		paid := request("S2", "paid", "o1", 600)
		h.live(paid, refund.Succeeded)
		h.topics.set(func(tp *topics) { delete(tp.records, controlTopic) })
		if err := h.keeper.Control.Hold(t.Context(), Hold{Merchant: "S2"}); err != nil {
			t.Fatal(err)
		}
		h.loseOnly("S2") // refundctl rebuild S1, or its shard was lost
		h.keeper.Wake()
		time.Sleep(2 * quiet)
		h.open(h.keeper, "S1")
		if roll, err := h.keeper.Control.Read(t.Context()); err != nil || !roll.Whole {
			t.Fatalf("not whole: %+v %v", roll, err)
		}
		if err := h.keeper.Control.Release(t.Context(), "S2"); err != nil {
			t.Fatal(err)
		}
		h.topics.set(func(tp *topics) { tp.records[controlTopic] = compacted(tp.records[controlTopic]) })
		h.store.Wipe()
		h.keeper.Wake()
		h.open(h.keeper, "S2")
		if c := h.claim(paid, "t"); c.Answer != refund.Finished {
			t.Errorf("a paid refund may be called again: answer %d, sequence %d", c.Answer, c.Record.Last.Sequence)
		}
	})
}

// compacted is what log compaction leaves once tombstones are older than delete.retention.ms.
func compacted(records []kafka.Record) []kafka.Record {
	var kept []kafka.Record
	for i, r := range records {
		last := !slices.ContainsFunc(records[i+1:], func(o kafka.Record) bool { return bytes.Equal(o.Key, r.Key) })
		if last && r.Value != nil {
			kept = append(kept, r)
		}
	}
	return kept
}

// S2 is open, has no event yet, and is not in the configuration of the process that makes the lost roll whole (added to or
// taken from the configuration of one process before the other). Then it is served; then Redis is wiped: S2 is "new".
func TestWhoIsOpenIsPutOnTheRoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "S1", "S2")
		stop := h.start(h.keeper)
		h.open(h.keeper, "S1")
		h.open(h.keeper, "S2")
		h.live(request("S1", "r1", "o1", 100), refund.Succeeded)
		stop()
		h.topics.set(func(tp *topics) { delete(tp.records, controlTopic) })

		without := h.another("S1") // S2 was taken from the configuration
		stop = h.start(without)
		h.loseOnly("S2") // its shard was lost, or refundctl rebuild S1
		without.Wake()
		time.Sleep(2 * quiet)
		h.open(without, "S1")
		stop()

		again := h.another("S1", "S2") // and added again
		defer h.start(again)()
		h.open(again, "S2")
		paid := request("S2", "paid", "o1", 600)
		h.live(paid, refund.Succeeded)
		h.store.Wipe()
		again.Wake()
		h.open(again, "S2")
		if c := h.claim(paid, "t"); c.Answer != refund.Finished {
			t.Errorf("a paid refund may be called again: answer %d, sequence %d", c.Answer, c.Record.Last.Sequence)
		}
	})
}

// shards is a cluster: S1 lies on a shard of its own.
type shards struct{ first, rest Index }

func (s shards) of(m string) Index {
	if m == "S1" {
		return s.first
	}
	return s.rest
}
func (s shards) Epoch(ctx context.Context, m string) (int64, error) { return s.of(m).Epoch(ctx, m) }
func (s shards) Restore(ctx context.Context, m, token string, recs []refund.Record) ([]refund.Record, error) {
	return s.of(m).Restore(ctx, m, token, recs)
}
func (s shards) Finish(ctx context.Context, m, token string, epoch int64) (int64, error) {
	return s.of(m).Finish(ctx, m, token, epoch)
}
func (s shards) Lock(ctx context.Context, m string, ttl time.Duration) (string, error) {
	return s.of(m).Lock(ctx, m, ttl)
}
func (s shards) Refresh(ctx context.Context, m, token string, ttl time.Duration) error {
	return s.of(m).Refresh(ctx, m, token, ttl)
}
func (s shards) Unlock(ctx context.Context, m, token string) error {
	return s.of(m).Unlock(ctx, m, token)
}
func (s shards) Note(ctx context.Context, m, offsets string) error {
	return s.of(m).Note(ctx, m, offsets)
}
func (s shards) Noted(ctx context.Context, m string) (string, error) { return s.of(m).Noted(ctx, m) }

// S2 is open, and has its first event while S1 is rebuilt, after the scan's end was taken; then its shard is wiped before the
// roll is made whole: closed, and without an event as far as the scan tells, so it is left out, and "new" from then on.
func TestServedDuringTheScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "S1", "S2")
		other := newHouse(t)
		h.keeper.Index = shards{other.store, h.store}
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		h.open(h.keeper, "S2")
		other.topics = h.topics
		other.live(request("S1", "r1", "o1", 100), refund.Succeeded)
		h.topics.set(func(tp *topics) { delete(tp.records, controlTopic) })
		paid := request("S2", "paid", "o1", 600)
		once := false
		h.topics.set(func(tp *topics) {
			tp.during = func() {
				if !once {
					once = true
					h.live(paid, refund.Succeeded) // S2 is open all the while
					h.store.Wipe()                 // ... until its shard goes as well
				}
			}
		})
		other.store.Wipe() // S1's shard
		h.keeper.Wake()
		time.Sleep(2 * quiet)
		h.open(h.keeper, "S2")
		if c := h.claim(paid, "t"); c.Answer != refund.Finished {
			t.Errorf("a paid refund may be called again: answer %d, sequence %d", c.Answer, c.Record.Last.Sequence)
		}
	})
}
