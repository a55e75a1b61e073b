package statuslog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// The whole of it: after a wipe nothing is claimed for the quiet time, then every refund is back as the topic has it, an
// order's sums are whole, sequences go on in the next block, what is open is in doubt and has a follow-up.
func TestWiped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		done, flying, failed, waiting := request("S1", "done", "o1", 400), request("S1", "flying", "o1", 500), request("S1", "failed", "o1", 50), request("S1", "waiting", "o2", 100)
		h.live(done, refund.Succeeded)
		h.live(failed, refund.Declined)
		h.live(flying, refund.NoCall) // its worker was killed in the call
		h.live(waiting, refund.NotSent)

		h.store.Wipe()
		if _, err := h.store.Claim(t.Context(), claimOf(request("S1", "more", "o1", 1), "early")); err == nil {
			t.Fatal("a claim beside a wipe")
		}
		h.keeper.Wake()
		if took := h.open(h.keeper, "S1"); took < quiet || took > quiet+3*time.Second {
			t.Errorf("open after %v, want the quiet time", took)
		}
		for _, want := range []struct {
			request refund.Request
			status  refund.Status
			holding refund.Holding
			doubt   bool
		}{
			{done, refund.StatusSucceeded, refund.HoldsSucceeded, false}, {failed, refund.StatusFailed, refund.HoldsNothing, false},
			{flying, refund.StatusPending, refund.HoldsReserved, false}, {waiting, refund.StatusWaiting, refund.HoldsReserved, true},
		} {
			if rec := h.load(want.request); rec.Last.Status != want.status || rec.Holding != want.holding || rec.Doubt != want.doubt || rec.Epoch != 1 {
				t.Errorf("%s: %s holds %s, doubt %v, epoch %d", want.request.Key, rec.Last.Status, rec.Holding, rec.Doubt, rec.Epoch)
			}
		}
		if len(h.chains.left) != 2 || h.chains.left["S1/flying"] != 1 || h.chains.left["S1/waiting"] != 1 {
			t.Errorf("follow-ups %v", h.chains.left)
		}
		if c := h.claim(request("S1", "more", "o1", 101), "t1"); c.Answer != refund.OverTotal {
			t.Errorf("900 of 1000 are held, and 101 more: %d", c.Answer)
		}
		if c := h.claim(request("S1", "fits", "o1", 100), "t2"); c.Answer != refund.Yours || c.Record.Last.Sequence != 1001 {
			t.Errorf("%d, sequence %d", c.Answer, c.Record.Last.Sequence)
		}
		if c := h.claim(flying, "t3"); c.Answer != refund.InDoubt {
			t.Errorf("a refund in flight is asked about first: %d", c.Answer)
		}
		if c := h.claim(done, "t4"); c.Answer != refund.Finished {
			t.Errorf("a paid refund: %d", c.Answer)
		}
		if r := h.rebuilt[1]; r != (Rebuilt{Merchant: "S1", Epoch: 1, Restored: 4, Open: 2}) {
			t.Errorf("%+v", r)
		}
		if !slices.Equal(h.busy, []int{1, 0, 1, 0}) || !slices.Equal(h.read, [][2]int64{{7, 7}}) {
			t.Errorf("told of %v merchants, and of %v records", h.busy, h.read)
		}
		if log := h.log.String(); !strings.Contains(log, `"read":7,"of":7,"restored":4,"open":2`) {
			t.Errorf("no progress is logged: %s", log)
		}
	})
}

// Wiped again and again, each epoch is above all before, also where no event was published in one.
func TestEpochsOnlyGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		h.live(request("S1", "r1", "o1", 1), refund.Succeeded)
		for want := int64(1); want < 5; want++ {
			h.store.Wipe()
			h.open(h.keeper, "S1")
			if epoch, err := h.store.Epoch(t.Context(), "S1"); epoch != want || err != nil {
				t.Fatalf("epoch %d, want %d (%v)", epoch, want, err)
			}
		}
	})
}

