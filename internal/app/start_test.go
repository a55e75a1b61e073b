package app_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/dedupe"
)

// parts are where a daemon of these tests finds what it needs.
type parts struct{ kafka, redis, gateway, more string }

func (p parts) load(t *testing.T) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "refundworker.yaml")
	text := fmt.Sprintf(`kafka: {brokers: [%q]%s}
redis: {addrs: [%q]}
worker: {admin: %q}
bridge: {admin: %q, listen: %q}
merchants:
  - {name: shop, provider: eftpay, base_url: %q, currency: HKD, eftpay: {user_confirm_key: shop, secret: s}}
  - {name: shop2, provider: eftpay, base_url: %q, currency: HKD, eftpay: {user_confirm_key: shop2, secret: s}}
`, p.kafka, p.more, p.redis, freeAddress(t), freeAddress(t), freeAddress(t), p.gateway, p.gateway)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := app.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// running runs a daemon until the answered function is called.
func running(t *testing.T, d app.Daemon, cfg *config.Config) (log *noted, stop func() error) {
	t.Helper()
	dedupe.Quiet()
	log = &noted{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, cfg, app.Logger(config.Log{Level: "info"}, log)) }()
	return log, func() error {
		cancel()
		return <-ended
	}
}

const createTopics = ", create_topics: {enabled: true, partitions: 2, replication: 1}"

func fakeKafka(t *testing.T) string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()[0]
}

// While something is missing /readyz says what, and the process waits.
func TestReadyzSaysWhatIsWaitedFor(t *testing.T) {
	redis := miniredis.RunT(t)
	for name, row := range map[string]struct {
		parts parts
		says  []string
	}{
		"no Kafka": {parts{kafka: "127.0.0.1:1", redis: redis.Addr()},
			[]string{"kafka: kafka: brokers 127.0.0.1:1 do not answer: nobody listens there", "starting: waiting for kafka: kafka: brokers 127.0.0.1:1 do not answer: nobody listens there"}},
		"no Redis": {parts{kafka: fakeKafka(t), redis: "127.0.0.1:1", more: createTopics}, []string{"redis: ", "starting: waiting for redis: "}},
	} {
		for _, d := range []app.Daemon{app.WorkerDaemon, app.BridgeDaemon} {
			t.Run(name+", "+d.Name, func(t *testing.T) {
				row.parts.gateway = "http://127.0.0.1:1"
				cfg := row.parts.load(t)
				log, stop := running(t, d, cfg)
				eventually(t, "words", func() bool {
					said := ready(d.Admin(cfg))
					for _, words := range row.says {
						if !strings.Contains(said, words) {
							return false
						}
					}
					return true
				})
				if err := stop(); err != nil {
					t.Errorf("a start that is interrupted is no failure: %v", err)
				}
				if !strings.Contains(log.String(), "tried again until it succeeds") {
					t.Errorf("the log says nothing of it: %s", log)
				}
			})
		}
	}
}

// What does not pass by itself ends the start, in words that say what to do.
func TestTopicsThatAreMissingEndTheStart(t *testing.T) {
	cfg := parts{kafka: fakeKafka(t), redis: miniredis.RunT(t).Addr(), gateway: "http://127.0.0.1:1"}.load(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := app.Worker(ctx, cfg, app.Logger(config.Log{Level: "info"}, &noted{}))
	if err == nil || !strings.Contains(err.Error(), "topic refund.status does not exist: create it, or set kafka.create_topics.enabled") {
		t.Errorf("got %v", err)
	}
}

// Clocks that are off are told with how much, each gateway's server is asked once,
// and one that cannot be reached is told at the start.
func TestClocksThatAreOffAreTold(t *testing.T) {
	asked := make(chan string, 10)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.Path
		w.Header().Set("Date", time.Now().Add(-90*time.Second).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusNotFound)
	}))
	defer gateway.Close()
	redis := miniredis.RunT(t)
	redis.SetTime(time.Now().Add(time.Hour))
	cfg := parts{kafka: fakeKafka(t), redis: redis.Addr(), gateway: gateway.URL + "/VMP", more: createTopics}.load(t)
	log, stop := running(t, app.BridgeDaemon, cfg)
	for _, words := range []string{
		"the clock of Redis is ", "ahead of ours: times in records", "the clock of the gateway of merchant shop is 1m", "behind ours: calls are signed with our time",
	} {
		eventually(t, words, func() bool { return strings.Contains(log.String(), words) })
	}
	series := scrape(t, cfg.Bridge.Admin)
	if skew := series[`refund_clock_skew_seconds{clock="gateway"}`]; skew > -85 || skew < -95 {
		t.Errorf("the gateway's skew is %v", skew)
	}
	if skew := series[`refund_clock_skew_seconds{clock="redis"}`]; skew < 3500 || skew > 3700 {
		t.Errorf("Redis' skew is %v", skew)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if said := <-asked; said != "HEAD /VMP" || len(asked) > 0 {
		t.Errorf("asked %q and %d more", said, len(asked))
	}
	away := parts{kafka: cfg.Kafka.Brokers[0], redis: redis.Addr(), gateway: "http://127.0.0.1:1", more: createTopics}.load(t)
	log, stop = running(t, app.BridgeDaemon, away)
	eventually(t, "the gateway that is away", func() bool { return strings.Contains(log.String(), "its gateway cannot be reached from here") })
	if err := stop(); err != nil {
		t.Error(err)
	}
}
