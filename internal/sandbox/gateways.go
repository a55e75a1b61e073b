package sandbox

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/gatewaysim"
)

// The sandbox's merchants and their accounts at the simulated gateways.
const (
	EftPayMerchant  = "S0003469" // the name that the vendor's page uses, there and here
	BluePayMerchant = "shop-th"

	eftPaySecret = "sandbox-secret"
	bluePayApp   = "733b887a4a784708bb369524db5b6ded"
)

func (s *System) startGateways(p ports, more []string) error {
	merchant, err := s.keyPair("merchant")
	if err != nil {
		return err
	}
	gateway, err := s.keyPair("gateway")
	if err != nil {
		return err
	}
	merchantKey, err := gatewaysim.ParsePublicKey(merchant.Public)
	if err != nil {
		return err
	}
	gatewayKey, err := gatewaysim.ParsePrivateKey(gateway.Private)
	if err != nil {
		return err
	}
	var atEftPay []gatewaysim.EftPayMerchant
	for _, name := range append([]string{EftPayMerchant}, more...) {
		atEftPay = append(atEftPay, gatewaysim.EftPayMerchant{UserConfirmKey: name, Secret: eftPaySecret})
	}
	s.Gateways, err = gatewaysim.New(gatewaysim.Config{
		EftPay:      atEftPay,
		BluePay:     []gatewaysim.BluePayMerchant{{AppID: bluePayApp, MerchantKey: merchantKey, GatewayKey: gatewayKey, Currency: "THB"}},
		SettleAfter: 500 * time.Millisecond, MagicAmounts: true,
	})
	if err != nil {
		return err
	}
	s.onStop(s.Gateways.Close)
	mux := http.NewServeMux()
	mux.Handle("/", s.Gateways.Handler())
	mux.Handle("/control", s.Gateways.Control())
	mux.Handle("/ledger", s.Gateways.Control())
	server, err := s.Gateways.ListenWith(fmt.Sprintf("127.0.0.1:%d", p.gateways), mux)
	if err != nil {
		return fmt.Errorf("simulated gateways on port %d: %w", p.gateways, err)
	}
	s.GatewayURL = server.URL()
	return nil
}

// keyPair makes a pair and writes both halves into the sandbox's folder.
func (s *System) keyPair(name string) (gatewaysim.KeyPair, error) {
	pair, err := gatewaysim.NewKeyPair(2048)
	if err != nil {
		return pair, err
	}
	if err := os.WriteFile(filepath.Join(s.folder, name+".pem"), []byte(pair.Private), 0o600); err != nil {
		return pair, err
	}
	return pair, os.WriteFile(filepath.Join(s.folder, name+".pub.pem"), []byte(pair.Public), 0o600)
}

// merchantOf is our name of the account in an entry of the ledger.
func merchantOf(entry gatewaysim.Entry) string {
	if entry.Merchant == bluePayApp {
		return BluePayMerchant
	}
	return entry.Merchant
}

// yaml is the sandbox's configuration: short delays and time-outs, so that what
// takes minutes in production takes seconds here.
func (s *System) yaml(p ports, more []string) string {
	values := []string{
		"KAFKA", s.Kafka, "REDIS", s.Redis, "GATEWAYS", s.GatewayURL, "PREFIX", s.Gateways.Prefix(),
		"WORKER_ADMIN", fmt.Sprint(p.workerAdmin), "BRIDGE_ADMIN", fmt.Sprint(p.bridgeAdmin), "BRIDGE", fmt.Sprint(p.bridge),
		"SECRET", eftPaySecret, "BLUEPAY", BluePayMerchant, "APP", bluePayApp,
	}
	text := strings.NewReplacer(values...).Replace(commonYAML)
	for i, name := range append([]string{EftPayMerchant}, more...) {
		text += strings.NewReplacer(append(values, "EFTPAY", name)...).Replace(eftPayYAML)
		if i > 0 {
			text += "      not_found_codes: [\"40\"]\n"
		}
	}
	return text + strings.NewReplacer(values...).Replace(bluePayYAML)
}

const commonYAML = `# Written by the sandbox. The same form as config.example.yaml.
kafka:
  brokers: [KAFKA]
  session_timeout: 6s
  create_topics: {enabled: true, partitions: 4, replication: 1}
redis: {addrs: [REDIS], failover_grace: 1s}
worker:
  admin: 127.0.0.1:WORKER_ADMIN
  drain_timeout: 1s
  claim_lease: 15s
  delays: [1s, 2s, 5s, 30s, 5m, 1h]
bridge:
  admin: 127.0.0.1:BRIDGE_ADMIN
  listen: 127.0.0.1:BRIDGE
  timeout: 1s
log: {level: info, format: console}
merchants:
`

const eftPayYAML = `  - name: EFTPAY
    provider: eftpay
    base_url: GATEWAYSPREFIX
    currency: HKD
    test: true
    timeout: 1s
    resend_after: 25s
    eftpay:
      user_confirm_key: EFTPAY
      secret: SECRET
      notify_url: http://127.0.0.1:BRIDGE/v1/callbacks/EFTPAY
`

const bluePayYAML = `  - name: BLUEPAY
    provider: bluepay
    base_url: GATEWAYS
    currency: THB
    test: true
    timeout: 1s
    resend_after: 25s
    bluepay:
      app_id: APP
      private_key_file: merchant.pem
      gateway_public_key_file: gateway.pub.pem
      callback_url: http://127.0.0.1:BRIDGE/v1/callbacks/BLUEPAY
`

// awaitHTTP asks until the answer is 200; its error shows the last answer.
func awaitHTTP(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	last := "no answer"
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			words, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			last = strings.TrimSpace(string(words))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not ready: %s", url, last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

const readyTime = 15 * time.Second
