package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"
)

// Generation is the time between two rebalances during which this member owns its partitions.
type Generation struct {
	// ID counts the group's generations; Member is this member's id.
	ID     int32
	Member string
	// Assigned are the partitions that are this member's in this generation. May be empty.
	Assigned []Assignment

	group *Group
	mu    sync.Mutex
	alive time.Time
	ended bool
}

func newGeneration(g *Group, from *kafkago.Generation) *Generation {
	gen := &Generation{ID: from.ID, Member: from.MemberID, group: g}
	for topic, partitions := range from.Assignments {
		for _, p := range partitions {
			gen.Assigned = append(gen.Assigned, Assignment{TopicPartition{topic, p.ID}, p.Offset})
		}
	}
	return gen
}

// Commit stores offsets (each the next to be read) with the broker, which refuses them when the generation is over:
// ErrFenced, and then nothing was stored. Any other error leaves open what was stored; the next Commit puts it right.
// Offsets that have not moved are worth committing: the answer is the sign of life.
//
// The broker fences by generation, not by ownership: commit only what Assigned names.
func (gen *Generation) Commit(ctx context.Context, offsets map[TopicPartition]int64) error {
	if len(offsets) == 0 {
		return nil
	}
	topics := map[string][]offsetcommit.RequestPartition{}
	for tp, offset := range offsets {
		topics[tp.Topic] = append(topics[tp.Topic], offsetcommit.RequestPartition{
			PartitionIndex: int32(tp.Partition), CommittedOffset: offset, CommittedLeaderEpoch: -1})
	}
	// Not kafka-go's Client.OffsetCommit: it claims leader epoch 0, and other clients that take over would believe it.
	req := &offsetcommit.Request{GroupID: gen.group.cfg.ID, GenerationID: gen.ID, MemberID: gen.Member}
	for topic, partitions := range topics {
		req.Topics = append(req.Topics, offsetcommit.RequestTopic{Name: topic, Partitions: partitions})
	}
	before := time.Now()
	answer, err := gen.group.client.transport.RoundTrip(ctx, gen.group.client.addr, req)
	if err != nil {
		return fmt.Errorf("kafka: committing for group %s: %w", gen.group.cfg.ID, explain(err))
	}
	return gen.judge(answer.(*offsetcommit.Response), before)
}

// judge reads each partition's error: one may fail alone.
func (gen *Generation) judge(answer *offsetcommit.Response, before time.Time) error {
	accepted, errs := false, []error(nil)
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			switch code := kafkago.Error(p.ErrorCode); code {
			case 0:
				accepted = true
			case kafkago.IllegalGeneration, kafkago.UnknownMemberId, kafkago.RebalanceInProgress, kafkago.FencedInstanceID, kafkago.GroupIdNotFound:
				gen.end()
				return fmt.Errorf("%w: %w", ErrFenced, code)
			default:
				errs = append(errs, fmt.Errorf("kafka: committing %s/%d: %w", t.Name, p.PartitionIndex, explain(code)))
			}
		}
	}
	if accepted {
		gen.mu.Lock()
		gen.alive = before
		gen.mu.Unlock()
	}
	return errors.Join(errs...)
}

// SignOfLife is the instant (with its monotonic reading) just before the last commit request that the broker acknowledged
// for this generation: then the partitions were still ours. Zero before the first, and once the generation has ended.
func (gen *Generation) SignOfLife() time.Time {
	gen.mu.Lock()
	defer gen.mu.Unlock()
	if gen.ended {
		return time.Time{}
	}
	return gen.alive
}

func (gen *Generation) end() {
	gen.mu.Lock()
	defer gen.mu.Unlock()
	gen.ended = true
}
