package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// GroupConfig names a consumer group and what it reads.
type GroupConfig struct {
	ID     string
	Topics []string
	// SessionTimeout is how long the broker waits for a sign of life before it gives the partitions to others. Real
	// brokers allow 6 s to 30 min; 6 to 10 s hands over soonest after a kill.
	SessionTimeout time.Duration
	// DrainTimeout is how long the function given to Run may take to return once its ctx has ended. The broker waits a
	// little longer than that for this member at a rebalance.
	DrainTimeout time.Duration
	// OnError hears of each failed attempt to join, for the log. May be nil. Run goes on by itself.
	OnError func(error)
}

// Assignment is a partition that a generation owns, and where to begin: its committed offset, or First.
type Assignment struct {
	TopicPartition
	Offset int64
}

// Group is a membership in a consumer group, on kafka-go's ConsumerGroup and Generation. Not on its Reader with a
// GroupID: after a rebalance that one commits for partitions it lost, and moves the committed offset back.
type Group struct {
	client     *Client
	cfg        GroupConfig
	watchEvery time.Duration  // between two looks for new partitions
	counts     map[string]int // partitions of the topics as of before the last join
}

const (
	rebalanceMargin   = 5 * time.Second
	joinBackoff       = 500 * time.Millisecond
	partitionInterval = 5 * time.Second
)

// Group prepares a membership; Run joins.
func (c *Client) Group(cfg GroupConfig) (*Group, error) {
	switch {
	case cfg.ID == "":
		return nil, errors.New("kafka: a group needs a name")
	case len(cfg.Topics) == 0:
		return nil, errors.New("kafka: a group needs topics")
	case cfg.SessionTimeout <= 0 || cfg.DrainTimeout <= 0:
		return nil, errors.New("kafka: a group needs a session timeout and a drain timeout")
	}
	return &Group{client: c, cfg: cfg, watchEvery: partitionInterval}, nil
}

// Run joins and calls work for each generation, one after another, until ctx ends or work returns an error. The ctx of
// work ends when the group rebalances, when the membership is lost, or with ctx: work then has DrainTimeout to end what
// is under way, commit, and return. It stays a member meanwhile; at a rebalance kafka-go's heartbeats have stopped, so
// that only commits (each 300 ms, say) keep it one. If work returns nil before that, the group is joined anew.
//
// When ctx ends, Run leaves the group after work has returned, so that the others take over at once, and returns nil. While
// the group is rebalancing that takes until the others have drained: only then does the broker answer.
// Trouble with the brokers never ends Run: it joins again and again, and tells OnError.
func (g *Group) Run(ctx context.Context, work func(context.Context, *Generation) error) error {
	members, err := kafkago.NewConsumerGroup(g.consumerGroup())
	if err != nil {
		return fmt.Errorf("kafka: group %s: %w", g.cfg.ID, err)
	}
	defer members.Close()
	failed := make(chan error, 1)
	for ctx.Err() == nil {
		g.countPartitions(ctx)
		next, err := members.Next(ctx)
		switch {
		case errors.Is(err, kafkago.ErrGroupClosed):
			// closed below, by the last generation
		case ctx.Err() != nil:
			if next == nil {
				return nil
			}
		case err != nil:
			g.report(fmt.Errorf("kafka: joining group %s: %w", g.cfg.ID, explain(err)))
			continue
		}
		if next == nil {
			break
		}
		ended := make(chan struct{})
		next.Start(func(rebalance context.Context) {
			defer close(ended)
			err := g.generation(ctx, rebalance, newGeneration(g, next), work)
			if err == nil && ctx.Err() == nil {
				return
			}
			if err != nil {
				failed <- err
			}
			g.leave(members, next.MemberID)
		})
		<-ended
		select {
		case err := <-failed:
			return err
		default:
		}
	}
	return nil
}

func (g *Group) consumerGroup() kafkago.ConsumerGroupConfig {
	return kafkago.ConsumerGroupConfig{
		ID:      g.cfg.ID,
		Topics:  g.cfg.Topics,
		Brokers: g.client.cfg.Brokers,
		Dialer: &kafkago.Dialer{
			ClientID:      g.client.cfg.ClientID,
			Timeout:       dialTimeout,
			DualStack:     true,
			TLS:           g.client.cfg.TLS,
			SASLMechanism: g.client.mechanism,
		},
		HeartbeatInterval: min(500*time.Millisecond, g.cfg.SessionTimeout/6),
		SessionTimeout:    g.cfg.SessionTimeout,
		RebalanceTimeout:  g.cfg.DrainTimeout + rebalanceMargin,
		JoinGroupBackoff:  joinBackoff,
		Timeout:           min(5*time.Second, g.cfg.SessionTimeout/2),
		StartOffset:       kafkago.FirstOffset,
	}
}

// generation runs work under a ctx that ends with the process, the generation, or a change of the partitions' number.
func (g *Group) generation(ctx, rebalance context.Context, gen *Generation, work func(context.Context, *Generation) error) error {
	defer gen.end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(rebalance, cancel)()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		g.watchPartitions(ctx, cancel)
	}()
	err := work(ctx, gen)
	cancel()
	<-watched
	return err
}

// leave tells the broker that this member goes, then closes kafka-go's group before its generation ends. In this order,
// because kafka-go would otherwise join once more, and wait for the others' drain, before it sees that it is closed.
func (g *Group) leave(members *kafkago.ConsumerGroup, member string) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	// An error means that the session timeout must tell the others: nothing more can be done here.
	_, _ = g.client.api().LeaveGroup(ctx, &kafkago.LeaveGroupRequest{
		GroupID: g.cfg.ID, Members: []kafkago.LeaveGroupRequestMember{{ID: member}}})
	go members.Close() // Run's own Close waits for it
	_, _ = members.Next(context.Background())
}

func (g *Group) report(err error) {
	if g.cfg.OnError != nil {
		g.cfg.OnError(err)
	}
}

// countPartitions notes the partitions' numbers before a join: what the group's leader sees is never older. An unknown
// number stays unknown, and is taken as new when it is seen.
func (g *Group) countPartitions(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	g.counts = g.partitionCounts(ctx)
}

func (g *Group) partitionCounts(ctx context.Context) map[string]int {
	counts := map[string]int{}
	for _, topic := range g.cfg.Topics {
		if n, err := g.client.partitions(ctx, topic); err == nil {
			counts[topic] = n
		}
	}
	return counts
}

// watchPartitions calls rebalance when a topic has got more partitions, or has come into being, since the last join. It
// looks twice, so that the brokers have told one another by the time the group's leader asks one of them.
func (g *Group) watchPartitions(ctx context.Context, rebalance func()) {
	seen := false
	for sleep(ctx, g.watchEvery) == nil {
		grown := false
		for topic, n := range g.partitionCounts(ctx) {
			grown = grown || n > g.counts[topic]
		}
		if grown && seen {
			rebalance()
			return
		}
		seen = grown
	}
}
