package statuslog

import (
	"testing"

	"github.com/refundworker/refundworker/internal/kafka"
)

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
