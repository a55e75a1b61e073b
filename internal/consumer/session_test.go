package consumer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/kafka"
)

var testTopics = Topics{Requests: "requests", Status: "status", DeadLetters: "dlq", DelayPrefix: "delay.", Control: "control", Audit: "audit"}

// world is a consumer on fakes, inside a synctest bubble: no sockets, no waiting.
type world struct {
	t       *testing.T
	c       *Consumer
	log     *syncBuffer
	gen     *fakeGeneration
	sources map[kafka.TopicPartition]*fakeSource

	mu      sync.Mutex
	written []kafka.Record
	fail    func(kafka.Record) error // of a write; nil: none
	counts  map[string]int           // by topic and verdict
}

func newWorld(t *testing.T, handler HandlerFunc, change ...func(*Config)) *world {
	w := &world{t: t, log: &syncBuffer{}, gen: &fakeGeneration{}, sources: map[kafka.TopicPartition]*fakeSource{}, counts: map[string]int{}}
	cfg := Config{Group: "g", Topics: testTopics, Delays: Delays{10 * time.Second, time.Minute}, MaxInFlight: 8, Log: zerolog.New(w.log)}
	cfg.Metrics.Delivered = func(topic, verdict string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.counts[verdict]++
	}
	for _, c := range change {
		c(&cfg)
	}
	c, err := newConsumer(w, handler, cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.source = func(tp kafka.TopicPartition, offset int64, _ int) source { return w.sources[tp] }
	w.c, w.gen.t = c, t
	return w
}

// Write is the Writer.
func (w *world) Write(ctx context.Context, records ...kafka.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range records {
		if w.fail != nil {
			if err := w.fail(r); err != nil {
				return err
			}
		}
		w.written = append(w.written, r)
	}
	return ctx.Err()
}

func (w *world) setFail(fail func(kafka.Record) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = fail
}

func (w *world) writes() []kafka.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.written)
}

func (w *world) count(verdict string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[verdict]
}

// put appends records with these values to a partition.
func (w *world) put(topic string, partition int, records ...kafka.Record) {
	w.source(topic, partition).put(records...)
}

func (w *world) source(topic string, partition int) *fakeSource {
	tp := kafka.TopicPartition{Topic: topic, Partition: partition}
	if w.sources[tp] == nil {
		w.sources[tp] = &fakeSource{tp: tp, more: make(chan struct{})}
	}
	return w.sources[tp]
}

// start runs one generation with all partitions. The answer ends it and waits.
func (w *world) start() (stop func()) {
	var assigned []kafka.Assignment
	for tp, s := range w.sources {
		assigned = append(assigned, kafka.Assignment{TopicPartition: tp, Offset: s.Offset()})
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error)
	go func() { done <- w.c.work(ctx, w.gen, assigned) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
}

func value(v string) kafka.Record {
	return kafka.Record{Key: []byte(v), Value: []byte(v), Time: time.Now()}
}

func many(n int) []kafka.Record {
	out := make([]kafka.Record, n)
	for i := range out {
		out[i] = value(fmt.Sprint(i))
	}
	return out
}

// byValue puts each delivery into the lane of its value.
func byValue(work func(ctx context.Context, d Delivery) Verdict) HandlerFunc {
	return func(d Delivery) (string, Work) {
		return string(d.Value), func(ctx context.Context) Verdict { return work(ctx, d) }
	}
}

type fakeSource struct {
	tp   kafka.TopicPartition
	mu   sync.Mutex
	log  []kafka.Record
	at   int64
	err  error // of the next Fetches
	more chan struct{}
}

func (s *fakeSource) put(records ...kafka.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		r.Topic, r.Partition, r.Offset = s.tp.Topic, s.tp.Partition, int64(len(s.log))
		s.log = append(s.log, r)
	}
	close(s.more)
	s.more = make(chan struct{})
}

func (s *fakeSource) setErr(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *fakeSource) Resolve(context.Context) error { return nil }

