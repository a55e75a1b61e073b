//go:build unix

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/refundworker/refundworker/bench/internal/contender"
	"github.com/refundworker/refundworker/bench/internal/wire"
	"github.com/refundworker/refundworker/internal/realparts"
)

// Scene is one contender at work: topics of its own, an empty Redis, a fresh
// gateway. End it.
type Scene struct {
	Contender *realparts.Process

	lab       *Lab
	o         SceneOptions
	prefix    string
	gateway   *realparts.Process
	perRefund int // events on the status topic for each refund
}

// SceneOptions say who works on what.
type SceneOptions struct {
	Contender string // a binary: floor, naive, watermill, callbacks; all others are the product, or builds of it
	Backlog   *Backlog
	Delay     time.Duration // of the gateway
	InFlight  int
	Quick     bool // the product's times short, so that a crash is over in seconds
}

// product tells whether the contender reads the product's configuration.
func (o SceneOptions) product() bool {
	switch o.Contender {
	case "floor", "naive", "watermill", "callbacks":
		return false
	}
	return true
}

const readyTime = 2 * time.Minute

// Open prepares everything but the contender.
func (l *Lab) Open(ctx context.Context, o SceneOptions) (*Scene, error) {
	l.runs++
	s := &Scene{lab: l, o: o, prefix: fmt.Sprintf("r%d.", l.runs), perRefund: 1}
	if o.product() || o.Contender == "floor" {
		s.perRefund = 2 // PENDING and SUCCEEDED
	}
	if err := s.open(ctx); err != nil {
		s.End()
		return nil, err
	}
	return s, nil
}

func (s *Scene) open(ctx context.Context) error {
	if err := s.lab.wipe(ctx); err != nil {
		return err
	}
	if s.o.product() {
		if err := s.openMerchants(ctx); err != nil {
			return err
		}
	}
	compacted := map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": week}
	if err := s.lab.createTopic(ctx, s.prefix+"status", s.o.Backlog.Partitions, compacted); err != nil {
		return err
	}
	if err := s.lab.createTopic(ctx, s.prefix+"poison", 1, nil); err != nil {
		return err
	}
	if err := s.configure(); err != nil {
		return err
	}
	var err error
	s.gateway, err = s.lab.process(s.prefix+"gateway", "gateway-sim", "--config", s.file("gateways.json"))
	if err != nil {
		return err
	}
	return s.gateway.Await(func() bool { return realparts.Listening(s.lab.at(portControl)) }, readyTime)
}

// Start starts the contender; a second time after it was killed.
func (s *Scene) Start() (err error) {
	if s.Contender != nil {
		return s.Contender.Start()
	}
	args := []string{s.file("settings.json")}
	if s.o.product() {
		args = []string{"--config", s.file("refundworker.yaml")}
	}
	s.Contender, err = s.lab.process(s.prefix+s.o.Contender, s.o.Contender, args...)
	return err
}

