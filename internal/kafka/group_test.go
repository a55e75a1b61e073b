package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// session is the shortest that a real broker allows.
func (c *cluster) session() time.Duration {
	if c.fake == nil {
		return 6 * time.Second
	}
	return time.Second
}

func (c *cluster) group(name string, topics ...string) *Group {
	c.t.Helper()
	g, err := c.client.Group(GroupConfig{ID: name + "." + c.suffix, Topics: topics, SessionTimeout: c.session(), DrainTimeout: 5 * time.Second})
	if err != nil {
		c.t.Fatal(err)
	}
	return g
}

// member runs a group in the background. Each generation is sent to got; it ends with its ctx.
type member struct {
	got  chan *Generation
	stop context.CancelFunc
	done chan error
}

func (c *cluster) member(g *Group) *member {
	ctx, cancel := context.WithCancel(c.t.Context())
	m := &member{got: make(chan *Generation, 10), stop: cancel, done: make(chan error, 1)}
	go func() {
		m.done <- g.Run(ctx, func(ctx context.Context, gen *Generation) error {
			m.got <- gen
			<-ctx.Done()
			return nil
		})
	}()
	c.t.Cleanup(func() { cancel(); <-m.done })
	return m
}

// next waits for a generation with so many partitions.
func (m *member) next(t *testing.T, partitions int) *Generation {
	t.Helper()
	timeout := time.After(40 * time.Second)
	for {
		select {
		case gen := <-m.got:
			if len(gen.Assigned) == partitions {
				return gen
			}
		case <-timeout:
			t.Fatalf("no generation with %d partitions", partitions)
		}
	}
}

func TestANewGroupStartsAtTheFirstOffsetAndGoesOnAtTheCommitted(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("resume", 2)
	m := c.member(c.group("resume", topic))
	gen := m.next(t, 2)
	for _, a := range gen.Assigned {
		if a.Offset != First {
			t.Errorf("%s begins at %d", a.TopicPartition, a.Offset)
		}
	}
	if !gen.SignOfLife().IsZero() {
		t.Error("a sign of life before the first commit")
	}
	before := time.Now()
	must(t, gen.Commit(within(t, 10*time.Second), map[TopicPartition]int64{{topic, 0}: 7, {topic, 1}: 0}))
	if at := gen.SignOfLife(); at.Before(before) || at.After(time.Now()) {
		t.Errorf("sign of life %s", at)
	}
	m.stop()
	m.done <- <-m.done
	if !gen.SignOfLife().IsZero() {
		t.Error("a sign of life after the end")
	}
	gen = c.member(c.group("resume", topic)).next(t, 2)
	slices.SortFunc(gen.Assigned, func(a, b Assignment) int { return a.Partition - b.Partition })
	if gen.Assigned[0].Offset != 7 || gen.Assigned[1].Offset != 0 {
		t.Fatalf("begins at %v", gen.Assigned)
	}
	committed, err := c.client.Committed(within(t, 10*time.Second), "resume."+c.suffix, topic)
	if err != nil || committed[0] != 7 || committed[1] != 0 || len(committed) != 2 {
		t.Fatalf("committed %v, %v", committed, err)
	}
}

// A replaced member must not move an offset, whatever it believes.
func TestAnOldGenerationCannotCommit(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("fence", 2)
	first := c.member(c.group("fence", topic))
	old := first.next(t, 2)
	must(t, old.Commit(within(t, 10*time.Second), map[TopicPartition]int64{{topic, 0}: 5, {topic, 1}: 5}))
	second := c.member(c.group("fence", topic))
	second.next(t, 1)
	first.next(t, 1)
	err := old.Commit(within(t, 10*time.Second), map[TopicPartition]int64{{topic, 0}: 1, {topic, 1}: 1})
	if !errors.Is(err, ErrFenced) {
		t.Fatalf("got %v", err)
	}
	committed, err := c.client.Committed(within(t, 10*time.Second), "fence."+c.suffix, topic)
	if err != nil || committed[0] != 5 || committed[1] != 5 {
		t.Fatalf("committed %v, %v", committed, err)
	}
}

