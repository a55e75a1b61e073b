package statuslog

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// BenchmarkRebuild brings b.N finished refunds back into an empty Redis, each from the two events that it has on the
// status topic, one in a thousand of them still open; the progress lines go to stderr. A million on the real parts:
//
//	go run ./internal/realparts/with -brokers 1 -redis -- \
//	    go test -run '^$' -bench Rebuild -benchtime 1000000x -timeout 30m ./internal/statuslog
func BenchmarkRebuild(b *testing.B) {
	p := newParts(b)
	for _, merchant := range p.keeper.Merchants {
		p.open(merchant)
	}
	p.fill(b.N)
	p.wipe()
	p.keeper.Logger = zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, NoColor: true}).With().Timestamp().Logger()
	p.keeper.Wake()
	before := p.usedMemory()
	debug.FreeOSMemory()
	forgetPeak()

	cpu := usedCPU()
	redisCPU := p.redisCPU()
	b.ResetTimer()
	for _, merchant := range p.keeper.Merchants {
		p.open(merchant)
	}
	b.StopTimer()

	took, each := (b.Elapsed() - p.keeper.Quiet).Seconds(), 1e6/float64(b.N)
	b.ReportMetric(took, "s")
	b.ReportMetric(float64(b.N)/took, "refunds/s")
	b.ReportMetric((usedCPU()-cpu)*each, "CPU-us/refund")
	b.ReportMetric((p.redisCPU()-redisCPU)*each, "Redis-CPU-us/refund")
	b.ReportMetric(peakMemory(), "peak-MB")
	b.ReportMetric(float64(p.usedMemory()-before)/float64(b.N), "Redis-B/refund")
	if want := (b.N + 999) / 1000; p.chains.count() != want {
		b.Errorf("%d follow-ups, want one for each of the %d open refunds", p.chains.count(), want)
	}
}

// fill writes the events of n refunds, each with an order of its own, as a worker with a thousand under way writes them.
func (p *parts) fill(n int) {
	const underWay = 1000
	batch := make([]kafka.Record, 0, 2*underWay)
	var recs [underWay]refund.Record
	write := func() {
		if err := p.producer.Write(p.t.Context(), batch...); err != nil {
			p.t.Fatal(err)
		}
		batch = batch[:0]
	}
	put := func(rec refund.Record) {
		record := statusRecord(rec)
		record.Topic = p.keeper.Log.Topic
		batch = append(batch, record)
	}
	now := time.Now()
	for i := range n + underWay {
		if done := i - underWay; done >= 0 && done%1000 != 0 {
			put(ended(recs[done%underWay]))
		}
		if i < n {
			recs[i%underWay] = newRefund(p.keeper.Merchants[i%len(p.keeper.Merchants)], i, now)
			put(recs[i%underWay])
		}
		if len(batch) >= underWay {
			write()
		}
	}
	write()
}

func newRefund(merchant string, i int, now time.Time) refund.Record {
	r := refund.Request{
		Key: refund.Key{Merchant: merchant, RefundNo: fmt.Sprintf("20260101%08d", i)}, OrderNo: fmt.Sprintf("rrn_16862800%08d", i),
		TransactionID: "4200001858202306098765432109", Method: "WeChat", Wallet: "WECHATCN", Terminal: "tid_3378",
		Flow: refund.FlowRefund, Reason: "test refund", RequestedAt: now,
		Amount: refund.Money{Minor: 1, Currency: hkd}, OrderAmount: refund.Money{Minor: 1001, Currency: hkd},
	}
	return refund.Record{Request: r, Order: r.OrderNo, Provider: "eftpay", FirstSeen: now, Last: refund.Event{
		Sequence: 1, Status: refund.StatusPending, Source: refund.FromWorker, Matched: true, Attempt: 1, OccurredAt: now, RecordedAt: now,
	}}
}

func ended(rec refund.Record) refund.Record {
	rec.Last.Sequence, rec.Last.Status = 2, refund.StatusSucceeded
	rec.Last.ProviderStatus, rec.Last.ProviderRefundID = "TRADE_REFUND", "50300006062023060935342514210"
	return rec
}

// usedMemory of the real Redis, in bytes, and the CPU that it has used, in seconds; 0 for the embedded one.
func (p *parts) usedMemory() int64 { return int64(p.info("memory", "used_memory")) }

func (p *parts) redisCPU() float64 {
	return p.info("cpu", "used_cpu_user") + p.info("cpu", "used_cpu_sys")
}

func (p *parts) info(section, name string) float64 {
	text, err := p.redis.Info(context.Background(), section).Result()
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(text, "\n"+name+":")
	number, _, _ := strings.Cut(after, "\r\n")
	n, _ := strconv.ParseFloat(number, 64)
	return n
}

// usedCPU of this process, in seconds.
func usedCPU() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// forgetPeak makes the kernel begin anew with the process's largest memory, and peakMemory reads it, in MB; on systems
// without /proc it is 0.
func forgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

func peakMemory() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseFloat(fields[0], 64)
	return kb / 1024
}