func (s *fakeSource) Fetch(ctx context.Context) ([]kafka.Record, error) {
	s.mu.Lock()
	more := s.more
	if s.err != nil {
		defer s.mu.Unlock()
		return nil, s.err
	}
	if s.at < int64(len(s.log)) {
		defer s.mu.Unlock()
		to := min(s.at+100, int64(len(s.log)))
		records := slices.Clone(s.log[s.at:to])
		s.at = to
		return records, nil
	}
	s.mu.Unlock()
	timer := time.NewTimer(500 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-more:
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return nil, nil
}

func (s *fakeSource) Offset() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *fakeSource) End() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.log))
}

func (s *fakeSource) SeekTo(offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.err = offset, nil
}

// fakeGeneration acknowledges commits, and finds a watermark that goes back.
type fakeGeneration struct {
	t         *testing.T
	mu        sync.Mutex
	committed map[kafka.TopicPartition]int64
	times     []time.Time
	alive     time.Time
	err       error
	check     func(tp kafka.TopicPartition, offset int64) // of each commit; may be nil
}

func (g *fakeGeneration) Commit(_ context.Context, offsets map[kafka.TopicPartition]int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		if errors.Is(g.err, kafka.ErrFenced) {
			g.alive = time.Time{}
		}
		return g.err
	}
	if g.committed == nil {
		g.committed = map[kafka.TopicPartition]int64{}
	}
	for tp, offset := range offsets {
		if offset < g.committed[tp] {
			g.t.Errorf("%s: the watermark went back from %d to %d", tp, g.committed[tp], offset)
		}
		g.committed[tp] = offset
		if g.check != nil {
			g.check(tp, offset)
		}
	}
	g.alive = time.Now()
	g.times = append(g.times, g.alive)
	return nil
}

func (g *fakeGeneration) SignOfLife() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.alive
}

func (g *fakeGeneration) setErr(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

func (g *fakeGeneration) at(topic string, partition int) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.committed[kafka.TopicPartition{Topic: topic, Partition: partition}]
}

func (g *fakeGeneration) commits() []time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.times)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// pass lets time go by, then waits until everybody has done what that made them do.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func header(headers []kafka.Header, name string) string {
	var found []string
	for _, h := range headers {
		if h.Key == name {
			found = append(found, string(h.Value))
		}
	}
	return strings.Join(found, " AND ")
}

func TestTheWatermarkWaitsForTheSlowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := newWorld(t, byValue(func(_ context.Context, d Delivery) Verdict {
			if d.Offset == 3 {
				<-release
			}
			return Done()
		}))
		w.put("requests", 0, many(10)...)
		stop := w.start()
		pass(5 * time.Second)
		if got := w.gen.at("requests", 0); got != 3 || w.count("done") != 9 {
			t.Errorf("committed %d, %d done", got, w.count("done"))
		}
		close(release)
		pass(2 * time.Second)
		if got := w.gen.at("requests", 0); got != 10 {
			t.Errorf("committed %d", got)
		}
		stop()
	})
}

// Unchanged offsets are committed too: each answer is a sign of life.
func TestCommitsEachSecondChangedOrNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, byValue(func(context.Context, Delivery) Verdict { return Done() }))
		w.put("requests", 0)
		stop := w.start()
		pass(10*time.Second + 10*time.Millisecond)
		times := w.gen.commits()
		if len(times) != 11 {
			t.Fatalf("%d commits", len(times))
		}
		for i := 1; i < len(times); i++ {
			if pause := times[i].Sub(times[i-1]); pause != time.Second {
				t.Errorf("commit %d after %s", i, pause)
			}
		}
		stop()
	})
}

