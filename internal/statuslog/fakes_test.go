package statuslog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/dedupe/memstore"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

const (
	statusTopic  = "refund.status"
	controlTopic = "refund.control"
	quiet        = 30 * time.Second
)

var hkd = refund.Currency{Code: "HKD", Exponent: 2}

// topics are one-partition topics in memory, as Reader and Writer.
type topics struct {
	mu      sync.Mutex
	records map[string][]kafka.Record
	scans   []int64 // where each scan of the status topic began
	err     error   // of reading
	writing error   // of writing
	during  func()  // not nil: called at each record of the status topic that is read
}

func newTopics() *topics { return &topics{records: map[string][]kafka.Record{}} }

func (t *topics) Write(_ context.Context, records ...kafka.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.writing != nil {
		return t.writing
	}
	for _, r := range records {
		r.Offset = int64(len(t.records[r.Topic]))
		t.records[r.Topic] = append(t.records[r.Topic], r)
	}
	return nil
}

// first answers an offset of a From, whose fields are the kafka package's own: it is told by what the From prints.
func first(from kafka.From) (offset int64) {
	var at int64
	if _, err := fmt.Sscanf(fmt.Sprintf("%v", from), "{{0 0 <nil>} map[0:%d]", &at); err == nil {
		return at
	}
	return 0
}

func (t *topics) Scan(_ context.Context, topic string, from kafka.From, each func(kafka.Record) error) (map[int]int64, error) {
	t.mu.Lock()
	records, err, during := slices.Clone(t.records[topic]), t.err, t.during
	begin := first(from)
	if topic == statusTopic {
		t.scans = append(t.scans, begin)
	}
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if begin > int64(len(records)) {
		return nil, &kafka.OutOfRangeError{Offset: begin, End: int64(len(records))}
	}
	for _, r := range records[begin:] {
		if during != nil && topic == statusTopic {
			during()
		}
		if err := each(r); err != nil {
			return nil, err
		}
	}
	return map[int]int64{0: int64(len(records))}, nil
}

func (t *topics) Tail(context.Context, string, kafka.From, func(kafka.Record) error) error {
	return errors.New("not here")
}

func (t *topics) Spans(_ context.Context, topic string) ([]kafka.Span, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return []kafka.Span{{End: int64(len(t.records[topic]))}}, t.err
}

func (t *topics) set(change func(*topics)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(t)
}

// Publish is the refund.Publisher.
func (t *topics) Publish(ctx context.Context, rec refund.Record) error {
	return t.Write(ctx, statusRecord(rec))
}

func statusRecord(rec refund.Record) kafka.Record {
	key, value, headers := events.EncodeStatus(rec)
	return kafka.Record{Topic: statusTopic, Key: key, Value: value, Headers: events.As[kafka.Header](headers)}
}

// chains are the follow-ups that were left.
type chains struct {
	mu   sync.Mutex
	left map[string]int // key -> number of the follow-up
	err  error
}

func (c *chains) FollowUp(_ context.Context, rec refund.Record, _ time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.left == nil {
		c.left = map[string]int{}
	}
	c.left[rec.Key().String()] = rec.FollowUp + 1
	return nil
}

func (c *chains) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *chains) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.left)
}

// house is a keeper with everything around it, on the clock of the test's bubble.
type house struct {
	t       *testing.T
	store   *memstore.Store
	topics  *topics
	chains  *chains
	keeper  *Keeper
	log     bytes.Buffer
	mu      sync.Mutex
	rebuilt []Rebuilt
	failed  []error
	busy    []int      // Metrics.Rebuilding
	read    [][2]int64 // Metrics.Progress
}

// locked is the log of several goroutines.
type locked struct{ h *house }

func (l locked) Write(p []byte) (int, error) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	return l.h.log.Write(p)
}

func newHouse(t *testing.T, merchants ...string) *house {
	h := &house{t: t, store: memstore.New(memstore.Options{Retention: 400 * 24 * time.Hour, History: 1000}), topics: newTopics(), chains: &chains{}}
	h.keeper = h.another(merchants...)
	return h
}

