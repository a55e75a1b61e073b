package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"
)

// ErrMembers means that a group has members: only they may commit.
var ErrMembers = errors.New("the group has members: stop them first, and wait for their session timeout")

// OffsetsAt answers for each partition of a topic the offset of the first record whose timestamp is at or after t, and
// its end where there is none.
func (c *Client) OffsetsAt(ctx context.Context, topic string, t time.Time) (map[int]int64, error) {
	n, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	offsets := make(map[int]int64, n)
	for i := range n {
		tp := TopicPartition{topic, i}
		if offsets[i], err = c.listOffset(ctx, tp, t.UnixMilli(), true); err != nil {
			return nil, fmt.Errorf("kafka: offset of %s at %s: %w", tp, t.Format(time.RFC3339), explain(err))
		}
	}
	return offsets, nil
}

// SetCommitted moves a group's committed offsets of a topic, for operators: each is the next to be read. It is refused
// (ErrMembers) while the group has members. A coordinator that moves is waited for until ctx ends. On an error some
// partitions may have moved.
func (c *Client) SetCommitted(ctx context.Context, group, topic string, offsets map[int]int64) error {
	if len(offsets) == 0 {
		return nil
	}
	request := offsetcommit.RequestTopic{Name: topic}
	for partition, offset := range offsets {
		request.Partitions = append(request.Partitions, offsetcommit.RequestPartition{
			PartitionIndex: int32(partition), CommittedOffset: offset, CommittedLeaderEpoch: -1})
	}
	var answer *offsetcommit.Response
	err := c.trying(ctx, func() error {
		got, err := c.transport.RoundTrip(ctx, c.addr, &offsetcommit.Request{
			GroupID: group, GenerationID: -1, Topics: []offsetcommit.RequestTopic{request}})
		if err != nil {
			return err
		}
		answer = got.(*offsetcommit.Response)
		return coordinatorMoves(answer)
	})
	if err != nil {
		return fmt.Errorf("kafka: setting offsets of group %s: %w", group, explain(err))
	}
	var errs []error
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			switch code := kafkago.Error(p.ErrorCode); code {
			case 0:
			case kafkago.UnknownMemberId, kafkago.IllegalGeneration, kafkago.RebalanceInProgress:
				errs = append(errs, fmt.Errorf("kafka: setting the offset of %s/%d: %w (%w)", t.Name, p.PartitionIndex, ErrMembers, code))
			default:
				errs = append(errs, fmt.Errorf("kafka: setting the offset of %s/%d: %w", t.Name, p.PartitionIndex, explain(code)))
			}
		}
	}
	return errors.Join(errs...)
}

// coordinatorMoves is what passes by itself: the group's coordinator is being found, or loads its offsets.
func coordinatorMoves(answer *offsetcommit.Response) error {
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			switch code := kafkago.Error(p.ErrorCode); code {
			case kafkago.NotCoordinatorForGroup, kafkago.GroupCoordinatorNotAvailable, kafkago.GroupLoadInProgress:
				return code
			}
		}
	}
	return nil
}
