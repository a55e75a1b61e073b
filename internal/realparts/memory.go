package realparts

import (
	"os"
	"strconv"
	"strings"
)

// FreeMemory is how many bytes this machine can give without swapping; false where
// it does not tell.
func FreeMemory() (int64, bool) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	_, rest, found := strings.Cut(string(text), "MemAvailable:")
	if fields := strings.Fields(rest); found && len(fields) > 0 {
		kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
		return kilobytes << 10, err == nil
	}
	return 0, false
}
