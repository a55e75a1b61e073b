package statuslog

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

// A store that nobody uses is seen to be away too, once a look; a merchant that is closed is no such thing.
func TestAStoreThatIsAwayIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "S1", "S2", "S3")
		store := &away{Index: h.store}
		h.keeper.Index = store
		told := 0
		h.keeper.Metrics.Trouble = func(step string, err error) {
			if step != "look" || err == nil {
				t.Errorf("%s: %v", step, err)
			}
			told++
		}
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		h.store.Wipe()
		time.Sleep(time.Minute)
		synctest.Wait()
		if told != 0 {
			t.Errorf("a rebuild is told as %d failures", told)
		}
		store.gone.Store(true)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if told != 6 {
			t.Errorf("told %d times in six looks", told)
		}
	})
}

// away is a store that cannot be reached for looks.
type away struct {
	Index
	gone atomic.Bool
}

func (a *away) Note(ctx context.Context, merchant, note string) error {
	if a.gone.Load() {
		return &refund.Unavailable{Why: "Redis cannot be reached"}
	}
	return a.Index.Note(ctx, merchant, note)
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
