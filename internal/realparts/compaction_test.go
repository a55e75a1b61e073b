//go:build unix

package realparts_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/realparts"
)

// A topic that the broker has compacted has gaps, batches cut at their ends, and segments that end in nothing. Whatever
// the limit of a fetch, each record that is left is read once, as another client reads them, and the offset comes to the
// end.
func TestACompactedTopic(t *testing.T) {
	cluster := brokers(t, realparts.KafkaOptions{Extra: []string{"log.cleaner.backoff.ms=100", "log.cleaner.min.compaction.lag.ms=0"}})
	client := open(t, kafka.Config{Brokers: cluster.Brokers})
	const topic = "compacted"
	must(t, client.EnsureTopics(within(t, 20*time.Second), []kafka.TopicSpec{{Name: topic, Partitions: 1, Replication: 1, Configs: map[string]string{
		"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "300", "min.compaction.lag.ms": "0"}}}))
	other, err := kgo.NewClient(kgo.SeedBrokers(cluster.Brokers...), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	must(t, err)
	t.Cleanup(other.Close)
	ctx := within(t, 2*time.Minute)
	written := 0
	write := func(n int) {
		var records []*kgo.Record
		for range n {
			records = append(records, &kgo.Record{Key: fmt.Appendf(nil, "k%d", written*7919%(50+written/5)), Value: fmt.Appendf(nil, "%d", written)})
			written++
		}
		must(t, other.ProduceSync(ctx, records...).FirstErr())
	}
	left := func() (offsets []int64) {
		_, err := client.Scan(ctx, topic, kafka.FromFirst(), func(r kafka.Record) error { offsets = append(offsets, r.Offset); return nil })
		must(t, err)
		return offsets
	}
	// Written until most of it has been compacted away, again and again.
	for round := 0; ; round++ {
		write(40 + round%30)
		time.Sleep(50 * time.Millisecond) // segments roll by time
		if round > 60 && len(left()) < written/2 {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("nothing is compacted: %d of %d are left", len(left()), written)
		}
	}
	// The cleaner goes on beside the readers: what one of them finds the next may not, so all must agree on a try.
	for try := 1; ; try++ {
		want := readByOther(ctx, t, cluster, topic, int64(written))
		agree := true
		for _, maxBytes := range []int{1, 500, 20_000, 1 << 20} {
			f := client.Fetcher(kafka.TopicPartition{Topic: topic}, kafka.First, kafka.FetchOptions{MaxBytes: maxBytes})
			var got []int64
			for f.Offset() < int64(written) {
				records, err := f.Fetch(ctx)
				must(t, err)
				for _, r := range records {
					got = append(got, r.Offset)
				}
			}
			if f.Offset() != int64(written) || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Fatalf("with %d bytes a fetch: ended at %d of %d, read %v", maxBytes, f.Offset(), written, got)
			}
			agree = agree && slices.Equal(got, want)
		}
		if agree {
			t.Logf("%d of %d records are left, try %d", len(want), written, try)
			return
		}
		if try == 20 {
			t.Fatal("the two clients never read the same")
		}
	}
}

// readByOther are the offsets that another client reads.
func readByOther(ctx context.Context, t *testing.T, cluster *realparts.Kafka, topic string, end int64) (offsets []int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.Brokers...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	must(t, err)
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		must(t, fetches.Err())
		last := int64(-1)
		fetches.EachRecord(func(r *kgo.Record) { offsets, last = append(offsets, r.Offset), r.Offset })
		if last == end-1 { // the newest of a key is never compacted away
			return offsets
		}
	}
}
