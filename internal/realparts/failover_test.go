//go:build unix

package realparts_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/realparts"
)

// Three brokers with min.insync.replicas 2. Whatever happens to one of them, no
// write fails, all that was acknowledged is read, in order, and the group goes on
// where it was.
func TestFailover(t *testing.T) {
	cluster := brokers(t, realparts.KafkaOptions{Brokers: 3})

	t.Run("the leader is killed in mid-stream", func(t *testing.T) {
		s := newScene(t, cluster, "leader")
		flow := s.stream()
		flow.more(200)
		leader := s.leader(0)
		cluster.Nodes[leader].Kill()
		began := time.Now()
		flow.more(200)
		t.Logf("flows again %s after the kill", time.Since(began).Round(time.Millisecond))
		s.restart(leader)
		s.whole()
		flow.more(200)
		flow.end()
	})

	t.Run("a leader is frozen in mid-stream", func(t *testing.T) {
		s := newScene(t, cluster, "frozen")
		flow := s.stream()
		flow.more(200)
		leader := s.leader(0)
		must(t, cluster.Nodes[leader].Pause())
		t.Cleanup(func() { _ = cluster.Nodes[leader].Resume() })
		s.eventually("another leader", func() bool { return s.leader(0) != leader })
		flow.more(100)
		must(t, cluster.Nodes[leader].Resume())
		s.whole()
		flow.more(100)
		flow.end()
	})

	t.Run("a rolling restart", func(t *testing.T) {
		s := newScene(t, cluster, "rolling")
		flow, m := s.stream(), s.member("rolling")
		m.commit(1)
		for i, node := range cluster.Nodes {
			if !node.Stop(30 * time.Second) {
				t.Fatalf("%s did not end within 30 s of SIGTERM", node.Name)
			}
			flow.more(50)
			s.restart(i)
			s.whole()
			m.commit(int64(i) + 2)
		}
		flow.more(50)
		flow.end()
		m.holds(int64(len(cluster.Nodes)) + 1)
	})

	t.Run("the group's coordinator is killed", func(t *testing.T) {
		s := newScene(t, cluster, "coordinator")
		m := s.member("coordinator")
		m.commit(7)
		coordinator := s.coordinator("coordinator")
		cluster.Nodes[coordinator].Kill()
		began := time.Now()
		m.commit(8)
		t.Logf("commits again %s after the kill", time.Since(began).Round(time.Millisecond))
		m.holds(8)
		s.restart(coordinator)
		s.whole()
		m.commit(9)
		m.holds(9)
	})
}

// member is the only one of its group. It commits one offset for each partition.
type member struct {
	scene       *scene
	group       string
	generations chan *kafka.Generation
	now         *kafka.Generation
}

func (s *scene) member(group string) *member {
	s.t.Helper()
	g, err := s.client.Group(kafka.GroupConfig{ID: group, Topics: []string{s.topic}, SessionTimeout: 2 * time.Second, DrainTimeout: time.Second})
	must(s.t, err)
	m := &member{scene: s, group: group, generations: make(chan *kafka.Generation, 100)}
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- g.Run(ctx, func(ctx context.Context, gen *kafka.Generation) error {
			m.generations <- gen
			<-ctx.Done()
			return nil
		})
	}()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the member ended with %v", err)
		}
	})
	return m
}

// commit tries with each generation until one is accepted. What a generation begins
// with must never be below what was accepted before.
func (m *member) commit(offset int64) {
	t := m.scene.t
	t.Helper()
	ctx := within(t, time.Minute)
	for {
		if m.now == nil {
			select {
			case m.now = <-m.generations:
			case <-ctx.Done():
				t.Fatalf("no generation to commit %d in", offset)
			}
			for _, a := range m.now.Assigned {
				if a.Offset > 0 && a.Offset < offset-1 {
					t.Fatalf("%s begins at %d, %d was committed before", a.TopicPartition, a.Offset, offset-1)
				}
			}
		}
		offsets := map[kafka.TopicPartition]int64{}
		for i := range partitions {
			offsets[kafka.TopicPartition{Topic: m.scene.topic, Partition: i}] = offset
		}
		bounded, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := m.now.Commit(bounded, offsets)
		cancel()
		switch {
		case err == nil:
			return
		case errors.Is(err, kafka.ErrFenced):
			m.now = nil
		case ctx.Err() != nil:
			t.Fatalf("committing %d: %v", offset, err)
		}
	}
}

// holds asks the brokers what is committed.
func (m *member) holds(offset int64) {
	m.scene.t.Helper()
	m.scene.eventually("the committed offsets", func() bool {
		committed, err := m.scene.client.Committed(within(m.scene.t, 5*time.Second), m.group, m.scene.topic)
		return err == nil && committed[0] == offset && committed[1] == offset
	})
}
