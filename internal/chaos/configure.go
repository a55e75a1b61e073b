//go:build unix

package chaos

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/realparts"
)

// The merchants, which are called the same at the gateways.
const (
	eftPayMerchant  = "S0003469"
	eftPaySecond    = "S0003470"
	bluePayMerchant = "shop-th"
)

// The times of the configuration: what takes minutes in production takes seconds
// here; their order stays: session <= lease <= resend_after.
const (
	sessionTimeout = 2 * time.Second
	claimLease     = 3 * time.Second
	callTimeout    = time.Second
	resendAfter    = 5 * time.Second
	longestDelay   = 5 * time.Second
	// timeTolerance is how late a signed call may leave before the gateway refuses
	// it as stale: it must land before a query's "not found" is believed.
	timeTolerance = 3 * time.Second
)

// configure writes the one configuration of worker and bridge, and the simulated
// gateways'.
func (s *System) configure(o SystemOptions) error {
	workers := max(o.Workers, 1)
	ports, err := realparts.Ports(4 + workers)
	if err != nil {
		return err
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	s.ports = places{gateway: at(0), control: at(1), bridge: at(2), bridgeAdmin: at(3)}
	for i := range workers {
		s.ports.workerAdmins = append(s.ports.workerAdmins, at(4+i))
	}
	s.Books = Books{control: "http://" + s.ports.control}
	if out, err := exec.Command(filepath.Join(s.dir, "bin", "gateway-sim"), "keys", filepath.Join(s.dir, "keys")).CombinedOutput(); err != nil {
		return fmt.Errorf("making keys: %w: %s", err, out)
	}
	if err := s.configureGateways(o.Gateway); err != nil {
		return err
	}
	s.configFile = filepath.Join(s.dir, "refundworker.yaml")
	if err := os.WriteFile(s.configFile, []byte(s.yaml(max(o.Brokers, 1), cmp.Or(o.LogLevel, "debug"))), 0o600); err != nil {
		return err
	}
	// The file names each worker's admin address by a variable; ours is not served.
	if err := os.Setenv("WORKER_ADMIN", s.ports.workerAdmins[0]); err != nil {
		return err
	}
	s.Config, err = app.Load(s.configFile)
	return err
}

func (s *System) configureGateways(more map[string]any) error {
	all := map[string]any{
		"addr": s.ports.gateway, "admin": s.ports.control,
		"settle_after": "500ms", "time_tolerance": timeTolerance.String(), "callback_scale": 20,
		"eftpay": []any{
			map[string]any{"user_confirm_key": eftPayMerchant, "secret": "secret-of-" + eftPayMerchant},
			map[string]any{"user_confirm_key": eftPaySecond, "secret": "secret-of-" + eftPaySecond},
		},
		"bluepay": []any{map[string]any{
			"app_id": bluePayMerchant, "currency": "THB",
			"merchant_public_key_file": "keys/merchant.pub.pem", "gateway_private_key_file": "keys/gateway.pem",
		}},
	}
	maps.Copy(all, more)
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "gateways.json"), text, 0o600)
}

func (s *System) yaml(brokers int, logLevel string) string {
	text := strings.NewReplacer(
		"BROKERS", strings.Join(s.Kafka.Brokers, ", "), "SESSION", sessionTimeout.String(), "REPLICATION", fmt.Sprint(map[bool]int{true: 3, false: 1}[brokers >= 3]),
		"REDIS", s.Redis.Addr, "LEASE", claimLease.String(), "LONGEST", longestDelay.String(), "BRIDGE_ADMIN", s.ports.bridgeAdmin, "BRIDGE", s.ports.bridge, "LOG_LEVEL", logLevel,
	).Replace(`kafka:
  brokers: [BROKERS]
  session_timeout: SESSION
  create_topics: {enabled: true, partitions: 6, replication: REPLICATION}
redis: {addrs: [REDIS], failover_grace: 0s}
worker:
  admin: "${WORKER_ADMIN}"
  drain_timeout: 2s
  claim_lease: LEASE
  review_after: 1m
  delays: [1s, 2s, LONGEST]
bridge: {admin: "BRIDGE_ADMIN", listen: "BRIDGE", timeout: 2s}
log: {level: LOG_LEVEL, format: json}
merchants:
`)
	for _, name := range []string{eftPayMerchant, eftPaySecond} {
		text += s.merchant(name, "eftpay", "/VMP", "HKD", fmt.Sprintf(
			`{user_confirm_key: %s, secret: secret-of-%s, not_found_codes: ["40"], notify_url: "http://%s/v1/callbacks/%s"}`, name, name, s.ports.bridge, name))
	}
	return text + s.merchant(bluePayMerchant, "bluepay", "", "THB", fmt.Sprintf(
		`{app_id: %s, private_key_file: keys/merchant.pem, gateway_public_key_file: keys/gateway.pub.pem, callback_url: "http://%s/v1/callbacks/%s"}`,
		bluePayMerchant, s.ports.bridge, bluePayMerchant))
}

// merchant is one merchant's part: its limits leave room for a gateway that
// misbehaves for every third refund, and its breaker closes again in seconds.
func (s *System) merchant(name, provider, prefix, currency, block string) string {
	return fmt.Sprintf(`  - name: %s
    provider: %s
    base_url: http://%s%s
    currency: %s
    timeout: %s
    max_wait: 1s
    error_rate: 50
    breaker: {window: 5s, min_calls: 20, failure_ratio: 0.8, open_for: 1s}
    resend_after: %s
    %s: %s
`, name, provider, s.ports.gateway, prefix, currency, callTimeout, resendAfter, provider, block)
}