// A failover that lost the last writes: only what follows the note is read, and what it lost is back.
func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		for i := range 10 {
			h.live(request("S1", fmt.Sprint("before", i), "o1", 1), refund.Succeeded)
		}
		time.Sleep(6 * time.Second) // a look notes the twenty events
		writes := h.store.Writes()
		last := request("S1", "last", "o1", 100)
		h.live(last, refund.Succeeded)
		h.topics.scans = nil
		h.store.Failover(h.store.Writes() - writes)
		if _, err := h.store.Load(t.Context(), last.Key); err == nil {
			t.Fatal("a load beside a failover")
		}
		if took := h.open(h.keeper, "S1"); took < quiet {
			t.Errorf("open after %v", took)
		}
		if rec := h.load(last); rec.Last.Status != refund.StatusSucceeded {
			t.Errorf("lost by the failover: %q", rec.Last.Status)
		}
		if !slices.Equal(h.topics.scans, []int64{20}) {
			t.Errorf("the topic was read from %v, want the note's 20", h.topics.scans)
		}
		if rec := h.load(request("S1", "before0", "o1", 1)); rec.Last.Status != refund.StatusSucceeded {
			t.Errorf("kept by the failover: %q", rec.Last.Status)
		}
		if r := h.rebuilt[1]; r.Epoch != 1 || r.Restored != 1 {
			t.Errorf("%+v", r)
		}
	})
}

// A failover that lost the sentinel's raise: the control topic remembers the epoch.
func TestFailoverLosesTheEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		h.live(request("S1", "r1", "o1", 1), refund.Succeeded)
		before := h.store.Take()
		h.store.Wipe()
		h.open(h.keeper, "S1") // epoch 1
		h.store.Put(before)    // an old snapshot: epoch 0
		h.store.Failover(0)
		h.open(h.keeper, "S1")
		if epoch, _ := h.store.Epoch(t.Context(), "S1"); epoch != 2 {
			t.Errorf("epoch %d, want 2", epoch)
		}
	})
}

// One scan serves all merchants that need it.
func TestOneScanForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"S1", "S2", "S3"}
		h := newHouse(t, names...)
		defer h.start(h.keeper)()
		for _, name := range names {
			h.open(h.keeper, name)
			h.live(request(name, "r1", "o1", 1), refund.Succeeded)
		}
		h.store.Wipe()
		for _, name := range names {
			h.open(h.keeper, name)
			if rec := h.load(request(name, "r1", "o1", 1)); rec.Last.Status != refund.StatusSucceeded {
				t.Errorf("%s: %q", name, rec.Last.Status)
			}
		}
		if len(h.topics.scans) != 1 {
			t.Errorf("%d scans", len(h.topics.scans))
		}
	})
}

// A process that dies in a rebuild leaves the merchant closed; another begins again once its lock has run out.
func TestKilledInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		stop := h.start(h.keeper)
		h.open(h.keeper, "S1")
		h.live(request("S1", "r1", "o1", 1), refund.NoCall)
		h.store.Wipe()
		h.chains.fail(errors.New("no leader"))
		time.Sleep(quiet + 10*time.Second) // restored, its follow-up cannot be written
		if _, err := h.store.Epoch(t.Context(), "S1"); err == nil {
			t.Fatal("open although a follow-up is missing")
		}
		stop()
		h.chains.fail(nil)
		other := h.another()
		defer h.start(other)()
		h.open(other, "S1")
		if h.chains.count() != 1 {
			t.Errorf("follow-ups %v", h.chains.left)
		}
	})
}

