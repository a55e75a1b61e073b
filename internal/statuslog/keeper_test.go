package statuslog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// A merchant that was never served starts at once, with sequences from 1, and is known from then on.
func TestNewMerchantStartsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "S1", "S2")
		defer h.start(h.keeper)()
		if took := h.open(h.keeper, "S1") + h.open(h.keeper, "S2"); took > time.Second {
			t.Errorf("open after %v", took)
		}
		if rec := h.live(request("S1", "r1", "o1", 100), refund.Succeeded); rec.Last.Sequence != 2 {
			t.Errorf("sequence %d", rec.Last.Sequence)
		}
		roll, err := h.keeper.Control.Read(t.Context())
		if err != nil || !roll.Whole || len(roll.Merchants) != 2 || roll.Merchants["S1"].Since.IsZero() {
			t.Errorf("%+v, %v", roll, err)
		}
		if len(h.topics.scans) != 0 {
			t.Errorf("the status topic was read %d times for new merchants", len(h.topics.scans))
		}
		if len(h.rebuilt) != 2 || !h.rebuilt[0].New || h.rebuilt[0].Epoch != 0 {
			t.Errorf("%+v", h.rebuilt)
		}
	})
}

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

// Many processes meet the loss at once: one rebuilds, the others wait for it.
func TestManyKeepers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		keepers := []*Keeper{h.keeper, h.another(), h.another()}
		for _, k := range keepers {
			defer h.start(k)()
		}
		h.open(h.keeper, "S1")
		h.live(request("S1", "r1", "o1", 1), refund.Succeeded)
		h.store.Wipe()
		for _, k := range keepers {
			h.open(k, "S1")
		}
		if len(h.topics.scans) != 1 || len(h.rebuilt) != 2 {
			t.Errorf("%d scans, rebuilt %+v", len(h.topics.scans), h.rebuilt)
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

// A store that is away for longer than the lock lives voids the rebuild: it begins again, with its quiet time.
func TestLockLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		h.live(request("S1", "r1", "o1", 1), refund.NoCall)
		h.store.Wipe()
		h.keeper.Wake()
		time.Sleep(time.Second)
		h.store.BreakLock("S1") // as a failover does
		h.open(h.keeper, "S1")
		if len(h.failed) == 0 || !errors.Is(h.failed[0], errLockLost) && !strings.Contains(h.failed[0].Error(), "rebuil") {
			t.Errorf("failed %v", h.failed)
		}
		if rec := h.load(request("S1", "r1", "o1", 1)); rec.Last.Status != refund.StatusPending {
			t.Errorf("%q", rec.Last.Status)
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

// A loss that another process has mended by the time that we have the lock is none.
func TestMendedBeforeTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		stop := h.start(h.keeper)
		h.open(h.keeper, "S1")
		stop()
		j, err := h.keeper.begin(t.Context(), "S1")
		if j != nil || err != nil {
			t.Errorf("%+v, %v", j, err)
		}
		if _, err := h.store.Lock(t.Context(), "S1", time.Second); err != nil {
			t.Errorf("the lock was kept: %v", err)
		}
	})
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

// A server that must not be relied on is not: its merchants stay closed until somebody has changed that, and the log says so.
func TestAServerThatIsNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "S1", "S2")
		fit := &unfit{Index: h.store, err: errors.New("maxmemory-policy must be noeviction")}
		h.keeper.Index = fit
		stop := h.start(h.keeper)
		time.Sleep(time.Second)
		if n := strings.Count(h.log.String(), "somebody has to change that"); n != 1 {
			t.Errorf("said %d times for two merchants: %s", n, h.log.String())
		}
		if _, err := h.store.Epoch(t.Context(), "S1"); err == nil {
			t.Error("it is served")
		}
		stop()
		if len(h.failed) != 2 {
			t.Errorf("failed %v", h.failed)
		}
		fit.err = nil
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
	})
}

// unfit is a store at a server with settings that lose money.
type unfit struct {
	Index
	err error
}

func (u *unfit) Lock(ctx context.Context, merchant string, ttl time.Duration) (string, error) {
	if u.err != nil {
		return "", u.err
	}
	return u.Index.Lock(ctx, merchant, ttl)
}

// A stop in the quiet time ends everything and gives the lock back.
func TestStopInTheQuietTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		stop := h.start(h.keeper)
		h.open(h.keeper, "S1")
		h.live(request("S1", "r1", "o1", 1), refund.Succeeded)
		h.store.Wipe()
		time.Sleep(10 * time.Second)
		stop()
		if token, err := h.store.Lock(t.Context(), "S1", time.Second); err != nil {
			t.Errorf("the lock was kept: %v", err)
		} else if err := h.store.Unlock(t.Context(), "S1", token); err != nil {
			t.Error(err)
		}
		if len(h.failed) != 0 {
			t.Errorf("a stop is no failure: %v", h.failed)
		}
	})
}

func TestEnsureKnowsItsMerchants(t *testing.T) {
	h := newHouse(t)
	if err := h.keeper.Ensure(t.Context(), "nobody"); err == nil {
		t.Error("no error")
	}
}

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

func TestOffsets(t *testing.T) {
	note := writeOffsets([]kafka.Span{{Partition: 0, End: 7}, {Partition: 11, End: 1 << 40}})
	if got, ok := readOffsets(note); !ok || len(got) != 2 || got[0] != 7 || got[11] != 1<<40 {
		t.Errorf("%q: %v", note, got)
	}
	for _, bad := range []string{"", "x", "0", "0:", ":1", "0:-1", "-1:0", "0:1 x"} {
		if _, ok := readOffsets(bad); ok {
			t.Errorf("%q was read", bad)
		}
	}
	least := earliest([]map[int]int64{{0: 5, 1: 9, 2: 1}, {0: 7, 1: 3}})
	if len(least) != 2 || least[0] != 5 || least[1] != 3 {
		t.Errorf("%v: a partition that one has no note of is read from its first record", least)
	}
}
