package statuslog

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// notes counts them by merchant.
type notes struct {
	Index
	mu    sync.Mutex
	count map[string]int
}

func (n *notes) Note(ctx context.Context, merchant, offsets string) error {
	n.mu.Lock()
	n.count[merchant]++
	n.mu.Unlock()
	return n.Index.Note(ctx, merchant, offsets)
}

// taken are the merchants that were noted since, and how many notes that were.
func (n *notes) taken() (merchants, all int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, count := range n.count {
		merchants, all = merchants+1, all+count
	}
	clear(n.count)
	return merchants, all
}

// Many merchants are looked at in turns; after a loss, or where somebody asks, all at once: one rebuild serves them all.
func TestManyMerchantsAreLookedAtInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := make([]string, 2*lookMost+lookMost/2)
		for i := range names {
			names[i] = fmt.Sprintf("M%d", i)
		}
		h := newHouse(t, names...)
		seen := &notes{Index: h.store, count: map[string]int{}}
		h.keeper.Index = seen
		defer h.start(h.keeper)()
		h.open(h.keeper, names[len(names)-1])
		if merchants, _ := seen.taken(); merchants != len(names) {
			t.Fatalf("%d merchants were looked at in the beginning", merchants)
		}
		for range 2 {
			time.Sleep(5 * h.keeper.Every)
			synctest.Wait()
			if merchants, all := seen.taken(); merchants != len(names) || all != 5*lookMost {
				t.Errorf("%d notes of %d merchants in five looks", all, merchants)
			}
		}

		h.store.Wipe()
		wiped := time.Now()
		time.Sleep(quiet + 4*h.keeper.Every)
		synctest.Wait()
		if len(h.rebuilt) != 2*len(names) || !slices.ContainsFunc(h.busy, func(n int) bool { return n == len(names) }) {
			t.Errorf("%d rebuilds, %v after the wipe", len(h.rebuilt)-len(names), time.Since(wiped))
		}
	})
}
