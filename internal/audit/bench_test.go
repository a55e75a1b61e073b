package audit

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/refund"
)

// BenchmarkParts judges b.N refunds, a request, two events and a payment each, in as many parts as 256 MB ask for
// (refundctl audit --memory). Ten million:
//
//	go test -run '^$' -bench Parts -benchtime 10000000x ./internal/audit
func BenchmarkParts(b *testing.B) {
	const room = 160 << 20 // for refunds, of 256 MB
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(256 << 20))
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // the largest memory begins anew
	c := New(Options{Whole: true, Books: true, Parts: 1 + b.N*RefundBytes*3/2/room, Dir: b.TempDir()})
	defer c.Close()
	for i := range b.N {
		r := ask(fmt.Sprintf("2019010100%08d", i), fmt.Sprintf("rrn_16862800%08d", i/2), 10)
		c.Request(r)
		for sequence, status := range []refund.Status{refund.StatusPending, refund.StatusSucceeded} {
			rec := refund.Record{Request: r.Request, Order: r.Order, Last: refund.Event{Sequence: int64(sequence + 1), Status: status, Matched: true, Attempt: 1}}
			c.Status(Status{Record: rec, Body: []byte(status)})
		}
		c.Payment(Payment{Merchant: "S1", RefundNo: r.RefundNo, Order: r.Order, Minor: 10})
	}
	if r := c.Report(); !r.OK() || r.Refunds != b.N || c.Err() != nil {
		b.Fatalf("%s%v", r, c.Err())
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refunds/s")
	b.ReportMetric(peakMemory(), "peak-MB")
	if c.files != nil {
		var size int64
		for _, f := range c.files.files {
			if info, err := f.Stat(); err == nil {
				size += info.Size()
			}
		}
		b.ReportMetric(float64(size)/float64(b.N), "file-B/refund")
	}
}

// peakMemory of the process, in MB; on systems without /proc it is 0.
func peakMemory() float64 {
	text, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	kb := 0.0
	_, _ = fmt.Sscan(after, &kb)
	return kb / 1024
}
