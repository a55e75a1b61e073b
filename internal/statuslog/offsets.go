package statuslog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/refundworker/refundworker/internal/kafka"
)

// What the store notes of the status topic: "partition:offset" each, with blanks between. All events before these
// offsets were recorded in the store before they were published, and the note came after them, so a server that has the
// note has them too.

func writeOffsets(spans []kafka.Span) string {
	words := make([]string, len(spans))
	for i, s := range spans {
		words[i] = fmt.Sprintf("%d:%d", s.Partition, s.End)
	}
	return strings.Join(words, " ")
}

// readOffsets answers false for what it cannot read: then the topic is read from its beginning.
func readOffsets(note string) (map[int]int64, bool) {
	offsets := map[int]int64{}
	for word := range strings.FieldsSeq(note) {
		partition, offset, _ := strings.Cut(word, ":")
		p, err1 := strconv.Atoi(partition)
		o, err2 := strconv.ParseInt(offset, 10, 64)
		if err1 != nil || err2 != nil || p < 0 || o < 0 {
			return nil, false
		}
		offsets[p] = o
	}
	return offsets, len(offsets) > 0
}

// earliest is where a scan for several merchants begins: a partition that one of them has no note of from its first
// record.
func earliest(all []map[int]int64) map[int]int64 {
	if len(all) == 0 {
		return nil
	}
	least := map[int]int64{}
	for p, o := range all[0] {
		everybody := !slices.ContainsFunc(all, func(m map[int]int64) bool { _, there := m[p]; return !there })
		for _, m := range all[1:] {
			o = min(o, m[p])
		}
		if everybody {
			least[p] = o
		}
	}
	return least
}
