//go:build unix

package realparts_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/realparts"
	"github.com/refundworker/refundworker/internal/refund"
)

// The worker's rights of docs/security.md, with what the page adds for a cluster,
// are enough for every step at one.
func TestRightsAtARedisCluster(t *testing.T) {
	if os.Getenv("REAL_PARTS") == "" {
		t.Skip("REAL_PARTS is not set: make test-real sets it, and starts a real Redis Cluster")
	}
	text, err := os.ReadFile(page)
	must(t, err)
	user := regexp.MustCompile(`(?m)^user worker (.*)$`).FindStringSubmatch(string(text))
	more := regexp.MustCompile("A Redis Cluster also needs `([^`]+)`").FindStringSubmatch(string(text))
	if user == nil || more == nil {
		t.Fatal("the page has no such rights")
	}
	nodes, err := realparts.StartRedisCluster(t.TempDir())
	must(t, err)
	var addrs []string
	for _, node := range nodes {
		t.Cleanup(node.Kill)
		addrs = append(addrs, node.Addr)
		args := append([]string{"-u", "redis://" + node.Addr, "acl", "setuser", "worker"}, strings.Fields(user[1]+" "+more[1])...)
		if out, err := exec.CommandContext(within(t, 10*time.Second), "redis-cli", args...).CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "OK") {
			t.Fatalf("%v: %s", err, out)
		}
	}
	client := dedupe.Dial(dedupe.Address{Addrs: addrs, Username: "worker", Password: "secret"})
	defer client.Close()
	store := dedupe.New(client, dedupe.Options{Prefix: "refund", Retention: 400 * 24 * time.Hour})
	ctx := within(t, time.Minute)
	must(t, store.Check(ctx))
	merchants := []string{"one", "two", "three", "four"}
	must(t, store.Writable(ctx, merchants...))
	hkd, _ := refund.CurrencyOf("HKD")
	for _, merchant := range merchants {
		token, err := store.Lock(ctx, merchant, 10*time.Second)
		must(t, err)
		_, err = store.Finish(ctx, merchant, token, 0)
		must(t, err)
		amount := refund.Money{Minor: 100, Currency: hkd}
		request := refund.Request{Key: refund.Key{Merchant: merchant, RefundNo: "R1"}, OrderNo: "o", Amount: amount, OrderAmount: amount, Flow: refund.FlowRefund}
		claimed, err := store.Claim(ctx, refund.Claim{Request: request, Provider: "eftpay", Order: "o", Token: "t", Lease: 10 * time.Second, Place: "p/0/1",
			FirstSeen: time.Now(), Limits: refund.Limits{Rate: 10, MaxRefundsPerOrder: 5, OrderInterval: time.Second}})
		must(t, err)
		if claimed.Answer != refund.Yours {
			t.Fatalf("answer %d", claimed.Answer)
		}
		recorder := &refund.Recorder{Records: store, Publisher: silent{}, Fresh: 5 * time.Second}
		rec, err := recorder.Publish(ctx, claimed.Record, nil)
		must(t, err)
		_, err = recorder.Note(ctx, rec, refund.News{Source: refund.FromWorker, Token: "t", Outcome: refund.Outcome{Class: refund.Succeeded}}, nil)
		must(t, err)
		must(t, store.Note(ctx, merchant, "0:1"))
	}
}

// silent is a status topic that takes everything.
type silent struct{}

func (silent) Publish(context.Context, refund.Record) error { return nil }
