package consumer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// RequestBytes is max.message.bytes of the requests topic: Kafka's default.
const RequestBytes = 1048588

const (
	delayPartitions = 3
	sevenDays       = 7 * 24 * time.Hour
)

// Specs are the system's topics as they should be (DESIGN.md, section 4). partitions are those of the requests and of the
// status topic. With a replication of 2 or more, min.insync.replicas is 2.
func Specs(topics Topics, delays Delays, partitions, replication int) []kafka.TopicSpec {
	spec := func(name string, partitions int, configs ...string) kafka.TopicSpec {
		s := kafka.TopicSpec{Name: name, Partitions: partitions, Replication: replication, Configs: map[string]string{}}
		if replication > 1 {
			s.Configs["min.insync.replicas"] = "2"
		}
		for i := 0; i < len(configs); i += 2 {
			s.Configs[configs[i]] = configs[i+1]
		}
		return s
	}
	week := strconv.FormatInt(sevenDays.Milliseconds(), 10)
	// A delay topic takes a request and its delay headers, so it takes more than the requests do, as the dead letters.
	roomy := []string{"cleanup.policy", "delete", "retention.ms", "-1", "retention.bytes", "-1",
		"max.message.bytes", strconv.Itoa(2 * RequestBytes)}
	specs := []kafka.TopicSpec{
		spec(topics.Requests, partitions, "cleanup.policy", "delete", "retention.ms", week, "max.message.bytes", strconv.Itoa(RequestBytes)),
		spec(topics.Status, partitions, "cleanup.policy", "compact", "min.compaction.lag.ms", week),
		spec(topics.Control, 1, "cleanup.policy", "compact", "min.compaction.lag.ms", week),
		spec(topics.DeadLetters, 1, roomy...),
		spec(topics.Audit, 1, roomy...),
	}
	for _, d := range delays {
		// Messages are due by their timestamp: it must be the writer's, not the broker's.
		delay := spec(topics.Delay(d), delayPartitions, append(roomy[:len(roomy):len(roomy)], "message.timestamp.type", "CreateTime")...)
		specs = append(specs, delay)
	}
	return specs
}

// Cluster is what CheckDelays needs of kafka.Client.
type Cluster interface {
	TopicNames(ctx context.Context) ([]string, error)
	Spans(ctx context.Context, topic string) ([]kafka.Span, error)
	Committed(ctx context.Context, group, topic string) (map[int]int64, error)
}

var _ Cluster = (*kafka.Client)(nil)

// LeftBehindError names a delay topic whose messages nobody would ever read.
type LeftBehindError struct {
	Topic    string
	Delay    string // that is not configured any more
	Messages int64  // that the group has not taken
}

func (e *LeftBehindError) Error() string {
	return fmt.Sprintf("topic %s holds %d messages that wait, but worker.delays does not name %s any more: "+
		"put it back until the topic is empty", e.Topic, e.Messages, e.Delay)
}

// CheckDelays refuses a start that would leave messages behind: a *LeftBehindError for each delay topic that holds
// messages which the group has not taken, and whose delay is not configured any more. Any other error is trouble with
// the brokers.
func CheckDelays(ctx context.Context, c Cluster, group string, topics Topics, delays Delays) error {
	names, err := c.TopicNames(ctx)
	if err != nil {
		return err
	}
	configured := map[string]bool{}
	for _, d := range delays {
		configured[topics.Delay(d)] = true
	}
	var errs []error
	for _, name := range names {
		delay, is := strings.CutPrefix(name, topics.DelayPrefix)
		if _, err := time.ParseDuration(delay); !is || err != nil || configured[name] {
			continue
		}
		left, err := untaken(ctx, c, group, name)
		if err != nil {
			errs = append(errs, err)
		} else if left > 0 {
			errs = append(errs, &LeftBehindError{Topic: name, Delay: delay, Messages: left})
		}
	}
	return errors.Join(errs...)
}

// untaken counts the offsets of a topic that the group has not committed.
func untaken(ctx context.Context, c Cluster, group, topic string) (int64, error) {
	spans, err := c.Spans(ctx, topic)
	if err != nil {
		return 0, err
	}
	committed, err := c.Committed(ctx, group, topic)
	if err != nil {
		return 0, err
	}
	var left int64
	for _, s := range spans {
		left += max(0, s.End-max(s.First, committed[s.Partition]))
	}
	return left, nil
}
