package kafka

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"
)

func TestSetCommittedMovesAGroupWithoutMembers(t *testing.T) {
	c := newCluster(t)
	ctx := within(t, 60*time.Second)
	topic := c.topic("set", 2)
	group := "set." + c.suffix
	producer := c.producer()
	before := time.Now().Add(-time.Minute)
	for i := range 10 {
		must(t, producer.Write(ctx, Record{Topic: topic, Key: []byte{byte(i)}, Value: []byte("v"), Time: before.Add(time.Duration(i) * 10 * time.Second)}))
	}
	must(t, c.client.SetCommitted(ctx, group, topic, map[int]int64{0: 2, 1: 1}))
	must(t, c.client.SetCommitted(ctx, group, topic, map[int]int64{1: 3}))
	got, err := c.client.Committed(ctx, group, topic)
	must(t, err)
	if want := map[int]int64{0: 2, 1: 3}; !maps.Equal(got, want) {
		t.Fatalf("committed %v, want %v", got, want)
	}

	g := c.group("set", topic)
	m := c.member(g)
	m.next(t, 2)
	if err := c.client.SetCommitted(ctx, group, topic, map[int]int64{0: 0}); !errors.Is(err, ErrMembers) {
		t.Fatalf("a group with a member was moved: %v", err)
	}
}

func TestOffsetsAtATime(t *testing.T) {
	c := newCluster(t)
	ctx := within(t, 30*time.Second)
	topic := c.topic("at", 1)
	producer := c.producer()
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for i := range 5 {
		must(t, producer.Write(ctx, Record{Topic: topic, Key: []byte("k"), Value: []byte("v"), Time: start.Add(time.Duration(i) * time.Second)}))
	}
	for at, want := range map[time.Time]int64{start.Add(-time.Hour): 0, start.Add(2 * time.Second): 2, start.Add(2500 * time.Millisecond): 3, start.Add(time.Hour): 5} {
		got, err := c.client.OffsetsAt(ctx, topic, at)
		must(t, err)
		if got[0] != want {
			t.Errorf("at %s: %d, want %d", at, got[0], want)
		}
	}
	if _, err := c.client.OffsetsAt(ctx, "nowhere."+c.suffix, start); !errors.Is(err, ErrNoTopic) {
		t.Errorf("of no topic: %v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.client.SetCommitted(gone, "g", topic, map[int]int64{0: 0}); err == nil {
		t.Error("moved after its context had ended")
	}
}
