package statuslog

import (
	"testing"
	"testing/synctest"
	"time"
)

// A merchant that is added while the keeper runs is new to the control topic, and opens at once.
func TestAMerchantIsAddedWhileTheKeeperRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "S1")
		defer h.start(h.keeper)()
		h.open(h.keeper, "S1")
		h.keeper.Serve([]string{"S1", "S2"})
		if took := h.open(h.keeper, "S2"); took > time.Second {
			t.Errorf("a new merchant waited for %s", took)
		}
		if err := h.keeper.Ensure(t.Context(), "S3"); err == nil {
			t.Error("nobody asked for S3")
		}
	})
}
