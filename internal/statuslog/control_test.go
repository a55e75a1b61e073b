package statuslog

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// A control topic that knows nobody beside a status topic that holds events is not believed.
func TestControlTopicLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		h.live(request("S1", "r1", "o1", 1), refund.Succeeded)
		h.store.Wipe()
		h.topics.set(func(tp *topics) { tp.records[controlTopic] = nil })
		if took := h.open(h.keeper, "S1"); took < quiet {
			t.Errorf("taken for new after %v", took)
		}
		if c := h.claim(request("S1", "r1", "o1", 1), "t"); c.Answer != refund.Finished {
			t.Errorf("a paid refund: %d", c.Answer)
		}
	})
}

// A control topic that was lost says nothing until the status topic has been read, whatever is written to it meanwhile: not
// a hold, nor the first merchant that is rebuilt, makes the next one new. Then it knows everybody again.
func TestControlTopicThatWasLostIsMadeWhole(t *testing.T) {
	for _, together := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, "S1", "S2", "idle")
			stop := h.start(h.keeper)
			for _, merchant := range h.keeper.Merchants {
				h.open(h.keeper, merchant)
			}
			paid := request("S2", "paid", "o1", 600)
			h.live(paid, refund.Succeeded)
			h.topics.set(func(tp *topics) { delete(tp.records, controlTopic) })
			if err := h.keeper.Control.Hold(t.Context(), Hold{Merchant: "S1"}); err != nil {
				t.Fatal(err)
			}
			h.store.Wipe()
			if _, err := h.store.Begin(t.Context(), "idle", 0); err != nil { // its shard was not lost; it has no event yet
				t.Fatal(err)
			}
			if !together { // another process has begun with S2, and is killed
				if _, err := h.store.Lock(t.Context(), "S2", 5*time.Minute); err != nil {
					t.Fatal(err)
				}
			}
			h.open(h.keeper, "S1")
			h.open(h.keeper, "S2")
			if c := h.claim(paid, "t"); c.Answer != refund.Finished {
				t.Errorf("together %t, a paid refund: %d", together, c.Answer)
			}
			h.live(request("idle", "r1", "o1", 100), refund.NoCall)
			stop()

			h.store.Wipe()
			late := h.another("idle", "new")
			defer h.start(late)()
			if took := h.open(late, "new"); took > time.Second {
				t.Errorf("a new merchant is open after %v", took)
			}
			h.open(late, "idle")
			if c := h.claim(request("idle", "r1", "o1", 100), "t"); c.Answer != refund.InDoubt {
				t.Errorf("it may have been called: %d", c.Answer)
			}
		})
	}
}

// Where the control topic cannot be read or written, nobody opens.
func TestControlTopicAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.topics.writing = errors.New("no leader")
		defer h.start(h.keeper)()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := h.keeper.Ensure(ctx, "S1"); err == nil {
			t.Fatal("open without a word on the control topic")
		}
		h.topics.set(func(tp *topics) { tp.writing = nil })
		h.open(h.keeper, "S1")
	})
}

// Whatever is said of a merchant on the control topic makes it known.
func TestControlOfOthers(t *testing.T) {
	tp := newTopics()
	c := &Control{Reader: tp, Writer: tp, Topic: controlTopic}
	for _, key := range []string{"hold/S1", "S2", "known/S3"} {
		if err := tp.Write(t.Context(), kafka.Record{Topic: controlTopic, Key: []byte(key)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, epoch := range []int64{3, 7, 5} {
		if err := c.Write(t.Context(), Known{Merchant: "S4", Epoch: epoch}); err != nil {
			t.Fatal(err)
		}
	}
	roll, err := c.Read(t.Context())
	if err != nil || roll.Whole || len(roll.Merchants) != 4 || roll.Merchants["S4"].Epoch != 7 {
		t.Errorf("%+v, %v", roll, err)
	}
}

// What cannot be read is not read as nothing; whoever writes its key again has mended it.
func TestControlThatCannotBeRead(t *testing.T) {
	tp := newTopics()
	c := &Control{Reader: tp, Writer: tp, Topic: controlTopic}
	for key, value := range map[string]string{"known/S5": "{", "known/S6": `{"merchant":"S7","epoch":9}`} {
		if err := tp.Write(t.Context(), kafka.Record{Topic: controlTopic, Key: []byte(key), Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "write its key known/S5 again") || !strings.Contains(err.Error(), "known/S6") {
		t.Errorf("both: %v", err)
	}
	if err := c.Write(t.Context(), Known{Merchant: "S5", Epoch: 4}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(t.Context()); err == nil || strings.Contains(err.Error(), "S5") || !strings.Contains(err.Error(), "known/S6") {
		t.Errorf("the other: %v", err)
	}
	if err := c.Write(t.Context(), Known{Merchant: "S6", Epoch: 5}); err != nil {
		t.Fatal(err)
	}
	roll, err := c.Read(t.Context())
	if err != nil || len(roll.Merchants) != 2 || roll.Merchants["S5"].Epoch != 4 || roll.Merchants["S6"].Epoch != 5 {
		t.Errorf("%+v, %v", roll, err)
	}
}