// A topic that is away for a while, or a store, only delays.
func TestTroubleOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		h.live(request("S1", "r1", "o1", 1), refund.NoCall)
		h.store.Wipe()
		h.chains.fail(errors.New("no leader"))
		time.AfterFunc(quiet+20*time.Second, func() { h.chains.fail(nil) })
		time.AfterFunc(quiet+10*time.Second, func() { h.store.Down(&refund.Unavailable{Why: "gone"}) })
		time.AfterFunc(quiet+13*time.Second, func() { h.store.Down(nil) })
		h.open(h.keeper, "S1")
		if len(h.failed) != 0 || h.chains.count() != 1 {
			t.Errorf("failed %v, follow-ups %v", h.failed, h.chains.left)
		}
	})
}

// The server changes while the scan runs: nothing of that rebuild counts.
func TestWipedDuringTheScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		h.live(request("S1", "r1", "o1", 400), refund.Succeeded)
		h.live(request("S1", "r2", "o1", 400), refund.Succeeded)
		h.store.Wipe()
		wipes := 1
		h.topics.set(func(tp *topics) {
			tp.during = func() {
				if wipes > 0 {
					wipes--
					h.store.Wipe()
				}
			}
		})
		if took := h.open(h.keeper, "S1"); took < 2*quiet {
			t.Errorf("open after %v: the second wipe needs its own quiet time", took)
		}
		if c := h.claim(request("S1", "r3", "o1", 201), "t"); c.Answer != refund.OverTotal {
			t.Errorf("800 of 1000 are held, and 201 more: %d", c.Answer)
		}
	})
}

// The epochs on the status topic count too, where the control topic was lost with the store.
func TestEpochFromTheEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		h.live(request("S1", "r1", "o1", 1), refund.Succeeded)
		for range 2 {
			h.store.Wipe()
			h.open(h.keeper, "S1")
		}
		h.live(request("S1", "r2", "o1", 1), refund.Succeeded) // under epoch 2
		h.store.Wipe()
		h.topics.set(func(tp *topics) { tp.records[controlTopic] = nil })
		h.open(h.keeper, "S1")
		if epoch, _ := h.store.Epoch(t.Context(), "S1"); epoch != 3 {
			t.Errorf("epoch %d, want 3", epoch)
		}
	})
}

// A refund that failed long after it was begun does not hold its order in a rebuild, not even for a while: here its total was
// wrong, and the order has gone on with the right one.
func TestARefundThatEndsFarOnHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		wrong := request("S1", "wrong", "o1", 100)
		wrong.OrderAmount.Minor = 500
		begun := h.live(wrong, refund.NoCall)
		filler := h.live(request("S1", "filler", "o2", 1), refund.Succeeded)
		for i := range 3 * halfWindow {
			filler.Request.RefundNo, filler.Request.OrderNo = fmt.Sprint("filler", i), fmt.Sprint("filler", i)
			filler.Order = filler.Request.OrderNo
			if err := h.topics.Publish(t.Context(), filler); err != nil {
				t.Fatal(err)
			}
		}
		recorder := &refund.Recorder{Records: h.store, Publisher: h.topics, Fresh: 5 * time.Second}
		if _, err := recorder.Note(t.Context(), begun, refund.News{Source: refund.FromWorker, Token: begun.Token, Outcome: refund.Outcome{Class: refund.Declined}}, nil); err != nil {
			t.Fatal(err)
		}
		h.live(request("S1", "right", "o1", 600), refund.NoCall)
		h.store.Wipe()
		h.open(h.keeper, "S1")
		if c := h.claim(request("S1", "rest", "o1", 401), "t"); c.Answer != refund.OverTotal {
			t.Errorf("600 of 1000 are held, and 401 more: %d", c.Answer)
		}
		if c := h.claim(request("S1", "rest", "o1", 400), "t"); c.Answer != refund.Yours {
			t.Errorf("600 of 1000 are held, and 400 more: %d", c.Answer)
		}
		if c := h.claim(request("S1", "right", "o1", 600), "t"); c.Answer != refund.InDoubt {
			t.Errorf("it may have been called: %d", c.Answer)
		}
	})
}
