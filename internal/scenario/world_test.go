// Package scenario plays outages and backlogs against the whole system: worker and
// bridge as internal/app wires them, on embedded Kafka and Redis, with gateways
// that are slow, silent or away. It holds promise 5 (DESIGN.md, section 1): an
// outage costs time only, one merchant's trouble never another's.
package scenario

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/sandbox"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// world is a running system, what its subscribers have seen, and each merchant's
// gateway.
type world struct {
	t        testing.TB
	system   *sandbox.System
	client   *app.Client
	parts    app.Parts
	gateways map[string]*gateway

	mu      sync.Mutex
	newest  map[refund.Key]statuslog.Entry
	ended   map[refund.Key]time.Time // when a subscriber saw its first final event
	letters int
	changed chan struct{}
}

// settings of a world.
type settings struct {
	merchants []string
	change    func(*config.Config)
	merchant  func(*config.Merchant) // of each of them
}

func newWorld(t testing.TB, s settings) *world {
	t.Helper()
	w := &world{t: t, gateways: map[string]*gateway{}, newest: map[refund.Key]statuslog.Entry{}, ended: map[refund.Key]time.Time{}, changed: make(chan struct{})}
	for _, name := range s.merchants {
		w.gateways[name] = newGateway(t)
	}
	own := "." + strings.ToLower(rand.Text()[:6]) // real parts are shared
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	var err error
	w.system, err = sandbox.Start(ctx, sandbox.Options{Log: logOf(t), Merchants: s.merchants, Kafka: os.Getenv("KAFKA_BROKERS"), Redis: os.Getenv("REDIS_ADDR"), Change: func(cfg *config.Config) {
		cfg.Log.Level = "warn"
		cfg.Kafka.Group += own
		cfg.Redis.KeyPrefix += own
		topics := &cfg.Kafka.Topics
		for _, name := range []*string{&topics.Requests, &topics.Status, &topics.DeadLetters, &topics.Control, &topics.Audit} {
			*name += own
		}
		topics.DelayPrefix = "delay" + own + "."
		for i := range cfg.Merchants {
			m := &cfg.Merchants[i]
			if g := w.gateways[m.Name]; g != nil {
				m.BaseURL = "http://" + g.addr + "/VMP"
				if s.merchant != nil {
					s.merchant(m)
				}
			}
		}
		if s.change != nil {
			s.change(cfg)
		}
	}})
	w.must(err)
	t.Cleanup(func() {
		if err := w.system.Stop(); err != nil {
			t.Errorf("the system ended with %v", err)
		}
	})
	for _, g := range w.gateways {
		g.serve(w.system.Gateways.Handler())
	}
	w.client, err = app.NewClient(w.system.Config)
	w.must(err)
	w.parts = w.client.Parts()
	var watching sync.WaitGroup
	watching.Go(func() { w.ends(w.client.Watch(ctx, w.tookEvent)) })
	watching.Go(func() { w.ends(w.client.WatchDeadLetters(ctx, w.tookLetter)) })
	t.Cleanup(func() { cancel(); watching.Wait(); w.client.Close() })
	return w
}

func logOf(t testing.TB) *testLog { return &testLog{t: t} }

// testLog is what worker and bridge write, as the test's own log.
type testLog struct{ t testing.TB }

func (l *testLog) Write(p []byte) (int, error) {
	if testing.Verbose() {
		l.t.Logf("%s", strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) ends(err error) {
	if err != nil {
		w.t.Errorf("watching: %v", err)
	}
}

func (w *world) tookEvent(e statuslog.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old, known := w.newest[e.Status.Key]; known && old.Status.Sequence >= e.Status.Sequence {
		return nil
	}
	w.newest[e.Status.Key] = e
	if _, known := w.ended[e.Status.Key]; e.Status.Status.Final() && !known {
		w.ended[e.Status.Key] = time.Now()
	}
	w.tell()
	return nil
}

func (w *world) tookLetter(consumer.DeadLetter, kafka.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.letters++
	w.tell()
	return nil
}

func (w *world) tell() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// publish writes n requests of a merchant, each of an order of its own, and answers
// their keys.
func (w *world) publish(merchant, batch string, n int) []refund.Key {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	keys := make([]refund.Key, n)
	records := make([]kafka.Record, n)
	for i := range n {
		keys[i] = refund.Key{Merchant: merchant, RefundNo: fmt.Sprintf("%s-%s-%d", merchant, batch, i)}
		order := fmt.Sprintf("order-%s-%s-%d", merchant, batch, i)
		value, err := json.Marshal(map[string]string{"refund_no": keys[i].RefundNo, "merchant": merchant, "order_no": order, "currency": "HKD",
			"amount": "0.10", "order_amount": "1.00", "method": "WeChat", "wallet": "WECHATCN", "reason": "goods were returned"})
		w.must(err)
		records[i] = kafka.Record{Topic: w.parts.Topics.Requests, Key: []byte(order), Value: value}
	}
	w.must(w.parts.Producer.Write(ctx, records...))
	return keys
}

// write publishes a message as it is.
func (w *world) write(value string, headers ...kafka.Header) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w.must(w.client.Publish(ctx, []byte("key"), []byte(value), headers...))
}

var errSeen = errors.New("seen")

func ignoring(one, err error) error {
	if errors.Is(err, one) {
		return nil
	}
	return err
}

// await waits until all of these have ended, and answers when each did.
func (w *world) await(keys []refund.Key, within time.Duration) []time.Time {
	w.t.Helper()
	timeout := time.After(within)
	for {
		w.mu.Lock()
		changed, times := w.changed, make([]time.Time, 0, len(keys))
		for _, k := range keys {
			if at, is := w.ended[k]; is {
				times = append(times, at)
			}
		}
		w.mu.Unlock()
		if len(times) == len(keys) {
			return times
		}
		select {
		case <-changed:
		case <-timeout:
			w.t.Fatalf("%d of %d have ended within %s", len(times), len(keys), within)
		}
	}
}

// succeeded checks that each of these succeeded, and that there is no dead letter.
func (w *world) succeeded(keys []refund.Key) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range keys {
		if s := w.newest[k].Status; s.Status != refund.StatusSucceeded {
			w.t.Errorf("%s is %s %s %s", k, s.Status, s.Code, s.Message)
		}
	}
	if w.letters > 0 {
		w.t.Errorf("%d dead letters", w.letters)
	}
}

// delayed counts the messages of a merchant on the delay topics: by refund number,
// and by topic.
func (w *world) delayed(merchant string) (times map[string]int, topics map[string]int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	times, topics = map[string]int{}, map[string]int{}
	for _, d := range w.parts.Delays {
		topic := w.parts.Topics.Delay(d)
		_, err := w.parts.Kafka.Scan(ctx, topic, kafka.FromFirst(), func(r kafka.Record) error {
			var request struct {
				Merchant string `json:"merchant"`
				RefundNo string `json:"refund_no"`
			}
			err := json.Unmarshal(r.Value, &request)
			if request.Merchant == merchant {
				times[request.RefundNo]++
				topics[consumer.DelayName(d)]++
			}
			return err
		})
		w.must(err)
	}
	return times, topics
}

// audit holds topics and books against the promises.
func (w *world) audit() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	report, err := w.system.Audit(ctx)
	w.must(err)
	if !report.OK() {
		w.t.Errorf("%s", report)
	}
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
