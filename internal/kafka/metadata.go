package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// metadata is the cluster's, of the named topics or of all, as of at most a second ago.
func (c *Client) metadata(ctx context.Context, topics ...string) (*metadata.Response, error) {
	answer, err := c.transport.RoundTrip(ctx, c.addr, &metadata.Request{TopicNames: topics})
	if err != nil {
		return nil, err
	}
	return answer.(*metadata.Response), nil
}

// Partitions counts a topic's partitions, as of at most a second ago. ErrNoTopic where there is none.
func (c *Client) Partitions(ctx context.Context, topic string) (int, error) {
	n, err := c.partitions(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("kafka: topic %s: %w", topic, explain(err))
	}
	return n, nil
}

func (c *Client) partitions(ctx context.Context, topic string) (int, error) {
	leaders, err := c.leaders(ctx, topic)
	return len(leaders), err
}

// leaders are the ids of each partition's leader, as of at most a second ago; -1 where there is none.
func (c *Client) leaders(ctx context.Context, topic string) ([]int32, error) {
	all, err := c.metadata(ctx, topic)
	if err != nil {
		return nil, err
	}
	for i := range all.Topics {
		t := &all.Topics[i]
		if t.Name != topic {
			continue
		}
		if t.ErrorCode != 0 {
			return nil, kafkago.Error(t.ErrorCode)
		}
		if len(t.Partitions) == 0 {
			return nil, kafkago.LeaderNotAvailable
		}
		leaders := make([]int32, len(t.Partitions))
		for j := range leaders {
			leaders[j] = -1
		}
		for _, p := range t.Partitions {
			if int(p.PartitionIndex) < len(leaders) {
				leaders[p.PartitionIndex] = p.LeaderID
			}
		}
		return leaders, nil
	}
	return nil, kafkago.UnknownTopicOrPartition
}

// leadersWithin asks until ctx ends, as the brokers may be restarting; a topic that they do not know may be new, and is
// asked for some seconds only.
func (c *Client) leadersWithin(ctx context.Context, topic string) (leaders []int32, err error) {
	err = c.trying(ctx, func() error {
		leaders, err = c.leaders(ctx, topic)
		return err
	})
	return leaders, err
}

// offsetWithin is listOffset in the same way.
func (c *Client) offsetWithin(ctx context.Context, tp TopicPartition, at int64) (offset int64, err error) {
	err = c.trying(ctx, func() error {
		offset, err = c.listOffset(ctx, tp, at, true)
		return err
	})
	return offset, err
}

// trying calls one until it succeeds, ctx ends, or it fails in a way that stays.
func (c *Client) trying(ctx context.Context, one func() error) error {
	start := time.Now()
	for pause := firstBackoff; ; pause = min(2*pause, longestBackoff) {
		err := one()
		if err == nil || !retriable(err) || noTopic(err) && time.Since(start) > patience {
			return err
		}
		if sleep(ctx, pause) != nil {
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// TopicNames lists all topics of the cluster that this user may describe, sorted.
func (c *Client) TopicNames(ctx context.Context) ([]string, error) {
	defer c.admin.CloseIdleConnections() // or it would go on asking for the metadata of all topics
	answer, err := c.admin.RoundTrip(ctx, c.addr, &metadata.Request{})
	if err != nil {
		return nil, fmt.Errorf("kafka: listing topics: %w", explain(err))
	}
	var names []string
	for _, t := range answer.(*metadata.Response).Topics {
		if t.ErrorCode == 0 && !t.IsInternal {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Span is what a partition holds: offsets from First up to, not including, End.
type Span struct {
	Partition  int
	First, End int64
}

// Spans asks the leaders for each partition of a topic. End is the last stable offset: everything before it is decided.
func (c *Client) Spans(ctx context.Context, topic string) ([]Span, error) {
	n, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	spans := make([]Span, n)
	for i := range spans {
		tp := TopicPartition{topic, i}
		first, err := c.listOffset(ctx, tp, First, true)
		if err != nil {
			return nil, fmt.Errorf("kafka: first offset of %s: %w", tp, explain(err))
		}
		end, err := c.listOffset(ctx, tp, End, true)
		if err != nil {
			return nil, fmt.Errorf("kafka: end of %s: %w", tp, explain(err))
		}
		spans[i] = Span{i, first, end}
	}
	return spans, nil
}

// Committed answers a group's committed offsets of a topic. A partition without one is not in the answer.
func (c *Client) Committed(ctx context.Context, group, topic string) (map[int]int64, error) {
	n, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	answer, err := c.api().OffsetFetch(ctx, &kafkago.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: all}})
	if err == nil {
		err = answer.Error
	}
	if errors.Is(err, kafkago.GroupIdNotFound) {
		return map[int]int64{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: committed offsets of group %s: %w", group, explain(err))
	}
	offsets := map[int]int64{}
	for _, p := range answer.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("kafka: committed offset of group %s in %s/%d: %w", group, topic, p.Partition, explain(p.Error))
		}
		if p.CommittedOffset >= 0 {
			offsets[p.Partition] = p.CommittedOffset
		}
	}
	return offsets, nil
}

type topicMetadata = metadata.ResponseTopic
