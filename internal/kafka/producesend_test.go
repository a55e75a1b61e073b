package kafka

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/deletetopics"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Whatever waits while a request is under way goes with the next one, of all partitions together.
func TestOneRequestForAllPartitions(t *testing.T) {
	c := newCluster(t)
	c.onlyFake("counting requests")
	topic := c.topic("many", 16)
	var requests, partitions atomic.Int64
	first := make(chan struct{})
	c.fake.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.fake.KeepControl()
		if requests.Add(1) == 1 {
			<-first
		} else {
			partitions.Add(int64(len(req.(*kmsg.ProduceRequest).Topics[0].Partitions)))
		}
		return nil, nil, false
	})
	p := c.producer()
	ctx := within(t, 20*time.Second)
	var callers sync.WaitGroup
	write := func(i int) {
		callers.Go(func() {
			if err := p.Write(ctx, Record{Topic: topic, Key: fmt.Append(nil, i), Value: []byte("v")}); err != nil {
				t.Error(err)
			}
		})
	}
	write(0)
	for requests.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for i := range 200 {
		write(i + 1)
	}
	for waiting := 0; waiting < 200; time.Sleep(time.Millisecond) {
		waiting = 0
		p.mu.Lock()
		for _, q := range p.queues {
			waiting += len(q.waiting)
		}
		p.mu.Unlock()
	}
	close(first)
	callers.Wait()
	// The partition of the first record has to be given back before it can go again.
	if requests.Load() > 3 || partitions.Load() < 16 {
		t.Errorf("%d requests; all but the first with %d partitions", requests.Load(), partitions.Load())
	}
}

// A partition that is refused is tried again by itself: those that went with it are acknowledged.
func TestAPartitionThatIsRefusedHoldsNobodyUp(t *testing.T) {
	c := newCluster(t)
	c.onlyFake("refusing one partition")
	sick, well := c.topic("sick", 1), c.topic("well", 1)
	together := false
	c.fake.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.fake.KeepControl()
		answer := produceError(req, kerr.NotEnoughReplicas.Code).(*kmsg.ProduceResponse)
		together = together || len(answer.Topics) == 2
		for i := range answer.Topics {
			if answer.Topics[i].Topic == well {
				answer.Topics[i].Partitions[0].ErrorCode = 0
			}
		}
		return answer, nil, true
	})
	p := c.producer()
	err := p.Write(within(t, time.Second), Record{Topic: sick, Value: []byte("v")}, Record{Topic: well, Value: []byte("v")})
	if !errors.Is(err, kafkago.NotEnoughReplicas) || strings.Contains(err.Error(), well) || !together {
		t.Errorf("together %t: %v", together, err)
	}
}

// A topic that was deleted fails the writes to it, and no others, although kafka-go refuses a request that names it.
func TestATopicThatIsDeletedHoldsNobodyUp(t *testing.T) {
	c := newCluster(t)
	gone, well := c.topic("gone", 1), c.topic("well", 1)
	p := c.producer()
	must(t, p.Write(within(t, 10*time.Second), Record{Topic: gone, Value: []byte("v")}, Record{Topic: well, Value: []byte("v")}))
	if _, err := c.client.transport.RoundTrip(t.Context(), c.client.addr, &deletetopics.Request{TopicNames: []string{gone}, TimeoutMs: 5000}); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			if err := p.Write(within(t, 5*time.Second), Record{Topic: well, Value: []byte("v")}); err != nil {
				t.Errorf("after %v: %v", time.Since(began), err)
				return
			}
		}
	})
	err := p.Write(within(t, 3*time.Second), Record{Topic: gone, Value: []byte("v")})
	close(stop)
	others.Wait()
	if !errors.Is(err, ErrNoTopic) {
		t.Errorf("the write to it ended with %v", err)
	}
}

// A broker that takes long to acknowledge acknowledges all the same: nobody waits for the requests of others first, or has
// too little time left for his own and takes the others down with him.
func TestASlowBrokerAcknowledges(t *testing.T) {
	c := newCluster(t)
	c.onlyFake("a slow broker")
	const partitions = 12
	topic := c.topic("status", partitions)
	p := c.producer()
	must(t, p.Write(within(t, 5*time.Second), Record{Topic: topic, Value: []byte("first")}))
	c.fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.fake.KeepControl()
		c.fake.SleepControl(func() { time.Sleep(time.Second) })
		return nil, nil, false
	})
	keys := map[int][]byte{}
	for i := byte(0); len(keys) < partitions; i++ {
		tp, _, err := p.place(t.Context(), Record{Topic: topic, Key: []byte{i}})
		must(t, err)
		keys[tp.Partition] = []byte{i}
	}
	var all sync.WaitGroup
	for i := range partitions {
		all.Go(func() {
			time.Sleep(time.Duration(i) * 150 * time.Millisecond)
			for range 2 {
				if err := p.Write(within(t, 2500*time.Millisecond), Record{Topic: topic, Key: keys[i], Value: []byte("v")}); err != nil {
					t.Errorf("partition %d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
}

// A partition of which a follower is slow delays no other: a broker answers a request for all of its partitions together, once
// each is replicated or the request's time is over.
func TestAPartitionThatWaitsForAFollowerHoldsNobodyUp(t *testing.T) {
	c := newCluster(t)
	c.onlyFake("a slow follower")
	sick, well := c.topic("sick", 1), c.topic("well", 1)
	p := c.producer()
	must(t, p.Write(within(t, 5*time.Second), Record{Topic: sick, Value: []byte("v")}, Record{Topic: well, Value: []byte("v")}))
	c.fake.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.fake.KeepControl()
		answer := produceError(req, kerr.RequestTimedOut.Code).(*kmsg.ProduceResponse)
		waits := false
		for i := range answer.Topics {
			if answer.Topics[i].Topic == sick {
				waits = true
			} else {
				answer.Topics[i].Partitions[0].ErrorCode = 0
			}
		}
		if waits {
			c.fake.SleepControl(func() { time.Sleep(time.Duration(req.(*kmsg.ProduceRequest).TimeoutMillis) * time.Millisecond) })
		}
		return answer, nil, true
	})
	var all sync.WaitGroup
	_ = p.Write(within(t, time.Second), Record{Topic: sick, Value: []byte("v")}) // from now on it goes alone
	for range 4 {
		all.Go(func() { _ = p.Write(within(t, 4*time.Second), Record{Topic: sick, Value: []byte("v")}) })
	}
	longest := time.Duration(0)
	for began := time.Now(); time.Since(began) < 4*time.Second; {
		asked := time.Now()
		must(t, p.Write(within(t, 5*time.Second), Record{Topic: well, Value: []byte("v")}))
		longest = max(longest, time.Since(asked))
		time.Sleep(50 * time.Millisecond)
	}
	all.Wait()
	if longest > time.Second {
		t.Errorf("a write beside it took %v", longest)
	}
}