// Ready waits until the product says that it is; the others begin at once.
func (s *Scene) Ready() error {
	if !s.o.product() {
		return nil
	}
	return s.Contender.Await(func() bool {
		client := http.Client{Timeout: 2 * time.Second}
		answer, err := client.Get("http://" + s.lab.at(portAdmin) + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, readyTime)
}

// End ends contender and gateway and deletes the topics.
func (s *Scene) End() {
	if s.Contender != nil {
		s.Contender.Kill()
	}
	if s.gateway != nil {
		s.gateway.Kill()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = s.lab.Drop(ctx, s.prefix) // at the worst they stay until the lab ends
}

func (s *Scene) file(name string) string { return filepath.Join(s.lab.Dir, s.prefix+name) }

func (l *Lab) process(name, binary string, args ...string) (*realparts.Process, error) {
	path := l.also[binary]
	if path == "" {
		path = filepath.Join(l.Dir, "bin", binary)
	}
	return realparts.StartProcess(l.Dir, name, func() *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Env = append(os.Environ(), "PPROF="+l.at(portProfile)) // of the profiled contender
		return cmd
	}, nil, 0)
}

func (s *Scene) configure() error {
	type account struct {
		Key    string `json:"user_confirm_key"`
		Secret string `json:"secret"`
	}
	var accounts []account
	for i := range s.o.Backlog.Merchants {
		accounts = append(accounts, account{MerchantName(i), wire.SecretOf(MerchantName(i))})
	}
	gateways, err := json.Marshal(map[string]any{
		"addr": s.lab.at(portGateway), "admin": s.lab.at(portControl), "delay": s.o.Delay.String(), "eftpay": accounts,
	})
	if err != nil {
		return err
	}
	session := 10_000
	if s.o.Quick {
		session = 6000 // the least that all of them take
	}
	settings, err := json.Marshal(contender.Settings{
		Brokers: s.lab.Kafka.Brokers, Redis: s.lab.Redis.Addr, Group: s.prefix + "group",
		Requests: s.o.Backlog.Topic, Status: s.prefix + "status", Poison: s.prefix + "poison",
		Gateway: "http://" + s.lab.at(portGateway) + "/VMP", Listen: s.lab.at(portContender), InFlight: s.o.InFlight, Session: session,
	})
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"gateways.json": gateways, "settings.json": settings, "refundworker.yaml": []byte(s.yaml())} {
		if err := writeFile(s.file(name), text); err != nil {
			return err
		}
	}
	return nil
}

// yaml is the product's configuration: its defaults, but for the limits that would
// bound the measurement in place of the machine.
func (s *Scene) yaml() string {
	session, lease, delays := "10s", "30s", "10s, 1m, 5m, 10m, 30m, 1h, 6h"
	if s.o.Quick {
		session, lease, delays = "2s", "3s", "1s, 2s, 5s"
	}
	var b strings.Builder
	_, _ = strings.NewReplacer(
		"BROKERS", strings.Join(s.lab.Kafka.Brokers, ", "), "SESSION", session, "REQUESTS", s.o.Backlog.Topic, "RUN.", s.prefix,
		"PARTITIONS", strconv.Itoa(s.o.Backlog.Partitions), "REPLICATION", strconv.Itoa(min(3, len(s.lab.Kafka.Nodes))),
		"REDIS", s.lab.Redis.Addr, "ADMIN", s.lab.at(portAdmin), "LISTEN", s.lab.at(portContender),
		"FLIGHT", strconv.Itoa(s.o.InFlight), "LEASE", lease, "DELAYS", delays,
	).WriteString(&b, `kafka:
  brokers: [BROKERS]
  group: RUN.group
  session_timeout: SESSION
  topics: {requests: REQUESTS, status: RUN.status, dead_letters: RUN.dlq, delay_prefix: RUN.delay., control: RUN.control, audit: RUN.audit}
  create_topics: {enabled: true, partitions: PARTITIONS, replication: REPLICATION}
redis: {addrs: [REDIS]}
worker: {admin: "ADMIN", max_in_flight: FLIGHT, claim_lease: LEASE, delays: [DELAYS]}
bridge: {admin: "ADMIN", listen: "LISTEN"}
merchants:
`)
	more := ""
	if s.o.Quick {
		more = "timeout: 1s, resend_after: 5s, "
	}
	for i := range s.o.Backlog.Merchants {
		fmt.Fprintf(&b, "- {name: %s, provider: eftpay, base_url: http://%s/VMP, currency: HKD, concurrency: %d, rate: 100000, %seftpay: {user_confirm_key: %[1]s, secret: %[5]s",
			MerchantName(i), s.lab.at(portGateway), s.o.InFlight, more, wire.SecretOf(MerchantName(i)))
		if s.o.Quick {
			b.WriteString(`, not_found_codes: ["40"]`)
		}
		b.WriteString("}}\n")
	}
	return b.String()
}
