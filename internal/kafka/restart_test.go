package kafka

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// restartable is a broker, and what kills it and starts it again with its data. For a real one that is the shell command in
// KAFKA_RESTART.
func restartable(t *testing.T) (c *cluster, restart func()) {
	c = &cluster{t: t, suffix: fmt.Sprint(time.Now().UnixNano())}
	if real := os.Getenv("KAFKA_BROKERS"); real != "" {
		command := os.Getenv("KAFKA_RESTART")
		if command == "" {
			t.Skip("KAFKA_BROKERS is set, but KAFKA_RESTART, the command that kills and starts that broker, is not")
		}
		c.brokers = strings.Split(real, ",")
		c.client = c.open()
		return c, func() {
			if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", command, err, out)
			}
		}
	}
	dir := t.TempDir()
	start := func(port int) {
		fake, err := kfake.NewCluster(kfake.Ports(port), kfake.NumBrokers(1), kfake.DataDir(dir), kfake.GroupMinSessionTimeout(100*time.Millisecond))
		must(t, err)
		c.fake = fake
	}
	start(0)
	t.Cleanup(func() { c.fake.Close() })
	c.brokers = c.fake.ListenAddrs()
	_, text, err := net.SplitHostPort(c.brokers[0])
	must(t, err)
	port, err := strconv.Atoi(text)
	must(t, err)
	c.client = c.open()
	return c, func() {
		c.fake.Close()
		<-time.After(700 * time.Millisecond) // the outage: nobody listens
		start(port)
	}
}

// A broker that goes away and comes back with its data: no write fails, everything that was acknowledged is read, and the
// group commits again.
func TestOverABrokersRestart(t *testing.T) {
	c, restart := restartable(t)
	topic := c.topic("over", 2)
	m := c.member(c.group("over", topic))
	first := m.next(t, 2)

	ctx, stop := context.WithCancel(within(t, 2*time.Minute))
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	read, written := make(chan string, 1_000_000), make(chan string, 1_000_000)
	all.Go(func() {
		must(t, c.client.Tail(ctx, topic, FromFirst(), func(r Record) error { read <- string(r.Value); return nil }))
	})
	p, restarted := c.producer(), make(chan struct{})
	var writers sync.WaitGroup
	slowest := make([]time.Duration, 4)
	for w := range slowest {
		writers.Go(func() {
			for i, after := 0, 0; after < 50; i++ {
				v := fmt.Sprintf("%d.%d", w, i)
				start := time.Now()
				if err := p.Write(within(t, 30*time.Second), Record{Topic: topic, Key: []byte(v), Value: []byte(v)}); err != nil {
					t.Errorf("after %s: %v", time.Since(start), err)
					return
				}
				slowest[w] = max(slowest[w], time.Since(start))
				written <- v
				select {
				case <-restarted:
					after++
				default:
				}
			}
		})
	}
	for len(read) < 200 {
		<-time.After(time.Millisecond)
	}
	start := time.Now()
	restart()
	down := time.Since(start)
	close(restarted)
	writers.Wait()
	close(written)
	there := map[string]bool{}
	for v := range written {
		for !there[v] {
			select {
			case one := <-read:
				there[one] = true
			case <-ctx.Done():
				t.Fatalf("%s was acknowledged and not read", v)
			}
		}
	}
	stop()
	t.Logf("%d written over an outage of %s, the slowest took %s", len(there), down, slices.Max(slowest))

	for gen := first; ; gen = m.next(t, 2) { // each that the restart ended is refused
		err := gen.Commit(within(t, 20*time.Second), map[TopicPartition]int64{{topic, 0}: 1})
		if err == nil {
			break
		}
		t.Logf("generation %d: %v", gen.ID, err)
	}
}

// Leaders that move, again and again, under readers and writers: nothing acknowledged is missing, and nothing is reported as
// trouble.
func TestUnderMovingLeaders(t *testing.T) {
	if os.Getenv("KAFKA_BROKERS") != "" {
		t.Skip("moving leaders needs the embedded brokers, KAFKA_BROKERS is set")
	}
	fake, err := kfake.NewCluster(kfake.Ports(0, 0, 0), kfake.NumBrokers(3))
	must(t, err)
	t.Cleanup(fake.Close)
	c := &cluster{t: t, fake: fake, brokers: fake.ListenAddrs(), suffix: "moving"}
	c.client = c.open()
	topic := c.topic("leaders", 3)
	ctx, stop := context.WithCancel(within(t, time.Minute))
	defer stop()
	read := make(chan string, 1_000_000)
	var readers, writers sync.WaitGroup
	for partition := range 3 {
		readers.Go(func() {
			f := c.client.Fetcher(TopicPartition{topic, partition}, First, FetchOptions{MaxWait: 100 * time.Millisecond})
			for ctx.Err() == nil {
				records, err := f.Fetch(ctx)
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				for _, r := range records {
					read <- string(r.Value)
				}
			}
		})
	}
	p, moved := c.producer(), make(chan struct{})
	written := make(chan string, 1_000_000)
	for w := range 4 {
		writers.Go(func() {
			for i, done := 0, false; !done; i++ {
				v := fmt.Sprintf("%d.%d", w, i)
				if err := p.Write(ctx, Record{Topic: topic, Key: []byte(v), Value: []byte(v)}); err != nil {
					t.Error(err)
					return
				}
				written <- v
				select {
				case <-moved:
					done = true
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
	for i := range 12 {
		seen := len(read)
		must(t, fake.MoveTopicPartition(topic, int32(i%3), int32((i/3+i)%3)))
		for len(read) < seen+50 {
			<-time.After(time.Millisecond)
		}
	}
	close(moved)
	writers.Wait()
	close(written)
	there := map[string]int{}
	for v := range written {
		for there[v] == 0 {
			select {
			case one := <-read:
				there[one]++
			case <-ctx.Done():
				t.Fatalf("%s was acknowledged and not read", v)
			}
		}
	}
	stop()
	readers.Wait()
}
