package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/sandbox"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// noted keeps what is written.
type noted struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *noted) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *noted) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

const (
	aCard       = "4111111111111111"
	aMaskedCard = "411111******1111"
)

// heard is all that a system said to the outside.
type heard struct {
	mu    sync.Mutex
	told  map[string]string // what was said, by where
	final map[string]bool   // refunds that ended
	dead  int
}

func (h *heard) event(e statuslog.Entry) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told["event "+string(e.Key)] += string(e.Value) + fmt.Sprint(e.Headers)
	if strings.Contains(string(e.Value), `"final":true`) {
		_, no, _ := strings.Cut(string(e.Key), "/")
		h.final[no] = true
	}
	return nil
}

func (h *heard) letter(d consumer.DeadLetter, r kafka.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dead++
	h.told[fmt.Sprint("dead letter ", h.dead)] = d.Error
	return nil
}

func (h *heard) ended(refunds, letters int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.final) >= refunds && h.dead >= letters
}

// Refunds that go well and badly, callbacks that are right and forged, at the most
// talkative level: no secret is in a log, an event, a dead letter's error, a metric
// or /readyz, no card's number is in what a gateway's words became, and each refund
// that ended has one line.
func TestNoSecretIsTold(t *testing.T) {
	log := &noted{}
	system, err := sandbox.Start(t.Context(), sandbox.Options{Log: log, Change: func(c *config.Config) {
		c.Log = config.Log{Level: "trace", Format: "json"}
	}})
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		if err := system.Stop(); err != nil {
			t.Error(err)
		}
	})
	defer stop()
	key, err := os.ReadFile(filepath.Join(filepath.Dir(system.ConfigFile), "merchant.pem"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{"sandbox-secret", "PRIVATE KEY", strings.Split(string(key), "\n")[3]} // eftPay's, and BluePay's key
	client, err := app.NewClient(system.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	all := &heard{told: map[string]string{}, final: map[string]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { _ = client.Watch(ctx, all.event) })
	watching.Go(func() { _ = client.WatchDeadLetters(ctx, all.letter) })
	defer watching.Wait()
	defer cancel()

	scripts := map[string]gatewaysim.Step{
		"S1": {}, "S2": {Result: gatewaysim.Decline, Code: "12", Message: "card " + aCard + " is closed\x1b[2J"},
		"S3": gatewaysim.TimeOutAfter(), "S4": {Answer: gatewaysim.Garbage}, "S5": {Answer: gatewaysim.Unsigned}, "S6": gatewaysim.ErrorAfter(),
		"S7": {Answer: gatewaysim.UnknownStatus},
	}
	for no, step := range scripts {
		if err := system.Gateways.Script(no, step); err != nil {
			t.Fatal(err)
		}
		publish(t, client, eftPay(no, "1.00"))
	}
	publish(t, client, `{"refund_no":"B1","merchant":"`+sandbox.BluePayMerchant+`","transaction_id":"CU1","amount":"5.00","order_amount":"5.00","currency":"THB"}`)
	publish(t, client, `{"refund_no":"X","merchant":"`+aCard+`","amount":"1"}`)
	forge := fmt.Sprintf(`{"sign":%q,"merchant_trade_no":"S1","reason":"%s"}`, strings.Repeat("0", 64), aCard)
	answer, err := http.Post(system.Bridge+"/v1/callbacks/"+sandbox.EftPayMerchant, "application/json", strings.NewReader(forge))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a forged callback is answered with %d", answer.StatusCode)
	}
	eventually(t, "every refund to end", func() bool { return all.ended(len(scripts)+1, 1) })
	for _, admin := range []string{system.Config.Worker.Admin, system.Config.Bridge.Admin} {
		for _, path := range []string{"/metrics", "/readyz"} {
			all.told[admin+path] = get(t, "http://"+admin+path)
		}
	}
	cancel()
	watching.Wait()
	stop()

	all.told["the log"] = log.String()
	for where, text := range all.told {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q", where, secret)
			}
		}
		if strings.Contains(text, aCard) && !strings.HasPrefix(where, "dead letter") {
			t.Errorf("%s shows a card: %s", where, text)
		}
		if strings.Contains(text, "\x1b") {
			t.Errorf("%s holds what a terminal obeys: %q", where, text)
		}
	}
	if event := all.told["event "+sandbox.EftPayMerchant+"/S2"]; !strings.Contains(event, aMaskedCard) {
		t.Errorf("the declined refund's words are lost: %s", event)
	}
	lines := finished(t, all.told["the log"])
	for no := range all.final {
		if lines[no] != 1 {
			t.Errorf("refund %s has %d lines", no, lines[no])
		}
	}
}

