package app_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/sandbox"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// house is a worker with a configuration of its own, on a sandbox's Kafka, Redis
// and gateways.
type house struct {
	t       *testing.T
	system  *sandbox.System
	file    string
	at      map[string]string // addresses of its own
	cfg     *config.Config
	client  *app.Client
	log     *noted
	hangups chan os.Signal

	mu     sync.Mutex
	status map[string]string // by refund_no: of its newest event
	heads  map[string]string // and its headers
	dead   []string          // reasons
}

const houseYAML = `kafka:
  brokers: [KAFKA]
  group: GROUP
  session_timeout: 6s
  topics: {requests: own.requests, status: own.status, dead_letters: own.dlq, delay_prefix: own.delay., control: own.control, audit: own.audit}
  create_topics: {enabled: true, partitions: 4, replication: 1}
redis: {addrs: [REDIS], key_prefix: own, failover_grace: 1s}
bridge: {admin: ATBRIDGE, listen: CALLBACKS, timeout: 1s}
worker: {admin: ADMIN, drain_timeout: 2s, claim_lease: 15s, delays: [1s, 2s, 1h]}
MORE
merchants:
`

const houseMerchant = `  - name: NAME
    provider: eftpay
    base_url: GATEWAYSPREFIX
    currency: HKD
    timeout: 1s
    resend_after: 25s
    rate: RATE
    concurrency: 8
    eftpay: {user_confirm_key: NAME, secret: "${file:NAME.secret}", notify_url: "http://CALLBACKS/v1/callbacks/NAME"}
`

const another = "S0007777"

func newHouse(t *testing.T, options ...app.Option) *house {
	t.Helper()
	system, err := sandbox.Start(t.Context(), sandbox.Options{Merchants: []string{another}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := system.Stop(); err != nil {
			t.Error(err)
		}
	})
	h := &house{t: t, system: system, file: filepath.Join(t.TempDir(), "own.yaml"), log: &noted{}, hangups: make(chan os.Signal, 1), status: map[string]string{}, heads: map[string]string{}}
	h.secret(sandbox.EftPayMerchant, "sandbox-secret")
	h.secret(another, "sandbox-secret")
	admin := freeAddress(t)
	h.at = map[string]string{"ADMIN": admin, "ATBRIDGE": freeAddress(t), "CALLBACKS": freeAddress(t)}
	h.write(nil, sandbox.EftPayMerchant)
	if h.cfg, err = app.Load(h.file); err != nil {
		t.Fatal(err)
	}
	clients, err := app.Load(h.file) // a configuration is not for concurrent use
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- app.Worker(ctx, h.cfg, app.Logger(config.Log{Level: "info"}, h.log), append(options, app.ReloadOn(h.hangups))...)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the worker ended with %v", err)
		}
		if t.Failed() {
			t.Log(h.log.String())
		}
	})
	if h.client, err = app.NewClient(clients); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the worker", func() bool { return strings.HasPrefix(ready(admin), "ready") })
	var watching sync.WaitGroup
	watched, stop := context.WithCancel(t.Context())
	watching.Go(func() { _ = h.client.Watch(watched, h.event) })
	watching.Go(func() { _ = h.client.WatchDeadLetters(watched, h.letter) })
	t.Cleanup(func() {
		stop()
		watching.Wait()
		h.client.Close()
	})
	return h
}

func (h *house) event(e statuslog.Entry) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, no, _ := strings.Cut(string(e.Key), "/")
	_, rest, _ := strings.Cut(string(e.Value), `"status":"`)
	h.status[no], _, _ = strings.Cut(rest, `"`)
	h.heads[no] = ""
	for _, header := range e.Headers {
		h.heads[no] += fmt.Sprintf("%s: %s\n", header.Key, header.Value)
	}
	return nil
}

func (h *house) headers(no string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heads[no]
}

func (h *house) letter(d consumer.DeadLetter, _ kafka.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dead = append(h.dead, string(d.Reason))
	return nil
}

func (h *house) await(no string, statuses ...string) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("%s to be %v", no, statuses), func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, s := range statuses {
			if h.status[no] == s {
				return true
			}
		}
		return false
	})
}