// another keeper of the same store and topics: another process.
func (h *house) another(merchants ...string) *Keeper {
	if len(merchants) == 0 {
		merchants = []string{"S1"}
	}
	return NewKeeper(Config{
		Merchants: merchants, Index: h.store,
		Log:       &Log{Reader: h.topics, Topic: statusTopic},
		Control:   &Control{Reader: h.topics, Writer: h.topics, Topic: controlTopic},
		FollowUps: h.chains, After: refund.Schedule{10 * time.Second, time.Minute}.After,
		Quiet: quiet, Every: 5 * time.Second, Logger: zerolog.New(locked{h}),
		Metrics: Metrics{
			Rebuilt: func(r Rebuilt) {
				h.mu.Lock()
				defer h.mu.Unlock()
				r.Took = 0
				h.rebuilt = append(h.rebuilt, r)
			},
			Rebuilding: func(merchants int) {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.busy = append(h.busy, merchants)
			},
			Progress: func(read, of int64) {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.read = append(h.read, [2]int64{read, of})
			},
			Failed: func(_ string, err error) {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.failed = append(h.failed, err)
			},
		},
	})
}

// start runs a keeper until the answered function is called.
func (h *house) start(k *Keeper) (stop func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	ended := make(chan struct{})
	go func() { k.Run(ctx); close(ended) }()
	synctest.Wait()
	return func() { cancel(); <-ended }
}

// open waits until the merchant is open, and answers how long that took.
func (h *house) open(k *Keeper, merchant string) time.Duration {
	h.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(h.t.Context(), 10*time.Minute)
	defer cancel()
	if err := k.Ensure(ctx, merchant); err != nil {
		h.t.Fatalf("%s did not open: %v\n%s", merchant, err, h.log.String())
	}
	took := time.Since(began)
	synctest.Wait()
	return took
}

func request(merchant, no, order string, minor int64) refund.Request {
	return refund.Request{
		Key: refund.Key{Merchant: merchant, RefundNo: no}, OrderNo: order, Flow: refund.FlowRefund,
		Amount: refund.Money{Minor: minor, Currency: hkd}, OrderAmount: refund.Money{Minor: 1000, Currency: hkd},
	}
}

func claimOf(r refund.Request, token string) refund.Claim {
	return refund.Claim{
		Request: r, Provider: "eftpay", Order: r.OrderNo, Token: token, Lease: quiet, Place: "refund.requests/0/1", FirstSeen: time.Now(),
		Limits: refund.Limits{Rate: 100_000, MaxRefundsPerOrder: 50},
	}
}

func (h *house) claim(r refund.Request, token string) refund.Claimed {
	h.t.Helper()
	claimed, err := h.store.Claim(h.t.Context(), claimOf(r, token))
	if err != nil {
		h.t.Fatalf("claim of %s: %v", r.Key, err)
	}
	return claimed
}

// live takes a refund through claim, intent and, where given, the news of its call.
func (h *house) live(r refund.Request, class refund.Class) refund.Record {
	h.t.Helper()
	claimed := h.claim(r, "token "+r.RefundNo)
	if claimed.Answer != refund.Yours {
		h.t.Fatalf("claim of %s: %d", r.Key, claimed.Answer)
	}
	recorder := &refund.Recorder{Records: h.store, Publisher: h.topics, Fresh: 5 * time.Second}
	rec, err := recorder.Publish(h.t.Context(), claimed.Record, nil)
	if err == nil && class != refund.NoCall {
		var noted refund.Noted
		noted, err = recorder.Note(h.t.Context(), rec, refund.News{Source: refund.FromWorker, Token: rec.Token, Outcome: refund.Outcome{Class: class}}, nil)
		rec = noted.Record
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return rec
}

func (h *house) load(r refund.Request) refund.Record {
	h.t.Helper()
	rec, err := h.store.Load(h.t.Context(), r.Key)
	if err != nil {
		h.t.Fatal(err)
	}
	return rec
}
