package explorer

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain collects garbage more rarely: each of some thousand worlds is thrown away whole. It costs some 100 MB.
func TestMain(m *testing.M) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	os.Exit(m.Run())
}