func (h *house) secret(merchant, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(h.file), merchant+".secret"), []byte(text+"\n"), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// write writes the configuration with changes and these merchants.
func (h *house) write(changes map[string]string, merchants ...string) {
	h.t.Helper()
	values := map[string]string{
		"KAFKA": h.system.Kafka, "REDIS": h.system.Redis, "GATEWAYS": h.system.GatewayURL, "PREFIX": h.system.Gateways.Prefix(),
		"GROUP": "own", "MORE": "", "RATE": "100",
	}
	for _, more := range []map[string]string{h.at, changes} {
		for name, value := range more {
			values[name] = value
		}
	}
	text := houseYAML
	for _, m := range merchants {
		text += strings.ReplaceAll(houseMerchant, "NAME", m)
	}
	for name, value := range values {
		text = strings.ReplaceAll(text, name, value)
	}
	if err := os.WriteFile(h.file, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// reload sends SIGHUP and waits until the log says this once more.
func (h *house) reload(says string) {
	h.t.Helper()
	before := strings.Count(h.log.String(), says)
	h.hangups <- syscall.SIGHUP
	eventually(h.t, "the log to say "+says, func() bool { return strings.Count(h.log.String(), says) > before })
}

func (h *house) publish(merchant, no string) {
	h.t.Helper()
	publish(h.t, h.client, strings.Replace(eftPay(no, "1.00"), sandbox.EftPayMerchant, merchant, 1))
}

// SIGHUP takes new merchants and secrets, or nothing at all, and says which.
func TestReload(t *testing.T) {
	h := newHouse(t)
	const taken, kept = "the new configuration is in use", "nothing of the new one is taken"
	h.publish(sandbox.EftPayMerchant, "R1")
	h.await("R1", "SUCCEEDED")

	// A file that is wrong.
	h.write(map[string]string{"MORE": "colour: blue"}, sandbox.EftPayMerchant, another)
	h.reload(kept)
	// One that only a restart can take: nothing of it is, not the merchant either.
	h.write(map[string]string{"GROUP": "other", "MORE": "log: {level: debug}"}, sandbox.EftPayMerchant, another)
	h.reload(kept)
	for _, word := range []string{`unknown key \"colour\"`, `"changed":["kafka.group","log.level"]`} {
		if !strings.Contains(h.log.String(), word) {
			t.Errorf("the log does not say %s", word)
		}
	}
	h.publish(another, "N1")
	eventually(t, "a dead letter", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.dead) == 1 && h.dead[0] == "unknown_merchant"
	})
	h.publish(sandbox.EftPayMerchant, "R2")
	h.await("R2", "SUCCEEDED")

	// A merchant more.
	h.write(nil, sandbox.EftPayMerchant, another)
	h.reload(taken)
	h.publish(another, "N2")
	h.await("N2", "SUCCEEDED")
	h.reload("the configuration has not changed")

	// A secret that is wrong, then right again.
	h.secret(sandbox.EftPayMerchant, "another secret")
	h.reload(taken)
	h.publish(sandbox.EftPayMerchant, "R3")
	h.await("R3", "UNKNOWN", "WAITING")
	h.secret(sandbox.EftPayMerchant, "sandbox-secret")
	h.reload(taken)
	h.publish(sandbox.EftPayMerchant, "R4")
	h.await("R4", "SUCCEEDED")

	counted := scrape(t, h.cfg.Worker.Admin)
	for result, want := range map[string]float64{"applied": 3, "unchanged": 1, "refused": 2} {
		if got := counted[fmt.Sprintf("refund_config_reloads_total{result=%q}", result)]; got != want {
			t.Errorf("%v reloads were %s, want %v", got, result, want)
		}
	}
	if counted[`refund_breaker_state{merchant="`+another+`",state="closed"}`] != 1 {
		t.Error("the new merchant has no breaker")
	}
	if strings.Contains(h.log.String(), "another secret") {
		t.Error("the log shows a secret")
	}
}

// Reloads under load lose nothing and pay nothing twice.
func TestReloadUnderLoad(t *testing.T) {
	h := newHouse(t)
	const refunds = 60
	published := make(chan struct{})
	go func() {
		defer close(published)
		for i := range refunds {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			if err := h.client.Publish(ctx, nil, []byte(eftPay(fmt.Sprint("L", i), "1.00"))); err != nil {
				t.Error(err)
			}
			cancel()
		}
	}()
	reloads := 0
	for done := false; !done || reloads < 10; reloads++ {
		h.write(map[string]string{"RATE": fmt.Sprint(100 + reloads)}, sandbox.EftPayMerchant, another)
		h.reload("the new configuration is in use")
		select {
		case <-published:
			done = true
		default:
		}
	}
	for i := range refunds {
		h.await(fmt.Sprint("L", i), "SUCCEEDED")
	}
	paid := map[string]int{}
	for _, entry := range h.system.Gateways.Ledger() {
		paid[entry.RefundNo]++
	}
	for i := range refunds {
		if n := paid[fmt.Sprint("L", i)]; n != 1 {
			t.Errorf("L%d was paid %d times", i, n)
		}
	}
	t.Logf("%d refunds, %d reloads", refunds, reloads)
}
