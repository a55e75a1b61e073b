package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

var (
	merchantName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	providerName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
)

func (c *Config) checkMerchants(d *document) {
	if len(c.Merchants) == 0 {
		d.fail("merchants", "needs at least one: requests of a merchant that is not here become dead letters")
	}
	first := map[string]int{}
	for i := range c.Merchants {
		m := &c.Merchants[i]
		m.doc, m.path = d, fmt.Sprintf("merchants[%d]", i)
		m.check()
		if other, twice := first[m.Name]; twice && m.Name != "" {
			d.fail(join(m.path, "name"), "is the name of merchants[%d] too", other)
		} else {
			first[m.Name] = i
		}
		m.print = m.fingerprint()
	}
}

func (m *Merchant) check() {
	d, at := m.doc, func(key string) string { return join(m.path, key) }
	d.matches(at("name"), m.Name, merchantName, "1-64 of letters, digits, point, underscore and dash")
	d.matches(at("provider"), m.Provider, providerName, "a provider's name, such as eftpay or bluepay")
	if (m.block == nil || m.block.kind == null) && d.sound(at("provider")) {
		d.fail(at(m.Provider), "is missing: the block with the credentials of this account")
	} else if d.sound(at("provider")) && m.block.kind != mapping {
		d.hide(m.block)
		d.fail(at(m.Provider), "must be %s, not %s", mapping, m.block.kind)
	}
	m.BaseURL = strings.TrimRight(m.BaseURL, "/")
	if what := badBaseURL(m.BaseURL, m.AllowHTTP); what != "" {
		d.fail(at("base_url"), "%s", what)
	}
	if m.Proxy != "" && !webAddress(m.Proxy, "http", "https", "socks5") {
		d.fail(at("proxy"), "must be an address such as http://proxy.example:3128 (http, https or socks5)")
	}
	var known bool
	if m.Currency, known = refund.CurrencyOf(m.CurrencyCode); !known {
		d.fail(at("currency"), "must be an active currency of ISO 4217, three capital letters such as HKD")
	}
	if m.CurrencyExponent != nil {
		inRange(d, at("currency_exponent"), *m.CurrencyExponent, 0, 4)
	}
	inRange(d, at("timeout"), m.Timeout, 100*time.Millisecond, 5*time.Minute)
	inRange(d, at("concurrency"), m.Concurrency, 1, 10_000)
	inRange(d, at("max_wait"), m.MaxWait, 0, 5*time.Minute)
	inRange(d, at("rate"), m.Rate, 1, 100_000)
	inRange(d, at("error_rate"), m.ErrorRate, 1, 100_000)
	inRange(d, at("breaker.window"), m.Breaker.Window, 100*time.Millisecond, time.Hour)
	inRange(d, at("breaker.min_calls"), m.Breaker.MinCalls, 1, 1_000_000)
	if r := m.Breaker.FailureRatio; !(r > 0 && r <= 1) {
		d.fail(at("breaker.failure_ratio"), "must be above 0 and at most 1")
	}
	inRange(d, at("breaker.open_for"), m.Breaker.OpenFor, 100*time.Millisecond, time.Hour)
	inRange(d, at("max_refunds_per_order"), m.MaxRefundsPerOrder, 1, 10_000)
	inRange(d, at("order_interval"), m.OrderInterval, 0, 24*time.Hour)
	inRange(d, at("resend_after"), m.ResendAfter, 100*time.Millisecond, 24*time.Hour)
}

// badBaseURL says what is wrong with a gateway's address. Refunds in plain text
// leave the machine only where that is asked for.
func badBaseURL(address string, allowHTTP bool) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "must be an address such as https://gateway.example/VMP"
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "must have no user, query or fragment"
	case u.Scheme == "http" && !allowHTTP && !loopback(u.Hostname()):
		return "must be https: http is for loopback addresses, or with allow_http: true"
	}
	return ""
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