func publish(t *testing.T, client *app.Client, message string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := client.Publish(ctx, nil, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

// finished counts the lines of refunds that ended, at the level info.
func finished(t *testing.T, log string) map[string]int {
	t.Helper()
	count := map[string]int{}
	for line := range strings.Lines(log) {
		var l struct {
			Level, Message, Status, Merchant, Provider string
			RefundNo                                   string `json:"refund_no"`
			Attempt                                    *int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if l.Message == "refund" && l.Level == "info" {
			count[l.RefundNo]++
			if l.Merchant == "" || l.Provider == "" || l.Attempt == nil {
				t.Errorf("a field is missing: %s", line)
			}
		}
	}
	return count
}

// A worker whom Kafka and Redis refuse says so, at /readyz and in its log, and
// never by which password.
func TestRefusedPasswordsAreNotTold(t *testing.T) {
	const secret, theirs = "c4n4ry-of-ours", "c4n4ry-of-theirs"
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "worker", theirs))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	redis := miniredis.RunT(t)
	redis.RequireUserAuth("worker", theirs)
	for _, kafkaPassword := range []string{secret, theirs} { // with the right one it gets as far as Redis
		t.Run(kafkaPassword, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "refundworker.yaml")
			text := fmt.Sprintf(`kafka:
  brokers: [%q]
  sasl: {mechanism: PLAIN, username: worker, password: %s}
  create_topics: {enabled: true, partitions: 1, replication: 1}
redis: {addrs: [%q], username: worker, password: %s}
worker: {admin: %q}
merchants:
  - name: shop
    provider: eftpay
    base_url: http://127.0.0.1:1
    currency: HKD
    eftpay: {user_confirm_key: shop, secret: %s}
`, cluster.ListenAddrs()[0], kafkaPassword, redis.Addr(), secret, freeAddress(t), secret)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := app.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			log := &noted{}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- app.Worker(ctx, cfg, app.Logger(config.Log{Level: "trace"}, log)) }()
			said := ""
			eventually(t, "words about what is refused", func() bool {
				said = ready(cfg.Worker.Admin)
				return strings.Contains(said, "redis:") && strings.Contains(log.String(), `"step":"start: `)
			})
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			for where, text := range map[string]string{"/readyz": said, "the log": log.String()} {
				if strings.Contains(text, secret) || strings.Contains(text, theirs) {
					t.Errorf("%s shows a password: %s", where, text)
				}
			}
			t.Log(said)
		})
	}
}

func ready(admin string) string {
	answer, err := http.Get("http://" + admin + "/readyz")
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(answer.Body)
	return body.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// In console lines what came from outside does nothing to the terminal.
func TestConsoleLinesAreHarmless(t *testing.T) {
	var out bytes.Buffer
	log := app.Logger(config.Log{Level: "info", Format: "console"}, &out)
	log.Info().Str("words", "a\x1b[2Jb\r\n\u202e "+aCard).Str("refund_no", aCard).Err(fmt.Errorf("x\x07\u009b31m")).Msg("two\nlines\x1b[31m of " + aCard)
	text := out.String()
	for _, bad := range []string{"\x1b", "\r", "\x07", "\u009b", "\u202e", "two\nlines"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q holds %q", text, bad)
		}
	}
	if strings.Count(text, "\n") != 1 || strings.Count(text, aMaskedCard) != 2 || !strings.Contains(text, "refund_no="+aCard) {
		t.Errorf("%q", text)
	}
}
