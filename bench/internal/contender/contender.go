// Package contender is what all contenders beside the product have in common: their
// settings, which the benchmark writes, and the HTTP client.
package contender

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/refundworker/refundworker/bench/internal/wire"
)

// Settings say where everything is. The same ones go to each contender.
type Settings struct {
	Brokers  []string `json:"brokers"`
	Redis    string   `json:"redis"`
	Group    string   `json:"group"`
	Requests string   `json:"requests"`
	Status   string   `json:"status"`
	Poison   string   `json:"poison"`
	Gateway  string   `json:"gateway"` // eftPay's base URL
	Listen   string   `json:"listen"`  // of the callbacks
	InFlight int      `json:"in_flight"`
	Session  int      `json:"session_ms"` // session timeout of the group
}

// Main loads the settings that the first argument names and runs until SIGTERM.
func Main(run func(context.Context, Settings) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, run)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func start(ctx context.Context, run func(context.Context, Settings) error) error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s SETTINGS.json", os.Args[0])
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var s Settings
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("%s: %w", os.Args[1], err)
	}
	return run(ctx, s)
}

// CallTimeout bounds one refund call, as the product's timeout does by default.
const CallTimeout = 10 * time.Second

// Gateway calls eftPay.
type Gateway struct {
	url    string
	client *http.Client
}

// NewGateway keeps a connection for each refund in flight.
func NewGateway(s Settings) *Gateway {
	return &Gateway{url: s.Gateway + wire.ServicePath, client: &http.Client{Transport: &http.Transport{
		DialContext:         (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConnsPerHost: s.InFlight,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}}}
}

// Refund sends one signed call and returns nil once the gateway has said, signed,
// that it paid.
func (g *Gateway) Refund(ctx context.Context, r wire.Request) error {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	account := wire.EftPay{Key: r.Merchant, Secret: wire.SecretOf(r.Merchant)}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(account.RefundCall(r, time.Now())))
	if err != nil {
		return err
	}
	post.Header.Set("Content-Type", "application/json")
	answer, err := g.client.Do(post)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway answers %s", answer.Status)
	}
	return account.Paid(string(body), r)
}