// At a rebalance the member drains: it may commit until it returns, and nobody has its partitions before.
func TestCommitsInTheDrainAreAcceptedBeforeAnyoneElseStarts(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("drain", 2)
	var mu sync.Mutex
	owners, drained := map[string]int{}, 0
	work := func(ctx context.Context, gen *Generation) error {
		mu.Lock()
		for _, a := range gen.Assigned {
			if owners[a.String()]++; owners[a.String()] > 1 {
				t.Errorf("%s has two owners", a)
			}
		}
		mu.Unlock()
		<-ctx.Done()
		for range 3 {
			offsets := map[TopicPartition]int64{}
			for _, a := range gen.Assigned {
				offsets[a.TopicPartition] = 1
			}
			if err := gen.Commit(context.WithoutCancel(ctx), offsets); err != nil {
				t.Errorf("in the drain: %v", err)
			}
		}
		mu.Lock()
		for _, a := range gen.Assigned {
			owners[a.String()]--
		}
		drained++
		mu.Unlock()
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	var members sync.WaitGroup
	joined := make(chan int, 100)
	run := func() {
		g := c.group("drain", topic)
		members.Go(func() {
			if err := g.Run(ctx, func(ctx context.Context, gen *Generation) error { joined <- len(gen.Assigned); return work(ctx, gen) }); err != nil {
				t.Error(err)
			}
		})
	}
	await := func(partitions, members int) {
		t.Helper()
		timeout := time.After(40 * time.Second)
		for seen := 0; seen < members; {
			select {
			case n := <-joined:
				if n == partitions {
					seen++
				}
			case <-timeout:
				t.Fatalf("no %d members with %d partitions", members, partitions)
			}
		}
	}
	run()
	await(2, 1)
	run()
	await(1, 2)
	stop()
	members.Wait()
	if drained < 3 {
		t.Fatalf("%d drains", drained)
	}
}

// Leaving is told to the broker: the other member takes over long before the session would have ended.
func TestLeavingHandsOverAtOnce(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("leave", 2)
	first, second := c.member(c.group("leave", topic)), c.member(c.group("leave", topic))
	first.next(t, 1)
	second.next(t, 1)
	start := time.Now()
	first.stop()
	err := <-first.done
	first.done <- err
	must(t, err)
	left := time.Since(start)
	second.next(t, 2)
	if took := time.Since(start); took > c.session()*9/10+time.Second || left > 2*time.Second {
		t.Fatalf("leaving took %s, taking over %s", left, took)
	}
}

// A stop while the group waits for another member's drain: the broker holds our join until then, and answers it; leaving
// before would leave a ghost that owns partitions until its session ends.
func TestAStopWhileJoiningLeavesNoGhost(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("joining", 2)
	draining, drained := make(chan struct{}), make(chan struct{})
	got := make(chan int, 10)
	ctx, stop := context.WithCancel(t.Context())
	var slow sync.WaitGroup
	defer slow.Wait()
	defer stop()
	g, first := c.group("joining", topic), true
	slow.Go(func() {
		_ = g.Run(ctx, func(ctx context.Context, gen *Generation) error {
			got <- len(gen.Assigned)
			<-ctx.Done()
			if first {
				first = false
				close(draining)
				<-drained
			}
			return nil
		})
	})
	<-got
	m := c.member(c.group("joining", topic)) // its join makes the other one drain
	<-draining
	m.stop()
	close(drained)
	start := time.Now()
	err := <-m.done
	m.done <- err
	must(t, err)
	for n := range got {
		if n == 2 { // alone again
			break
		}
	}
	if took := time.Since(start); took > c.session()*9/10+time.Second {
		t.Fatalf("the other had all partitions after %s", took)
	}
}

func TestAWorkThatReturnsJoinsAgain(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("again", 1)
	n := 0
	stop := errors.New("stop")
	err := c.group("again", topic).Run(within(t, 40*time.Second), func(_ context.Context, gen *Generation) error {
		if n++; n == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 2 {
		t.Fatalf("got %v after %d generations", err, n)
	}
}

// A partition that fails alone must not hide behind those that did not.
func TestEachPartitionsCommitErrorIsRead(t *testing.T) {
	c := newCluster(t)
	c.onlyFake("failing one partition of a commit")
	topic := c.topic("each", 2)
	gen := c.member(c.group("each", topic)).next(t, 2)
	c.fake.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		res := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, topic := range req.(*kmsg.OffsetCommitRequest).Topics {
			rt := kmsg.NewOffsetCommitResponseTopic()
			rt.Topic = topic.Topic
			for _, p := range topic.Partitions {
				rp := kmsg.NewOffsetCommitResponseTopicPartition()
				rp.Partition = p.Partition
				if p.Partition == 1 {
					rp.ErrorCode = kerr.OffsetMetadataTooLarge.Code
				}
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
		return res, nil, true
	})
	err := gen.Commit(within(t, 10*time.Second), map[TopicPartition]int64{{topic, 0}: 1, {topic, 1}: 1})
	if err == nil || errors.Is(err, ErrFenced) {
		t.Fatalf("got %v", err)
	}
	if gen.SignOfLife().IsZero() {
		t.Error("the other partition's acknowledgement is a sign of life")
	}
}

func TestNewPartitionsAreFound(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("grow", 1)
	g := c.group("grow", topic)
	g.watchEvery = 300 * time.Millisecond
	m := c.member(g)
	m.next(t, 1)
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = 5000
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = topic, 3
	req.Topics = append(req.Topics, rt)
	res, err := req.RequestWith(within(t, 10*time.Second), c.kgo())
	if err != nil || res.Topics[0].ErrorCode != 0 {
		t.Fatal(err, fmt.Sprint(res))
	}
	m.next(t, 3)
}
