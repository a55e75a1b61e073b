//go:build unix

package realparts_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/realparts"
)

// brokers starts a cluster for one test, of the version that KAFKA names. These
// tests hurt their brokers, so they share none.
func brokers(t *testing.T, o realparts.KafkaOptions) *realparts.Kafka {
	t.Helper()
	if os.Getenv("REAL_PARTS") == "" {
		t.Skip("REAL_PARTS is not set: make test-real sets it, and starts real brokers")
	}
	o.Version = os.Getenv("KAFKA")
	cluster, err := realparts.StartKafka(t.TempDir(), o)
	must(t, err)
	t.Cleanup(cluster.Stop)
	return cluster
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func open(t *testing.T, cfg kafka.Config) *kafka.Client {
	t.Helper()
	client, err := kafka.Open(cfg)
	must(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// scene is a cluster with a topic of two partitions, seen by the client under test
// and by another one, which tells who leads.
type scene struct {
	t       *testing.T
	cluster *realparts.Kafka
	client  *kafka.Client
	other   *kgo.Client
	topic   string
}

const partitions = 2

func newScene(t *testing.T, cluster *realparts.Kafka, topic string) *scene {
	t.Helper()
	s := &scene{t: t, cluster: cluster, client: open(t, kafka.Config{Brokers: cluster.Brokers}), topic: topic}
	var err error
	s.other, err = kgo.NewClient(kgo.SeedBrokers(cluster.Brokers...))
	must(t, err)
	t.Cleanup(s.other.Close)
	must(t, s.client.EnsureTopics(within(t, 20*time.Second), []kafka.TopicSpec{{Name: topic, Partitions: partitions, Replication: min(3, len(cluster.Nodes))}}))
	return s
}

// metadata of the topic; none where the broker that was asked does not answer.
func (s *scene) metadata() (none kmsg.MetadataResponseTopic) {
	s.t.Helper()
	request := kmsg.NewMetadataRequest()
	one := kmsg.NewMetadataRequestTopic()
	one.Topic = &s.topic
	request.Topics = append(request.Topics, one)
	answer, err := request.RequestWith(within(s.t, 2*time.Second), s.other)
	if err != nil {
		s.t.Logf("asking who leads: %v", err)
		return none
	}
	return answer.Topics[0]
}

// leader of a partition, as a place among the cluster's nodes.
func (s *scene) leader(partition int32) int {
	s.t.Helper()
	leader := -1
	s.eventually("a leader", func() bool {
		leader = -1
		for _, p := range s.metadata().Partitions {
			if p.Partition == partition && p.ErrorCode == 0 {
				leader = int(p.Leader) - 1
			}
		}
		return leader >= 0
	})
	return leader
}

// coordinator of a group.
func (s *scene) coordinator(group string) int {
	s.t.Helper()
	coordinator := -1
	s.eventually("a coordinator", func() bool {
		request := kmsg.NewFindCoordinatorRequest()
		request.CoordinatorKey, request.CoordinatorKeys = group, []string{group}
		answer, err := request.RequestWith(within(s.t, 2*time.Second), s.other)
		if err == nil && len(answer.Coordinators) == 1 && answer.Coordinators[0].ErrorCode == 0 {
			coordinator = int(answer.Coordinators[0].NodeID) - 1
		}
		return coordinator >= 0
	})
	return coordinator
}

// whole waits until every replica is in sync again.
func (s *scene) whole() {
	s.t.Helper()
	s.eventually("all replicas in sync", func() bool {
		all := s.metadata().Partitions
		for _, p := range all {
			if p.ErrorCode != 0 || len(p.ISR) < len(p.Replicas) {
				return false
			}
		}
		return len(all) > 0
	})
}

func (s *scene) eventually(what string, is func() bool) {
	s.t.Helper()
	ctx := within(s.t, time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// restart starts a broker again and waits until it listens.
func (s *scene) restart(i int) {
	s.t.Helper()
	must(s.t, s.cluster.Nodes[i].Start())
	must(s.t, s.cluster.AwaitBroker(i))
}

func value(writer, i int) string { return fmt.Sprintf("%d.%d", writer, i) }
