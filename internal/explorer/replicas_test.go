package explorer

import (
	"time"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
)

// Of the status topic its leader may have what no replica has yet: readers do not see it, and an election loses it. A
// publish that waits for all replicas is told.

// visible are those of them that a reader may see, of partition 0: what every replica has.
func (b *broker) visible(topic string) []kafka.Record {
	records := b.all(topicPartition{Topic: topic})
	if topic == statusTopic {
		records = records[:b.watermark()]
	}
	return records
}

// watermark is the end of what every replica of the status topic has.
func (b *broker) watermark() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.partitions[topicPartition{Topic: statusTopic}]
	for l.high < int64(len(l.records)) && time.Since(l.records[l.high].Time) >= replicaLag {
		l.high++
	}
	return l.high
}

// replicated waits for all replicas, which takes no time, and answers whether the record of this offset, that was written
// after so many elections, is there.
func (b *broker) replicated(offset int64, elections int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, cut := range b.cuts[elections:] {
		if offset >= cut {
			return false
		}
	}
	l := b.partitions[topicPartition{Topic: statusTopic}]
	l.high = max(l.high, offset+1)
	return true
}

// elect makes a replica the leader of the status topic: what the old one alone had is gone.
func (w *world) elect() {
	b := w.broker
	high := b.watermark()
	b.mu.Lock()
	l := b.partitions[topicPartition{Topic: statusTopic}]
	lost := l.records[high:]
	l.records = l.records[:high:high]
	b.cuts = append(b.cuts, high)
	b.mu.Unlock()
	w.logf("-- another leader of the status topic, without its last %d records", len(lost))
	for _, r := range lost {
		delete(w.newest, string(r.Key))
	}
	for _, r := range b.all(topicPartition{Topic: statusTopic}) {
		if rec := must(events.RestoreRecord(r.Value, events.As[events.Header](r.Headers))); rec.Last.Sequence > w.newest[string(r.Key)].Sequence {
			w.newest[string(r.Key)] = rec.Last
		}
	}
}