func TestNothingIsHandedOutBeforeTheFirstSignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var alive time.Time
		w := newWorld(t, byValue(func(_ context.Context, d Delivery) Verdict { alive = d.Alive(); return Done() }))
		w.put("requests", 0, value("a"))
		w.gen.setErr(errors.New("the coordinator is loading"))
		stop := w.start()
		pass(time.Minute)
		if w.count("done") != 0 {
			t.Error("handed out")
		}
		if err := w.c.Ready(); err == nil || !strings.Contains(err.Error(), "no commit for 1m0s") {
			t.Errorf("ready: %v", err)
		}
		w.gen.setErr(nil)
		pass(time.Second)
		if w.count("done") != 1 || alive.IsZero() {
			t.Errorf("%d done, alive %s", w.count("done"), alive)
		}
		stop()
	})
}

// One lane with a huge backlog: other partitions flow, and what is buffered is bounded.
func TestABacklogOfOneLaneIsBoundedAndStarvesNoOtherPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(d Delivery) (string, Work) {
			lane := string(d.Value)
			if d.Partition == 0 {
				lane = "one order"
			}
			return lane, func(context.Context) Verdict { time.Sleep(time.Second); return Done() }
		})
		w.put("requests", 0, many(10_000)...)
		w.put("requests", 1, many(70)...)
		stop := w.start()
		pass(12 * time.Second) // 70 in 7 places, one after another: ten seconds
		if got := w.gen.at("requests", 1); got != 70 {
			t.Errorf("the other partition is at %d", got)
		}
		pass(20 * time.Second)
		if got := w.gen.at("requests", 0); got < 20 {
			t.Errorf("the long lane is at %d", got)
		}
		if read := w.source("requests", 0).Offset(); read > windowAll/2+200 {
			t.Errorf("%d were read ahead", read)
		}
		stop()
	})
}

func TestDelayedMessagesAreHandedOutExactlyWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		got := map[string]time.Duration{}
		var mu sync.Mutex
		w := newWorld(t, byValue(func(_ context.Context, d Delivery) Verdict {
			mu.Lock()
			defer mu.Unlock()
			got[string(d.Value)] = time.Since(start)
			return Done()
		}))
		at := func(v string, after time.Duration) kafka.Record {
			r := value(v)
			r.Time = start.Add(after)
			return r
		}
		w.put("delay.10s", 0, at("long due", -time.Hour), at("due in 3", -7*time.Second), at("due in 5", -5*time.Second))
		w.put("delay.1m", 0, at("due in 59", -time.Second), at("a clock ahead", time.Hour))
		w.put("requests", 0, value("request"))
		stop := w.start()
		pass(10 * time.Minute)
		want := map[string]time.Duration{"long due": 0, "due in 3": 3 * time.Second, "due in 5": 5 * time.Second,
			"due in 59": 59 * time.Second, "a clock ahead": 119 * time.Second, "request": 0}
		if !maps.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		stop()
	})
}

// The head of a delay topic that is not due holds nothing up: neither the other partitions nor a stop.
func TestAStopInterruptsTheWaitForADelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, byValue(func(context.Context, Delivery) Verdict { return Done() }))
		w.put("delay.1m", 0, value("later"))
		stop := w.start()
		pass(time.Second)
		start := time.Now()
		stop()
		if took := time.Since(start); took != 0 || w.gen.at("delay.1m", 0) != 0 || w.count("done") != 0 {
			t.Errorf("stopped after %s, committed %d, %d done", took, w.gen.at("delay.1m", 0), w.count("done"))
		}
	})
}

// Who goes and comes again, and another process after it, knows the time of a message that waits: it is the message's own.
func TestADueTimeSurvivesRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var came time.Duration
		handler := byValue(func(_ context.Context, d Delivery) Verdict {
			if d.Topic == "requests" {
				return Later(time.Minute, CauseRetry, 0)
			}
			came = time.Since(start)
			return Done()
		})
		w := newWorld(t, handler)
		w.put("requests", 0, value("x"))
		stop := w.start()
		pass(time.Second)
		stop()
		delayed := w.writes()[0]
		for range 4 { // each a new process, ten seconds apart and as long away
			w = newWorld(t, handler)
			w.put("delay.1m", 0, delayed)
			stop = w.start()
			pass(7 * time.Second)
			stop()
			pass(3 * time.Second)
		}
		w = newWorld(t, handler)
		w.put("delay.1m", 0, delayed)
		stop = w.start()
		pass(time.Minute)
		stop()
		if came != time.Minute {
			t.Errorf("it came after %s", came)
		}
	})
}

func TestDrainWaitsForWhatRunsAndDropsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(d Delivery) (string, Work) {
			return "lane", func(context.Context) Verdict { time.Sleep(4 * time.Second); return Done() }
		})
		w.put("requests", 0, many(3)...)
		stop := w.start()
		pass(1500 * time.Millisecond)
		commits := len(w.gen.commits())
		start := time.Now()
		stop()
		if took := time.Since(start); took != 2500*time.Millisecond || w.count("done") != 1 || w.gen.at("requests", 0) != 1 {
			t.Errorf("drained in %s, %d done, committed %d", took, w.count("done"), w.gen.at("requests", 0))
		}
		// 300 ms apart: heartbeats have stopped.
		if n := len(w.gen.commits()) - commits; n != 10 {
			t.Errorf("%d commits in a drain of 2.5 s", n)
		}
	})
}

func TestDrainEndsAtItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		w := newWorld(t, byValue(func(ctx context.Context, d Delivery) Verdict {
			if d.Offset == 0 {
				<-ctx.Done()
				ended <- ctx.Err()
				return Abandon()
			}
			return Done()
		}), func(c *Config) { c.DrainTimeout = 5 * time.Second })
		w.put("requests", 0, many(2)...)
		stop := w.start()
		pass(time.Second)
		start := time.Now()
		stop()
		if took := time.Since(start); took != 5*time.Second || len(ended) != 1 || w.gen.at("requests", 0) != 0 {
			t.Errorf("drained in %s, work ended %d, committed %d", took, len(ended), w.gen.at("requests", 0))
		}
	})
}

// A work that ignores its ctx cannot hold the group for ever. Its lane stays its own until it ends.
func TestAWorkThatDoesNotEndIsLeftBehindInItsLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, second := make(chan struct{}), make(chan struct{})
		w := newWorld(t, byValue(func(_ context.Context, d Delivery) Verdict {
			select {
			case <-release:
				close(second)
			default:
				<-release
			}
			return Done()
		}), func(c *Config) { c.DrainTimeout = 5 * time.Second })
		w.put("requests", 0, value("a"))
		stop := w.start()
		pass(time.Second)
		start := time.Now()
		stop()
		if took := time.Since(start); took != 5*time.Second+hardStopGrace || !strings.Contains(w.log.String(), "did not end in the drain") {
			t.Errorf("left after %s: %s", took, w.log)
		}
		w.source("requests", 0).SeekTo(0) // delivered again in the next generation
		stop = w.start()
		pass(time.Minute)
		if w.gen.at("requests", 0) != 0 {
			t.Error("the next one of the lane ran beside it")
		}
		close(release)
		<-second
		pass(2 * time.Second)
		if w.gen.at("requests", 0) != 1 {
			t.Error("not done")
		}
		stop()
	})
}

func TestFencedMeansNoMoreCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var atEnd time.Time
		w := newWorld(t, byValue(func(_ context.Context, d Delivery) Verdict {
			time.Sleep(10 * time.Second)
			atEnd = d.Alive()
			return Done()
		}))
		w.put("requests", 0, value("a"))
		done := make(chan struct{})
		go func() { // the generation ends by itself
			defer close(done)
			if err := w.c.work(t.Context(), w.gen, []kafka.Assignment{{TopicPartition: w.source("requests", 0).tp}}); err != nil {
				t.Error(err)
			}
		}()
		pass(1500 * time.Millisecond)
		w.gen.setErr(kafka.ErrFenced)
		start := time.Now()
		<-done
		if took := time.Since(start); took != 8500*time.Millisecond || w.gen.at("requests", 0) != 0 || !atEnd.IsZero() {
			t.Errorf("ended after %s, committed %d, alive %s", took, w.gen.at("requests", 0), atEnd)
		}
	})
}
