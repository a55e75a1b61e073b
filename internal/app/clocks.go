package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/telemetry"
)

const (
	clocksEvery = 10 * time.Minute
	clockTime   = 5 * time.Second // for each answer
	// skewTold is what is warned about. A gateway's Date has whole seconds.
	skewTold = 3 * time.Second
)

// watchClocks compares our clock with those of Kafka, Redis and the gateways, at
// the start and from time to time, and warns of what is off. No promise depends on
// clocks that agree; delays, signatures and times in events do.
func (c *core) watchClocks(ctx context.Context) {
	for first := true; ctx.Err() == nil; first = false {
		c.compareClocks(ctx, first)
		select {
		case <-ctx.Done():
		case <-time.After(clocksEvery):
		}
	}
}

// compareClocks does it once. At the start it also says which gateway cannot be
// reached from here.
func (c *core) compareClocks(ctx context.Context, first bool) {
	bounded, cancel := context.WithTimeout(ctx, clockTime)
	defer cancel()
	if skew, err := c.kafka.Skew(bounded); err == nil {
		c.skewed(telemetry.ClockOfKafka, "the brokers", skew, "delays may be early or late by as much")
	} else if !errors.Is(err, kafka.ErrNoClock) {
		c.trouble("measure", err)
	}
	sent := time.Now()
	if now, err := c.redis.Time(bounded).Result(); err == nil {
		c.skewed(telemetry.ClockOfRedis, "Redis", now.Sub(middle(sent)), "times in records and events may be off by as much")
	}
	var worst time.Duration
	asked := map[string]bool{}
	for _, m := range c.merchants.configured() {
		if asked[m.BaseURL+" "+m.Proxy] {
			continue
		}
		asked[m.BaseURL+" "+m.Proxy] = true
		skew, err := gatewaySkew(ctx, m)
		if err != nil && first && ctx.Err() == nil {
			c.log.Warn().Str("merchant", m.Name).Str("provider", m.Provider).Err(err).Msg("its gateway cannot be reached from here; its refunds wait")
		}
		if err != nil {
			continue
		}
		if skew.Abs() > worst.Abs() {
			worst = skew
		}
		c.tellSkew(telemetry.ClockOfGateway, "the gateway of merchant "+m.Name, skew, "calls are signed with our time and may be refused as stale")
	}
	c.metrics.Skew(telemetry.ClockOfGateway, worst)
}

func middle(sent time.Time) time.Time { return sent.Add(time.Since(sent) / 2).Round(0) }

func (c *core) skewed(clock, whose string, skew time.Duration, risk string) {
	c.metrics.Skew(clock, skew)
	c.tellSkew(clock, whose, skew, risk)
}

func (c *core) tellSkew(clock, whose string, skew time.Duration, risk string) {
	if skew.Abs() < skewTold {
		return
	}
	side := "ahead of"
	if skew < 0 {
		side = "behind"
	}
	c.log.Warn().Str("clock", clock).Dur("ahead", skew).
		Msg(fmt.Sprintf("the clock of %s is %s %s ours: %s; have NTP set both", whose, skew.Abs().Round(100*time.Millisecond), side, risk))
}

// gatewaySkew asks a gateway's server for nothing, and reads the Date of its
// answer, whatever that is (RFC 9110, section 6.6.1: whole seconds, cut off).
func gatewaySkew(ctx context.Context, m config.Merchant) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, clockTime)
	defer cancel()
	wire := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	if m.Proxy != "" {
		proxy, err := url.Parse(m.Proxy)
		if err != nil {
			return 0, errors.New("proxy is no address") // its own words may show a password
		}
		wire.Proxy = http.ProxyURL(proxy)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, m.BaseURL, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("User-Agent", "refundworker")
	sent := time.Now()
	answer, err := wire.RoundTrip(request) // no redirect is followed
	if err != nil {
		return 0, err
	}
	answer.Body.Close()
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return 0, nil // reached, and tells no time
	}
	return date.Add(time.Second / 2).Sub(middle(sent)), nil
}
