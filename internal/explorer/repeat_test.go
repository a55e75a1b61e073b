package explorer

import (
	"bytes"
	"flag"
	"fmt"
	"testing"

	"github.com/refundworker/refundworker/internal/refund"
)

var twice = flag.Int("twice", part(60, 6), "how many lives TestSameSeedSameLog lives twice")

// TestSameSeedSameLog: a run is a function of its seed or its plan, to the last line of its log.
func TestSameSeedSameLog(t *testing.T) {
	t.Parallel()
	lines := 0
	same := func(name string, run func(s setup)) {
		t.Helper()
		var first, second bytes.Buffer
		run(setup{trace: &first})
		run(setup{trace: &second})
		lines += bytes.Count(first.Bytes(), []byte("\n"))
		if a, b, differ := difference(first.Bytes(), second.Bytes()); differ {
			t.Errorf("%s, first it was\n%s\nthen\n%s", name, a, b)
		}
	}
	for n := range uint64(*twice) {
		seed := *from + n
		same(fmt.Sprintf("life=%d", seed), func(s setup) { live(t, seed, s) })
	}
	next := drawing(t, 5)
	for range part(200, 20) {
		p := next()
		same(p.String(), func(s setup) { play(t, p, s) })
	}
	p := plan{Gateway: "timeout_after", Flow: refund.FlowRefund, Point: 11, Act: "kill", Next: "other", Redis: "wipe", Pair: 1}
	same(p.String(), func(s setup) { play(t, p, s) })
	t.Logf("%d lines of logs, twice the same", lines)
}

// difference is the first line that is not the same.
func difference(a, b []byte) (first, second []byte, differ bool) {
	as, bs := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(as), len(bs)) {
		if !bytes.Equal(as[i], bs[i]) {
			return as[i], bs[i], true
		}
	}
	if len(as) != len(bs) {
		return as[len(as)-1], bs[len(bs)-1], true
	}
	return nil, nil, false
}

// part is how many of something are run: fewer with the race detector, where each takes ten times as long.
func part(all, withRace int) int {
	if raced {
		return withRace
	}
	return all
}
