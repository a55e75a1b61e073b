package memstore_test

import (
	"testing"

	"github.com/refundworker/refundworker/internal/dedupe/dedupetest"
)

func TestStore(t *testing.T) {
	dedupetest.Run(t, func(*testing.T) *dedupetest.Part { return dedupetest.Plain() })
}
