// Package consumer reads refund requests and delayed messages as a member of a consumer group, runs them in lanes, and
// does with each what the Handler's Verdict says: done, later (a delay topic), dead (the dead letters), again, abandon.
// It decides how a message waits, never what it means.
//
// It guarantees:
//   - an offset is committed only when everything before it in its partition is done, written to a delay topic with all
//     acknowledgements, or written to the dead letters likewise; what is not is delivered again, so delivery is at least
//     once, across kill -9, rebalances and outages;
//   - works of one lane never run at the same time in this process, and start in the order of their offsets;
//   - memory is bounded, whatever the backlog: the partitions share a window of deliveries under way;
//   - a message that waits (not due, a slow lane, a dead letter that cannot be written) stops no other partition.
//
// It knows the package kafka alone.
package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/kafka"
)

// Topics are the names of the system's topics, as configured under kafka.topics. The consumer reads Requests and the delay
// topics and writes DeadLetters and the delay topics; the others are here for Specs.
type Topics struct {
	Requests    string // refund.requests
	Status      string // refund.status
	DeadLetters string // refund.requests.dlq
	DelayPrefix string // refund.delay. ; the duration follows
	Control     string // refund.control
	Audit       string // refund.audit
}

// OutOfRange says what to do when the committed offset of a partition is gone, or past the end.
type OutOfRange string

// The choices.
const (
	OutOfRangeAlarm    OutOfRange = "alarm"    // stop this partition, say so in Ready and the log, look again every 30 s
	OutOfRangeEarliest OutOfRange = "earliest" // say so in the log and go on at the oldest record there is
)

// Config of a Consumer. Zero values have the defaults named.
type Config struct {
	Group          string
	Topics         Topics
	Delays         Delays
	MaxInFlight    int           // works that run at the same time; 512
	SessionTimeout time.Duration // 10 s
	DrainTimeout   time.Duration // 15 s: how long works under way may take to end at a rebalance or stop
	OnOutOfRange   OutOfRange    // alarm
	StuckAfter     time.Duration // 2 min: a partition without progress for so long makes Ready fail
	// Panicked, where given, decides instead of Dead(ReasonInternal) after a work's third panic: a place to record that
	// the refund's outcome is not known. It runs in the work's lane.
	Panicked func(context.Context, Delivery, error) Verdict
	Log      zerolog.Logger
	Metrics  Metrics
}

// Metrics are hooks, each may be nil. Labels are closed sets and the configured topics. They are called from many
// goroutines and must not block.
type Metrics struct {
	// Delivered counts deliveries by topic and what came of them: done, later, dead, again, abandoned, panic.
	Delivered func(topic, verdict string)
	// DeadLetter counts dead letters written.
	DeadLetter func(Reason)
	// Delayed counts messages written to delay topics.
	Delayed func(Cause, time.Duration)
	// InFlight is the number of works running now.
	InFlight func(int)
	// Trouble counts what failed at the brokers and is tried again: join, fetch, commit, write.
	Trouble func(step string, err error)
}

// Writer is what the consumer needs of kafka.Producer: nil means that all records are acknowledged.
type Writer interface {
	Write(ctx context.Context, records ...kafka.Record) error
}

// Consumer is a member of a consumer group. Make it by New, then Run it once.
type Consumer struct {
	cfg     Config
	handler Handler
	writer  Writer
	delayer *Delayer
	lanes   *lanes
	delayOf map[string]time.Duration // by topic; the requests have none
	source  func(tp kafka.TopicPartition, offset int64, maxBytes int) source
	group   *kafka.Group

	joined         atomic.Bool // at least once
	mu             sync.Mutex
	session        *session
	withoutSession time.Time
	joinTrouble    error
}

