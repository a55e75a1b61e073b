package kafka

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkFetchBesideFranz reads the same topic by our fetch loops (one a partition, as the consumer runs them) and by
// franz-go's client, in turns, committed records only, on one broker: records a second and CPU time of this process a
// record, medians of the rounds, and our figures as parts of theirs. One command, on a real broker:
//
//	go run ./internal/realparts/with -brokers 1 -- go test -run '^$' -bench FetchBesideFranz -benchtime 9x -timeout 20m ./internal/kafka
func BenchmarkFetchBesideFranz(b *testing.B) {
	for _, one := range []struct {
		name    string
		codec   kgo.CompressionCodec
		records int
		linger  bool // batches of many records, else of one
	}{
		{"lz4", kgo.Lz4Compression(), 300_000, true},
		{"uncompressed", kgo.NoCompression(), 300_000, true},
		{"zstd", kgo.ZstdCompression(), 300_000, true},
		{"one-record-batches", kgo.NoCompression(), 60_000, false},
	} {
		b.Run(one.name, func(b *testing.B) {
			c := newCluster(b)
			topic := c.topic("beside", fetchPartitions)
			c.fillFor(topic, one.codec, one.records, one.linger)
			var ours, theirs []cost
			for b.Loop() {
				ours = append(ours, measured(one.records, func() { c.readByUs(topic, one.records) }))
				theirs = append(theirs, measured(one.records, func() { c.readByFranz(topic, one.records) }))
			}
			b.ReportMetric(0, "ns/op")
			us, them := medianCost(ours), medianCost(theirs)
			b.ReportMetric(us.perSecond, "our-rec/s")
			b.ReportMetric(them.perSecond, "franz-rec/s")
			b.ReportMetric(us.cpu, "our-cpu-us/rec")
			b.ReportMetric(them.cpu, "franz-cpu-us/rec")
			b.ReportMetric(us.perSecond/them.perSecond, "speed-ratio")
			b.ReportMetric(us.cpu/them.cpu, "cpu-ratio")
		})
	}
}

const fetchPartitions = 8

// cost is records a second, and microseconds of CPU a record.
type cost struct{ perSecond, cpu float64 }

func medianCost(all []cost) cost {
	middle := func(of func(cost) float64) float64 {
		var values []float64
		for _, c := range all {
			values = append(values, of(c))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return cost{middle(func(c cost) float64 { return c.perSecond }), middle(func(c cost) float64 { return c.cpu })}
}

func measured(records int, read func()) cost {
	cpu, began := cpuTime(), time.Now()
	read()
	took := time.Since(began)
	return cost{float64(records) / took.Seconds(), float64((cpuTime() - cpu).Nanoseconds()) / 1000 / float64(records)}
}

func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// fillFor writes records of about 350 bytes that look like requests.
func (c *cluster) fillFor(topic string, codec kgo.CompressionCodec, records int, linger bool) {
	c.t.Helper()
	opts := []kgo.Opt{kgo.ProducerBatchCompression(codec), kgo.MaxBufferedRecords(100_000)}
	if linger {
		opts = append(opts, kgo.ProducerLinger(20*time.Millisecond), kgo.ProducerBatchMaxBytes(256<<10))
	} else {
		opts = append(opts, kgo.ProducerBatchMaxBytes(600))
	}
	client := c.kgo(opts...)
	ctx := within(c.t, 5*time.Minute)
	for i := range records {
		value := fmt.Appendf(nil, `{"refund_no":"R%012d","merchant":"S%07d","order_no":"rrn_168628%07d","amount":"%d.%02d","order_amount":"%d.00","currency":"HKD",`+
			`"method":"WeChat","wallet":"WECHATCN","terminal":"tid_%d","reason":"goods were returned, ticket %d","requested_at":"2023-06-09T11:%02d:%02d+08:00"}`,
			i, i%97, i*7919%9999991, i%300, i%100, 300+i%700, i%5000, i*31, i/60%60, i%60)
		client.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(i % fetchPartitions), Key: fmt.Appendf(nil, "rrn_168628%07d", i*7919%9999991), Value: value,
			Headers: []kgo.RecordHeader{{Key: "ce_type", Value: []byte("refund.requested.v1")}, {Key: "ce_id", Value: fmt.Appendf(nil, "%d", i)}}},
			func(_ *kgo.Record, err error) {
				if err != nil {
					c.t.Error(err)
				}
			})
	}
	must(c.t, client.Flush(ctx))
}

// readByUs is what the consumer's partitions do, without the lanes.
func (c *cluster) readByUs(topic string, records int) {
	client, err := Open(Config{Brokers: c.brokers})
	must(c.t, err)
	defer client.Close()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	got := make(chan int, 100)
	for partition := range fetchPartitions {
		go func() {
			f := client.Fetcher(TopicPartition{topic, partition}, First, FetchOptions{MaxBytes: 512 << 10})
			for ctx.Err() == nil {
				batch, err := f.Fetch(ctx)
				if err != nil && ctx.Err() == nil {
					c.t.Error(err)
				}
				got <- len(batch)
			}
		}()
	}
	for n := 0; n < records; {
		select {
		case more := <-got:
			n += more
		case <-ctx.Done():
			c.t.Fatalf("read %d of %d", n, records)
		}
	}
	stop()
	for range fetchPartitions { // those that are about to tell of one more
		select {
		case <-got:
		default:
		}
	}
}

func (c *cluster) readByFranz(topic string, records int) {
	from := map[string]map[int32]kgo.Offset{topic: {}}
	for partition := range int32(fetchPartitions) {
		from[topic][partition] = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.brokers...), kgo.ConsumePartitions(from), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	must(c.t, err)
	defer client.Close()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	for n := 0; n < records; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			c.t.Fatalf("read %d of %d: %v", n, records, err)
		}
		n += fetches.NumRecords()
	}
}
