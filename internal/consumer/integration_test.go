package consumer

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/refundworker/refundworker/internal/kafka"
)

// broker is an embedded one, or the real one at KAFKA_BROKERS. Names carry a suffix, so that tests share a real one.
type broker struct {
	t        *testing.T
	addrs    []string
	client   *kafka.Client
	producer *kafka.Producer
	topics   Topics
	delays   Delays
	group    string
	session  time.Duration // the shortest that the broker allows
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	suffix := "." + strings.ToLower(rand.Text()[:8])
	b := &broker{t: t, group: "g" + suffix, session: 6 * time.Second, delays: Delays{time.Second, 2 * time.Second},
		topics: Topics{Requests: "requests" + suffix, Status: "status" + suffix, DeadLetters: "dlq" + suffix, DelayPrefix: "delay" + suffix + ".", Control: "control" + suffix, Audit: "audit" + suffix}}
	if real := os.Getenv("KAFKA_BROKERS"); real != "" {
		b.addrs = strings.Split(real, ",")
	} else {
		fake, err := kfake.NewCluster(kfake.Ports(0), kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(fake.Close)
		b.addrs, b.session = fake.ListenAddrs(), 2*time.Second
	}
	b.open()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	specs := Specs(b.topics, b.delays, 6, 1)
	if err := b.client.EnsureTopics(ctx, specs); err != nil {
		t.Fatal(err)
	}
	if drifts, err := b.client.CheckTopics(ctx, specs); err != nil || len(drifts) > 0 {
		t.Fatal(drifts, err)
	}
	return b
}

func (b *broker) open() {
	client, err := kafka.Open(kafka.Config{Brokers: b.addrs})
	if err != nil {
		b.t.Fatal(err)
	}
	b.client, b.producer = client, client.Producer()
	b.t.Cleanup(func() { b.producer.Close(); client.Close() })
}

func (b *broker) config() Config {
	return Config{Group: b.group, Topics: b.topics, Delays: b.delays, MaxInFlight: 64, SessionTimeout: b.session, DrainTimeout: 5 * time.Second,
		Log: zerolog.New(zerolog.NewTestWriter(b.t)).Level(zerolog.WarnLevel)}
}

// run starts a member. The answer stops it and waits.
func (b *broker) run(cfg Config, handler HandlerFunc) (stop func()) {
	b.t.Helper()
	c, err := New(b.client, b.producer, handler, cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
}

func (b *broker) publish(from, to int) {
	b.t.Helper()
	var records []kafka.Record
	for i := from; i < to; i++ {
		records = append(records, kafka.Record{Topic: b.topics.Requests, Key: fmt.Appendf(nil, "order-%d", i%50), Value: []byte(strconv.Itoa(i))})
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	if err := b.producer.Write(ctx, records...); err != nil {
		b.t.Fatal(err)
	}
}

// records of a topic, all of them.
func (b *broker) records(topic string) (all []kafka.Record) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	if _, err := b.client.Scan(ctx, topic, kafka.FromFirst(), func(r kafka.Record) error { all = append(all, r); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return all
}

// untaken is what the group has not committed of a topic.
func (b *broker) untaken(topic string) int64 {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	n, err := untaken(ctx, b.client, b.group, topic)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// seen counts deliveries by value, and finds two at a time.
type seen struct {
	t      *testing.T
	mu     sync.Mutex
	times  map[string]int
	inside map[string]bool
	change chan struct{}
	ended  time.Time     // when the last delivery did
	pause  time.Duration // the longest between two
}

func newSeen(t *testing.T) *seen {
	return &seen{t: t, times: map[string]int{}, inside: map[string]bool{}, change: make(chan struct{}, 1)}
}

// handler is the lanes by key; work sits between the entry and the exit of each delivery.
func (s *seen) handler(work func(context.Context, Delivery) Verdict) HandlerFunc {
	return func(d Delivery) (string, Work) {
		return string(d.Key), func(ctx context.Context) Verdict {
			value := string(d.Value)
			s.mu.Lock()
			if s.inside[value] {
				s.t.Errorf("%s is handled by two at once", value)
			}
			s.inside[value] = true
			s.mu.Unlock()
			defer func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.inside[value] = false
				s.times[value]++
				now := time.Now()
				if !s.ended.IsZero() {
					s.pause = max(s.pause, now.Sub(s.ended))
				}
				s.ended = now
				select {
				case s.change <- struct{}{}:
				default:
				}
			}()
			return work(ctx, d)
		}
	}
}

func (s *seen) await(n int) {
	s.t.Helper()
	timeout := time.After(90 * time.Second)
	for {
		s.mu.Lock()
		have := len(s.times)
		s.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-s.change:
		case <-timeout:
			s.t.Fatalf("%d of %d came", have, n)
		}
	}
}

func (s *seen) more() (doubled int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.times {
		doubled += n - 1
	}
	return doubled
}

func TestEverythingIsHandledOnceAndCommitted(t *testing.T) {
	b := newBroker(t)
	s := newSeen(t)
	b.publish(0, 500)
	stop := b.run(b.config(), s.handler(func(context.Context, Delivery) Verdict { return Done() }))
	s.await(500)
	b.publish(500, 1000)
	s.await(1000)
	stop()
	if s.more() != 0 || b.untaken(b.topics.Requests) != 0 {
		t.Fatalf("%d doubled, %d not committed", s.more(), b.untaken(b.topics.Requests))
	}
}

// Members come and go (1, 2, 1, 2, 3, 1) while a backlog is worked off: no delivery is handled by two at once, none is
// lost, and never does the whole group stand still for ten seconds. Those that ended before an older one of their
// partition had begun come again.
func TestRebalances(t *testing.T) {
	b := newBroker(t)
	s := newSeen(t)
	const n = 2000
	b.publish(0, n)
	handler := s.handler(func(context.Context, Delivery) Verdict {
		time.Sleep(time.Duration(5+len(s.change)*5) * time.Millisecond) // the work itself
		return Done()
	})
	cfg := b.config()
	cfg.MaxInFlight = 8
	one := b.run(cfg, handler)
	s.await(200)
	two := b.run(cfg, handler)
	s.await(600)
	one()
	s.await(900)
	three := b.run(cfg, handler)
	s.await(1100)
	four := b.run(cfg, handler)
	s.await(1300)
	two()
	four()
	s.await(n)
	three()
	t.Logf("%d of %d came again; the longest pause was %s", s.more(), n, s.pause.Round(time.Millisecond))
	if s.more() > n/4 || b.untaken(b.topics.Requests) != 0 {
		t.Fatalf("%d doubled, %d not committed", s.more(), b.untaken(b.topics.Requests))
	}
	if s.pause > 10*time.Second {
		t.Errorf("the group stood still for %s", s.pause)
	}
}

// A request is parked, follows up, and ends, over real delay topics.
func TestThroughTheDelayTopics(t *testing.T) {
	b := newBroker(t)
	s := newSeen(t)
	type visit struct {
		cause    Cause
		followUp int
		origin   string
		at       time.Time
	}
	var mu sync.Mutex
	visits := map[string][]visit{}
	handler := s.handler(func(_ context.Context, d Delivery) Verdict {
		mu.Lock()
		defer mu.Unlock()
		visits[string(d.Value)] = append(visits[string(d.Value)], visit{d.Cause, d.FollowUp, d.Origin, time.Now()})
		switch len(visits[string(d.Value)]) {
		case 1:
			return Later(time.Second, CauseParked, 0)
		case 2:
			return Later(3*time.Second, CauseFollowUp, 1)
		}
		return Done()
	})
	b.publish(0, 20)
	stop := b.run(b.config(), handler)
	for deadline := time.Now().Add(60 * time.Second); ; <-s.change {
		mu.Lock()
		ended := 0
		for _, v := range visits {
			if len(v) == 3 {
				ended++
			}
		}
		mu.Unlock()
		if ended == 20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d ended", ended)
		}
	}
	stop()
	for value, v := range visits {
		if v[0].cause != "" || v[1].cause != CauseParked || v[2].cause != CauseFollowUp || v[2].followUp != 1 ||
			v[1].origin != v[0].origin || v[2].origin != v[0].origin || !strings.HasPrefix(v[0].origin, b.topics.Requests+"/") {
			t.Errorf("%s: %+v", value, v)
		}
		for i, least := range []time.Duration{time.Second, 2 * time.Second} {
			if took := v[i+1].at.Sub(v[i].at); took < least || took > least+2*time.Second {
				t.Errorf("%s: came after %s, want %s", value, took, least)
			}
		}
	}
	for _, topic := range []string{b.topics.Requests, b.topics.Delay(time.Second), b.topics.Delay(2 * time.Second)} {
		if left := b.untaken(topic); left != 0 {
			t.Errorf("%s: %d not committed", topic, left)
		}
	}
}

func TestAPoisonMessageGoesToTheDeadLettersAndThePartitionGoesOn(t *testing.T) {
	b := newBroker(t)
	s := newSeen(t)
	poison := kafka.Record{Topic: b.topics.Requests, Key: []byte("order-1"), Value: []byte{0xff, 0x00, 'x'}, Headers: []kafka.Header{{Key: "h", Value: []byte{0}}}}
	b.publish(0, 50)
	if err := b.producer.Write(t.Context(), poison); err != nil {
		t.Fatal(err)
	}
	b.publish(50, 100)
	stop := b.run(b.config(), s.handler(func(_ context.Context, d Delivery) Verdict {
		if d.Value[0] == 0xff {
			panic("what is this?")
		}
		return Done()
	}))
	s.await(101)
	for len(b.records(b.topics.DeadLetters)) == 0 {
		<-s.change // each try
	}
	stop()
	letters := b.records(b.topics.DeadLetters)
	if len(letters) != 1 || b.untaken(b.topics.Requests) != 0 {
		t.Fatalf("%d dead letters, %d not committed", len(letters), b.untaken(b.topics.Requests))
	}
	l := letters[0]
	if string(l.Key) != "order-1" || string(l.Value) != "\xff\x00x" || header(l.Headers, "h") != "\x00" || header(l.Headers, "dlq-reason") != "internal" || header(l.Headers, "dlq-topic") != b.topics.Requests {
		t.Fatalf("dead letter %+v", l)
	}
}

// The check at start, on topics as they are.
func TestCheckDelaysOnABroker(t *testing.T) {
	b := newBroker(t)
	d := NewDelayer(b.producer, b.topics, b.delays)
	if err := d.Write(t.Context(), Delayed{Value: []byte("v"), After: 2 * time.Second, Cause: CauseRetry}); err != nil {
		t.Fatal(err)
	}
	check := func(delays Delays) error { return CheckDelays(t.Context(), b.client, b.group, b.topics, delays) }
	if err := check(b.delays); err != nil {
		t.Fatal(err)
	}
	if err := check(Delays{time.Second}); err == nil || !strings.Contains(err.Error(), "holds 1 messages") {
		t.Fatal(err)
	}
	s := newSeen(t)
	stop := b.run(b.config(), s.handler(func(context.Context, Delivery) Verdict { return Done() }))
	s.await(1)
	stop()
	if err := check(Delays{time.Second}); err != nil {
		t.Fatal(err)
	}
}

// kill -9 at any instant and start again: everything is handled at least once, nothing is committed that was not.
func TestKillNine(t *testing.T) {
	if os.Getenv("CONSUMER_TEST_BROKERS") != "" {
		t.Skip("this is the child")
	}
	b := newBroker(t)
	b.session /= 2
	if os.Getenv("KAFKA_BROKERS") != "" {
		b.session = 6 * time.Second // the shortest that a real broker allows
	}
	const n = 1200
	b.publish(0, n)
	handled := map[string]int{}
	kills := 0
	for len(handled) < n && kills < 40 {
		child := exec.Command(os.Args[0], "-test.run=^TestChildConsumer$", "-test.v")
		child.Env = append(os.Environ(), "CONSUMER_TEST_BROKERS="+strings.Join(b.addrs, ","), "CONSUMER_TEST_GROUP="+b.group,
			"CONSUMER_TEST_SUFFIX="+strings.TrimPrefix(b.group, "g"), "CONSUMER_TEST_SESSION="+b.session.String())
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for i := 0; i < 300 && len(handled) < n && lines.Scan(); {
			if value, is := strings.CutPrefix(lines.Text(), "handled "); is {
				handled[value]++
				i++
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, out)
		_ = child.Wait()
		kills++
	}
	doubled := 0
	for _, times := range handled {
		doubled += times - 1
	}
	t.Logf("%d kills, %d handled again", kills, doubled)
	if len(handled) != n || kills < 4 {
		t.Fatalf("%d of %d were handled over %d kills", len(handled), n, kills)
	}
	// What the kills left uncommitted comes again to the next one, and no more than that.
	s := newSeen(t)
	left := b.untaken(b.topics.Requests)
	stop := b.run(b.config(), s.handler(func(context.Context, Delivery) Verdict { return Done() }))
	s.await(int(left))
	stop()
	if b.untaken(b.topics.Requests) != 0 || int64(len(s.times)) != left {
		t.Fatalf("%d were left, %d came, %d are left", left, len(s.times), b.untaken(b.topics.Requests))
	}
}

// TestChildConsumer is the process that TestKillNine kills: it says which it has handled.
func TestChildConsumer(t *testing.T) {
	brokers := os.Getenv("CONSUMER_TEST_BROKERS")
	if brokers == "" {
		t.Skip("only as the child of TestKillNine")
	}
	session, err := time.ParseDuration(os.Getenv("CONSUMER_TEST_SESSION"))
	if err != nil {
		t.Fatal(err)
	}
	suffix := os.Getenv("CONSUMER_TEST_SUFFIX")
	b := &broker{t: t, addrs: []string{brokers}, group: os.Getenv("CONSUMER_TEST_GROUP"), session: session, delays: Delays{time.Second, 2 * time.Second},
		topics: Topics{Requests: "requests" + suffix, DeadLetters: "dlq" + suffix, DelayPrefix: "delay" + suffix + "."}}
	b.open()
	var n atomic.Int64
	cfg := b.config()
	cfg.MaxInFlight = 4
	stop := b.run(cfg, func(d Delivery) (string, Work) {
		return string(d.Key), func(context.Context) Verdict {
			time.Sleep(20 * time.Millisecond) // the work itself: some commits fall into a child's life
			fmt.Printf("handled %s\n", d.Value)
			n.Add(1)
			return Done()
		}
	})
	defer stop()
	<-t.Context().Done() // until it is killed
}