// New checks the configuration. It does not dial. The client and the writer are closed by the caller, after Run has ended.
func New(client *kafka.Client, writer Writer, handler Handler, cfg Config) (*Consumer, error) {
	c, err := newConsumer(writer, handler, cfg)
	if err != nil {
		return nil, err
	}
	c.source = func(tp kafka.TopicPartition, offset int64, maxBytes int) source {
		return client.Fetcher(tp, offset, kafka.FetchOptions{MaxBytes: maxBytes})
	}
	topics := []string{c.cfg.Topics.Requests}
	for _, d := range c.cfg.Delays {
		topics = append(topics, c.cfg.Topics.Delay(d))
	}
	c.group, err = client.Group(kafka.GroupConfig{ID: c.cfg.Group, Topics: topics, SessionTimeout: c.cfg.SessionTimeout,
		DrainTimeout: c.cfg.DrainTimeout + hardStopGrace + commitTimeout, OnError: c.joinFailed})
	return c, err
}

func newConsumer(writer Writer, handler Handler, cfg Config) (*Consumer, error) {
	switch {
	case cfg.Group == "" || cfg.Topics.Requests == "" || cfg.Topics.DeadLetters == "" || cfg.Topics.DelayPrefix == "":
		return nil, errors.New("consumer: group and topics must be named")
	case cfg.MaxInFlight < 0 || cfg.SessionTimeout < 0 || cfg.DrainTimeout < 0 || cfg.StuckAfter < 0:
		return nil, errors.New("consumer: a limit is negative")
	case cfg.OnOutOfRange != "" && cfg.OnOutOfRange != OutOfRangeAlarm && cfg.OnOutOfRange != OutOfRangeEarliest:
		return nil, fmt.Errorf("consumer: on_out_of_range is %q, not alarm or earliest", cfg.OnOutOfRange)
	}
	delays, err := NewDelays(cfg.Delays...)
	if err != nil {
		return nil, err
	}
	cfg.Delays = delays
	orElse(&cfg.MaxInFlight, 512)
	orElse(&cfg.SessionTimeout, 10*time.Second)
	orElse(&cfg.DrainTimeout, 15*time.Second)
	orElse(&cfg.StuckAfter, 2*time.Minute)
	c := &Consumer{cfg: cfg, handler: handler, writer: writer, delayer: NewDelayer(writer, cfg.Topics, cfg.Delays),
		lanes: newLanes(cfg.MaxInFlight, cfg.Metrics.InFlight), delayOf: map[string]time.Duration{}}
	for _, d := range cfg.Delays {
		c.delayOf[cfg.Topics.Delay(d)] = d
	}
	return c, nil
}

func orElse[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// Run joins the group and works until ctx ends, then drains (see Config.DrainTimeout), commits, leaves, and returns nil.
// Trouble with the brokers does not end it: Ready and the log tell.
func (c *Consumer) Run(ctx context.Context) error {
	watched := make(chan struct{})
	watching, stop := context.WithCancel(ctx)
	go func() {
		defer close(watched)
		c.watch(watching)
	}()
	defer func() { stop(); <-watched }()
	return c.group.Run(ctx, func(ctx context.Context, gen *kafka.Generation) error {
		return c.work(ctx, gen, gen.Assigned)
	})
}

// work is one generation.
func (c *Consumer) work(ctx context.Context, gen generation, assigned []kafka.Assignment) error {
	s := c.newSession(gen, assigned)
	c.setSession(s)
	defer c.setSession(nil)
	c.cfg.Log.Info().Int("partitions", len(assigned)).Msg("partitions assigned")
	return s.run(ctx)
}

func (c *Consumer) setSession(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session, c.withoutSession, c.joinTrouble = s, time.Now(), nil
	c.joined.Store(true)
}

func (c *Consumer) joinFailed(err error) {
	c.mu.Lock()
	c.joinTrouble = err
	c.mu.Unlock()
	c.cfg.Metrics.trouble("join", err)
	c.cfg.Log.Warn().Err(err).Msg("joining the group; trying again")
}
