// Package sandbox is the whole system for tests of those who publish refund
// requests or read refund statuses: a real worker and a real bridge on an embedded
// Kafka and Redis, with simulated gateways, in the test's own process. It starts in
// about a second, needs nothing installed, and takes free ports.
//
//	func TestOurShopRefunds(t *testing.T) {
//		s := sandbox.Start(t)
//		shop := newShop(s.Brokers, s.RequestTopic) // the program under test, with any Kafka client
//		shop.Refund("R1")
//		if event := s.Await(sandbox.EftPay, "R1"); event.Status != "SUCCEEDED" {
//			t.Errorf("R1 is %s: %+v", event.Status, event.Error)
//		}
//		s.Audit()
//	}
//
// It guarantees: what it runs is what runs in production, from the same
// constructors and the same form of configuration, with short delays; nothing
// outlives the test; every method that cannot do its work fails the test and says
// why.
package sandbox

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/sandbox"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// The merchants of the sandbox, and their currencies.
const (
	EftPay  = sandbox.EftPayMerchant  // at eftPay, in HKD: method, wallet and order_no are needed
	BluePay = sandbox.BluePayMerchant // at BluePay, in THB: transaction_id is needed
)

// Sandbox is a running system. Its methods are for the test's own goroutine; For
// makes one for a subtest.
type Sandbox struct {
	Brokers         string // host:port of Kafka, for any client
	RequestTopic    string // to publish to
	StatusTopic     string // to read
	DeadLetterTopic string
	CallbackURL     string // of the bridge; the merchant's name follows
	GatewayURL      string // of the simulated gateways; /ledger and /control are theirs
	ConfigFile      string // for refundctl --config
	// Patience is how long Await and its sisters wait; 30 s unless set.
	Patience time.Duration

	t testing.TB
	*shared
}

// shared is what a sandbox and those of its subtests have in common.
type shared struct {
	system *sandbox.System
	client *app.Client

	mu      sync.Mutex
	events  []Event
	letters []DeadLetter
	changed chan struct{} // closed and made anew with each of them
}

// For is the same system for a subtest, which then is the one that fails.
func (s *Sandbox) For(t testing.TB) *Sandbox {
	other := *s
	other.t = t
	return &other
}

// Start starts everything and stops it when the test ends.
func Start(t testing.TB) *Sandbox {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	system, err := sandbox.Start(ctx, sandbox.Options{})
	if err != nil {
		cancel()
		t.Fatalf("sandbox: %v", err)
	}
	t.Cleanup(func() {
		if err := system.Stop(); err != nil {
			t.Errorf("sandbox: %v", err)
		}
		cancel()
	})
	client, err := app.NewClient(system.Config)
	if err != nil {
		t.Fatalf("sandbox: %v", err)
	}
	topics := system.Config.Kafka.Topics
	s := &Sandbox{
		Brokers: system.Kafka, RequestTopic: topics.Requests, StatusTopic: topics.Status, DeadLetterTopic: topics.DeadLetters,
		CallbackURL: system.Bridge + "/v1/callbacks/", GatewayURL: system.GatewayURL, ConfigFile: system.ConfigFile, Patience: 30 * time.Second,
		t: t, shared: &shared{system: system, client: client, changed: make(chan struct{})},
	}
	var watching sync.WaitGroup
	watching.Go(func() { s.report(client.Watch(ctx, s.tookEvent)) })
	watching.Go(func() { s.report(client.WatchDeadLetters(ctx, s.tookLetter)) })
	t.Cleanup(func() { // before the system stops
		cancel()
		watching.Wait()
		client.Close()
	})
	return s
}

// report is told how a watch ended: nil where it was stopped.
func (s *Sandbox) report(err error) {
	if err != nil {
		s.t.Errorf("sandbox: %v", err)
	}
}

func (s *shared) tookEvent(e statuslog.Entry) error {
	event, err := readEvent(e.Value)
	if err != nil {
		return fmt.Errorf("a status event cannot be read: %w", err)
	}
	s.tell(func() { s.events = append(s.events, event) })
	return nil
}

func (s *shared) tookLetter(d consumer.DeadLetter, r kafka.Record) error {
	s.tell(func() {
		s.letters = append(s.letters, DeadLetter{Reason: string(d.Reason), Error: d.Error, Attempts: d.Attempts, Key: string(r.Key), Value: r.Value})
	})
	return nil
}

func (s *shared) tell(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Publish writes a message to the request topic as it is, as a publisher would.
func (s *Sandbox) Publish(message string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), s.Patience)
	defer cancel()
	if err := s.client.Publish(ctx, nil, []byte(message)); err != nil {
		s.t.Fatalf("sandbox: publish: %v", err)
	}
}

// Events answers the events of a refund so far, in the order of their topic.
func (s *Sandbox) Events(merchant, refundNo string) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var own []Event
	for _, e := range s.events {
		if e.Merchant == merchant && e.RefundNo == refundNo {
			own = append(own, e)
		}
	}
	return own
}

// Await waits for the final status of a refund: SUCCEEDED, FAILED or REJECTED.
func (s *Sandbox) Await(merchant, refundNo string) Event {
	s.t.Helper()
	return s.await(merchant, refundNo, "final status", func(e Event) bool { return e.Final })
}

// AwaitStatus waits for this status of a refund, which may have passed already.
func (s *Sandbox) AwaitStatus(merchant, refundNo, status string) Event {
	s.t.Helper()
	return s.await(merchant, refundNo, "status "+status, func(e Event) bool { return e.Status == status })
}

func (s *Sandbox) await(merchant, refundNo, what string, is func(Event) bool) (found Event) {
	s.t.Helper()
	s.until(fmt.Sprintf("refund %s of merchant %s: no %s", refundNo, merchant, what), func() bool {
		for _, e := range s.events {
			if e.Merchant == merchant && e.RefundNo == refundNo && is(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// AwaitDeadLetter waits for dead letter n, counted from 1, in the order in which
// they failed.
func (s *Sandbox) AwaitDeadLetter(n int) (found DeadLetter) {
	s.t.Helper()
	s.until(fmt.Sprintf("no dead letter number %d", n), func() bool {
		if n < 1 || n > len(s.letters) {
			return false
		}
		found = s.letters[n-1]
		return true
	})
	return found
}

// until waits for look, which is called under the lock, to be true.
func (s *Sandbox) until(otherwise string, look func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(s.Patience)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		found, changed := look(), s.changed
		s.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			s.t.Fatalf("sandbox: %s within %s; what came:\n%s", otherwise, s.Patience, s.everything())
		}
	}
}

// everything is what came, for the message of a test that waited in vain.
func (s *shared) everything() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := ""
	for _, e := range s.events {
		text += fmt.Sprintf("  %s/%s %s (sequence %d, %s)\n", e.Merchant, e.RefundNo, e.Status, e.Sequence, e.Source)
	}
	for _, l := range s.letters {
		text += fmt.Sprintf("  dead letter: %s: %s\n", l.Reason, l.Error)
	}
	if text == "" {
		text = "  nothing\n"
	}
	return text
}
