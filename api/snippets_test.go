package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/refundworker/refundworker/sandbox"
)

// What docs/publishers.md and docs/subscribers.md show in Go, between the marks. The
// documents have the same text; here it compiles, and runs on a whole system.

// snippet: publisher

// Refund is a refund request. Amounts are decimal strings: keep floats away from money.
type Refund struct {
	RefundNo      string `json:"refund_no"`
	Merchant      string `json:"merchant"`
	OrderNo       string `json:"order_no,omitempty"`
	TransactionID string `json:"transaction_id,omitempty"`
	Amount        string `json:"amount"`
	OrderAmount   string `json:"order_amount"`
	Currency      string `json:"currency"`
	Method        string `json:"method,omitempty"`
	Wallet        string `json:"wallet,omitempty"`
	Reason        string `json:"reason,omitempty"`
}

// Publish returns nil once all in-sync replicas have the request. After an error publish it again, under the same
// number: one number is one refund, however often it is published. kgo's default is an idempotent producer with acks=all.
func Publish(ctx context.Context, client *kgo.Client, r Refund) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	header := func(name, value string) kgo.RecordHeader { return kgo.RecordHeader{Key: name, Value: []byte(value)} }
	return client.ProduceSync(ctx, &kgo.Record{
		Topic: "refund.requests",
		Key:   []byte(r.OrderNo + r.TransactionID), // refunds of an order stay in order
		Value: value,
		Headers: []kgo.RecordHeader{ // a CloudEvent in binary mode; without them the bare JSON is taken too
			header("content-type", "application/json"), header("ce_specversion", "1.0"), header("ce_type", "refund.requested.v1"),
			header("ce_id", r.RefundNo), header("ce_source", "/shop"),
		},
	}).FirstErr()
}

// end of snippet

// snippet: subscriber

// Status is what this subscriber needs of a status event.
type Status struct {
	Merchant   string `json:"merchant"`
	RefundNo   string `json:"refund_no"`
	Sequence   int64  `json:"sequence"`
	Status     string `json:"status"`
	Final      bool   `json:"final"`
	Correction bool   `json:"correction"`
}

// Follow hands each event to apply until ctx ends, and commits what apply has made durable. apply may see an event twice,
// and late: it must ignore one whose sequence is not higher than the last that it applied to this refund.
//
// The client: kgo.ConsumeTopics("refund.status"), kgo.ConsumerGroup(...), kgo.DisableAutoCommit(),
// kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()): the topic is compacted, its beginning is the state of all refunds.
func Follow(ctx context.Context, client *kgo.Client, apply func(Status) error) error {
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		for record := range fetches.RecordsAll() {
			var s Status
			if err := json.Unmarshal(record.Value, &s); err != nil {
				return fmt.Errorf("offset %d of %s/%d: %w", record.Offset, record.Topic, record.Partition, err)
			}
			if err := apply(s); err != nil {
				return err
			}
		}
		if err := client.CommitUncommittedOffsets(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// end of snippet

// The snippets of the documents are those that run here.
func TestSnippetsAreThoseOfTheDocuments(t *testing.T) {
	source, err := os.ReadFile("snippets_test.go")
	if err != nil {
		t.Fatal(err)
	}
	marked := regexp.MustCompile(`(?s)\n// snippet: (\w+)\n\n(.*?)\n// end of snippet`)
	found := marked.FindAllSubmatch(source, -1)
	if len(found) != 2 {
		t.Fatalf("%d snippets in Go", len(found))
	}
	for _, s := range found {
		document, err := os.ReadFile(filepath.Join("..", "docs", string(s[1])+"s.md"))
		if err != nil {
			t.Fatal(err)
		}
		python, err := os.ReadFile(filepath.Join("snippets", string(s[1])+".py"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(document, append([]byte("```go\n"), append(s[2], "```\n"...)...)) {
			t.Errorf("docs/%ss.md shows other Go than api/snippets_test.go", s[1])
		}
		if !bytes.Contains(document, append([]byte("```python\n"), append(python, "```\n"...)...)) {
			t.Errorf("docs/%ss.md shows other Python than api/snippets/%s.py", s[1], s[1])
		}
	}
}

func TestSnippetsInGo(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no system is started")
	}
	s := sandbox.Start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	refund := Refund{RefundNo: "G1", Merchant: sandbox.EftPay, OrderNo: "O1", Amount: "0.10", OrderAmount: "10.00", Currency: "HKD", Method: "WeChat", Wallet: "WECHATHK"}
	for range 2 { // a repeat does no harm
		if err := Publish(t.Context(), client, refund); err != nil {
			t.Fatal(err)
		}
	}
	subscriber, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers), kgo.ConsumeTopics("refund.status"), kgo.ConsumerGroup("shop"),
		kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer subscriber.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	last := Status{}
	err = Follow(ctx, subscriber, func(event Status) error {
		if event.RefundNo == "G1" && event.Sequence > last.Sequence {
			if last = event; event.Final {
				cancel()
			}
		}
		return nil
	})
	if err != nil || last.Status != "SUCCEEDED" {
		t.Errorf("%+v, %v", last, err)
	}
	if paid := s.Payments(); len(paid) != 1 {
		t.Errorf("payments: %+v", paid)
	}
}

func TestSnippetsInPython(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no system is started")
	}
	if out, err := exec.Command("python3", "-c", "import confluent_kafka").CombinedOutput(); err != nil {
		t.Skipf("skipped: python3 with confluent-kafka is not here (pip install confluent-kafka): %v %s", err, out)
	}
	s := sandbox.Start(t)
	publisher := exec.Command("python3", "snippets/publisher.py", s.Brokers)
	publisher.Stdin = strings.NewReader(`{"refund_no":"P1","merchant":"` + sandbox.EftPay + `","order_no":"O1","amount":"0.10","order_amount":"10.00","currency":"HKD","method":"WeChat","wallet":"WECHATHK"}
{"refund_no":"P2","merchant":"` + sandbox.BluePay + `","transaction_id":"T1","amount":"20","order_amount":"100","currency":"THB"}
`)
	if out, err := publisher.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	subscriber := exec.CommandContext(ctx, "python3", "snippets/subscriber.py", s.Brokers, filepath.Join(t.TempDir(), "refunds.db"))
	var errs bytes.Buffer
	subscriber.Stderr = &errs
	out, err := subscriber.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := subscriber.Start(); err != nil {
		t.Fatal(err)
	}
	final := map[string]bool{}
	lines := bufio.NewScanner(out)
	for len(final) < 2 && lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 4 && f[3] == "final" {
			if f[2] != "SUCCEEDED" || final[f[1]] {
				t.Errorf("%s", lines.Text())
			}
			final[f[1]] = true
		}
	}
	if err := subscriber.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := subscriber.Wait(); err != nil || len(final) != 2 {
		t.Errorf("%v; final: %v\n%s", err, final, errs.String())
	}
	s.Audit()
}
