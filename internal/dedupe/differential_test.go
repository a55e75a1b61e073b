package dedupe_test

import (
	"testing"

	"github.com/refundworker/refundworker/internal/dedupe/dedupetest"
)

// TestDifferential: the scripts and the store in plain Go answer alike.
func TestDifferential(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			client := server.dial(t)
			dedupetest.Differential(t, func(t *testing.T) *dedupetest.Part {
				scripts, _ := partOf(t, client)
				return scripts
			})
		})
	}
}
