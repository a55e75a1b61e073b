package sandbox_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/refundworker/refundworker/sandbox"
)

// request is what a shop publishes.
func request(no, amount string) string {
	return fmt.Sprintf(`{"refund_no":%q,"merchant":%q,"order_no":"order-%s","amount":%q,"order_amount":"1000.00","currency":"HKD","method":"WeChat","wallet":"WECHATCN"}`,
		no, sandbox.EftPay, no, amount)
}

// A publisher and a subscriber with a Kafka client of their own.
func TestAPublisherAndASubscriber(t *testing.T) {
	s := sandbox.Start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers), kgo.ConsumeTopics(s.StatusTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: s.RequestTopic, Key: []byte("order-R1"), Value: []byte(request("R1", "1.00"))}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var statuses []string
	for len(statuses) < 2 {
		fetched := client.PollFetches(ctx)
		if err := fetched.Err0(); err != nil {
			t.Fatal(err)
		}
		fetched.EachRecord(func(r *kgo.Record) {
			for _, word := range []string{"PENDING", "SUCCEEDED"} {
				if strings.Contains(string(r.Value), `"status":"`+word+`"`) {
					statuses = append(statuses, word)
				}
			}
		})
	}
	if strings.Join(statuses, " ") != "PENDING SUCCEEDED" {
		t.Errorf("%v", statuses)
	}
	s.Audit()
}

func TestAwaitBehavePaymentsAndDeadLetters(t *testing.T) {
	s := sandbox.Start(t)
	s.Behave(sandbox.EftPay, "D1", "decline")
	s.Behave(sandbox.EftPay, "T1", "timeout_after")
	for _, no := range []string{"R1", "D1", "T1"} {
		s.Publish(request(no, "1.00"))
	}
	s.Publish(`{"refund_no":"B1","merchant":"` + sandbox.BluePay + `","transaction_id":"CU1","amount":"5.00","order_amount":"5.00","currency":"THB"}`)
	s.Publish("no JSON")

	if e := s.Await(sandbox.EftPay, "R1"); e.Status != "SUCCEEDED" || e.Amount != "1.00" || e.Currency != "HKD" || e.Attempt != 1 || e.RecordedAt.IsZero() || len(e.Raw) == 0 {
		t.Errorf("%+v", e)
	}
	if e := s.Await(sandbox.EftPay, "D1"); e.Status != "FAILED" || e.Error == nil || e.Error.Code == "" {
		t.Errorf("%+v", e)
	}
	s.AwaitStatus(sandbox.EftPay, "T1", "UNKNOWN")
	if e := s.Await(sandbox.EftPay, "T1"); e.Status != "SUCCEEDED" || e.Source != "query" {
		t.Errorf("%+v", e)
	}
	if e := s.Await(sandbox.BluePay, "B1"); e.Status != "SUCCEEDED" || !e.OrderFullyRefunded {
		t.Errorf("%+v", e)
	}
	if l := s.AwaitDeadLetter(1); l.Reason != "undecodable" || string(l.Value) != "no JSON" {
		t.Errorf("%+v", l)
	}
	if n := len(s.Events(sandbox.EftPay, "R1")); n != 2 {
		t.Errorf("%d events of R1", n)
	}
	paid := map[string]int64{}
	for _, p := range s.Payments() {
		paid[p.RefundNo] += p.Minor
	}
	if fmt.Sprint(paid) != "map[B1:500 R1:100 T1:100]" {
		t.Errorf("paid %v", paid)
	}
	s.Audit()
}

// What cannot be fails the test, in words.
func TestWaitingInVainSaysWhatCame(t *testing.T) {
	s := sandbox.Start(t)
	s.Publish(request("R1", "1.00"))
	s.Await(sandbox.EftPay, "R1")
	for name, try := range map[string]func(*sandbox.Sandbox){
		"no final status":          func(s *sandbox.Sandbox) { s.Await(sandbox.EftPay, "R2") },
		"no status REVIEW":         func(s *sandbox.Sandbox) { s.AwaitStatus(sandbox.EftPay, "R1", "REVIEW") },
		"no dead letter number 1":  func(s *sandbox.Sandbox) { s.AwaitDeadLetter(1) },
		`no behaviour "whistling"`: func(s *sandbox.Sandbox) { s.Behave(sandbox.EftPay, "R1", "whistling") },
		`no merchant "nobody"`:     func(s *sandbox.Sandbox) { s.Behave("nobody", "R1", "decline") },
	} {
		if said := failure(s, try); !strings.Contains(said, name) || strings.Contains(said, "within") && !strings.Contains(said, "R1 SUCCEEDED") {
			t.Errorf("%s: %q", name, said)
		}
	}
}

// failing is a test that notes why it fails.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	panic(f)
}

// failure is what a step said that failed its test.
func failure(s *sandbox.Sandbox, try func(*sandbox.Sandbox)) (said string) {
	f := &failing{}
	defer func() {
		if p := recover(); p != nil && p != any(f) {
			panic(p)
		}
		said = f.said
	}()
	hasty := s.For(f)
	hasty.Patience = 50 * time.Millisecond
	try(hasty)
	return ""
}
