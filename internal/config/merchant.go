package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/refund"
)

// Merchant is one entry of merchants: what all providers have in common, and the
// provider's own block, which Account hands on.
type Merchant struct {
	Name               string        `yaml:"name" config:"required"`     // what requests call it and callbacks have in their path: 1-64 of letters, digits, point, underscore and dash
	Provider           string        `yaml:"provider" config:"required"` // its gateway: eftpay or bluepay
	BaseURL            string        `yaml:"base_url" config:"required"` // the gateway's address, https; http to loopback, or with allow_http
	AllowHTTP          bool          `yaml:"allow_http"`                 // let base_url be http to another machine
	Proxy              string        `yaml:"proxy"`                      // http://, https:// or socks5:// address; the environment's proxy is never used
	CurrencyCode       string        `yaml:"currency" config:"required"` // of the account, as ISO 4217 has it
	CurrencyExponent   *int          `yaml:"currency_exponent"`          // where the gateway counts with other decimals than the standard; 0 to 4
	Test               bool          `yaml:"test"`                       // load tests may send to it
	Timeout            time.Duration `yaml:"timeout"`                    // of one call; a warning where it is longer than worker.drain_timeout
	Concurrency        int           `yaml:"concurrency"`                // calls at the same time, per worker
	MaxWait            time.Duration `yaml:"max_wait"`                   // for a slot among them; longer waits are parked in a delay topic
	Rate               int           `yaml:"rate"`                       // calls a second, queries too, over all workers; burst: one second's worth
	ErrorRate          int           `yaml:"error_rate"`                 // calls a second that end in errors, per worker
	Breaker            Breaker       `yaml:"breaker"`                    // when to stop calling a gateway that is down
	MaxRefundsPerOrder int           `yaml:"max_refunds_per_order"`      // reserved and succeeded together
	OrderInterval      time.Duration `yaml:"order_interval"`             // between two refunds of one order; WeChat asks for 1m
	ResendAfter        time.Duration `yaml:"resend_after"`               // how long after its end a call may still take effect at the gateway

	Currency refund.Currency `yaml:"-"` // of CurrencyCode, with the standard's decimals

	doc     *document
	path    string // merchants[i]
	block   *node
	print   [sha256.Size]byte
	collect *document // during Load: what is wrong in the block is noted here, and the provider goes on to check it
}

// Breaker is when a merchant's calls stop: once at least MinCalls ended within
// Window and FailureRatio of them were outages, for OpenFor.
type Breaker struct {
	Window       time.Duration `yaml:"window"`        // in which calls are counted
	MinCalls     int           `yaml:"min_calls"`     // fewer calls in the window say nothing
	FailureRatio float64       `yaml:"failure_ratio"` // of outages to calls, above 0 and at most 1
	OpenFor      time.Duration `yaml:"open_for"`      // before the gateway is probed
}

func (m *Merchant) preset() {
	m.Timeout, m.Concurrency, m.MaxWait, m.Rate, m.ErrorRate = 10*time.Second, 64, 5*time.Second, 100, 6
	m.Breaker = Breaker{Window: 30 * time.Second, MinCalls: 20, FailureRatio: 0.5, OpenFor: 15 * time.Second}
	m.MaxRefundsPerOrder, m.ResendAfter = 50, time.Minute
}

// take keeps the block that is named like the provider.
func (m *Merchant) take(d *document, path string, key member) bool {
	holdsKeys := key.value.kind == mapping || key.value.kind == null
	switch {
	case key.key == m.Provider:
		m.block = key.value
		for _, inner := range key.value.members { // its provider knows which are no secrets
			d.hideUnless(join(join(path, key.key), inner.key), inner.value)
		}
		return true
	case !holdsKeys || nearest(key.key, commonKeys) != "":
		return false
	case m.Provider == "" || !d.sound(join(path, "provider")):
		d.hide(key.value)
		return true // perhaps its block: the provider is what is wrong
	}
	d.hide(key.value)
	if !d.given(join(path, m.Provider)) {
		d.broken[join(path, m.Provider)] = true // said here
	}
	d.add(key.at, fmt.Sprintf("%s: unknown key %q; the block of provider %s is named like it", path, key.key, d.shown(join(path, "provider"))))
	return true
}

var commonKeys = func() (keys []string) {
	for key := range fieldsOf(reflect.TypeFor[Merchant]()) {
		keys = append(keys, key)
	}
	return keys
}()

// shown is a value as it is written in the file, its references not replaced.
func (d *document) shown(path string) string {
	n, _ := d.find(path)
	return n.text
}

// Exponent is how many decimals the gateway counts the currency with.
func (m Merchant) Exponent() int {
	if m.CurrencyExponent != nil {
		return *m.CurrencyExponent
	}
	return m.Currency.Exponent
}

// Account is what the provider's package is given.
func (m Merchant) Account() account.Merchant {
	return account.Merchant{
		Name: m.Name, BaseURL: m.BaseURL, AllowHTTP: m.AllowHTTP, Proxy: m.Proxy,
		Currency: m.Currency, Exponent: m.Exponent(), Timeout: m.Timeout,
		Decode: m.decode, Path: m.resolve,
	}
}

// decode reads the provider's block into a pointer to its struct with yaml tags.
// The error is a *Findings. Not for concurrent use within one configuration.
func (m Merchant) decode(into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("config: the block of %s is read into a pointer to a struct, not into %T", m.Name, into)
	}
	if m.doc == nil || m.doc.root == nil {
		return fmt.Errorf("config: merchant %s was not read from a file, or that is forgotten", m.Name)
	}
	d, path := m.doc.fork(), join(m.path, m.Provider)
	for key := range fieldsOf(target.Elem().Type()) {
		if !isSecret(key) {
			d.masks.open[join(path, key)] = true
		}
	}
	if m.collect != nil {
		m.collect.decode(path, m.block, target.Elem())
		return nil
	}
	d.decode(path, m.block, target.Elem())
	return d.result()
}

func (m Merchant) resolve(name string) string {
	if m.doc == nil {
		return name
	}
	return m.doc.path(name)
}

// MerchantFinding gives the error of a provider's constructor about merchant i its
// place in the file: *account.FieldError at its key, joined errors one by one,
// anything else at the merchant. The answer is a *Findings, or nil.
func (c *Config) MerchantFinding(i int, err error) error {
	d := c.doc.fork()
	c.locate(d, fmt.Sprintf("merchants[%d]", i), c.Merchants[i].Provider, err, false)
	return d.result()
}

// locate notes an error where it belongs. blockOnly leaves out what is not about
// the provider or its block.
func (c *Config) locate(d *document, merchant, provider string, err error, blockOnly bool) {
	var found *Findings
	var field *account.FieldError
	joined, several := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
	case several:
		for _, one := range joined.Unwrap() {
			c.locate(d, merchant, provider, one, blockOnly)
		}
	case errors.As(err, &found):
		d.found = append(d.found, found.List...)
	case errors.As(err, &field):
		path := join(join(merchant, provider), field.Field)
		if common := join(merchant, field.Field); !d.given(path) && d.given(common) {
			if blockOnly && field.Field != "provider" {
				return
			}
			path = common
		}
		if n, exact := d.find(path); !d.sound(path) || d.skip && exact && strings.Contains(n.text, "${") {
			return
		}
		d.add(d.place(path), oneLine(path+": "+field.Err.Error()))
	case !blockOnly:
		d.add(d.place(merchant), oneLine(merchant+": "+err.Error()))
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// checkBlocks asks the providers about their blocks. Where common settings of a
// merchant are wrong, others stand in for them, and only what is found in the
// block is told.
func (c *Config) checkBlocks(check func(Merchant) error) (errs []error) {
	for _, m := range c.Merchants {
		if m.Provider == "" || !c.doc.sound(join(m.path, "provider")) {
			continue
		}
		whole := c.doc.intact(m.path)
		if !whole {
			m = m.standIn()
		}
		m.collect = c.doc.fork()
		m.collect.broken = maps.Clone(c.doc.broken)
		c.locate(m.collect, m.path, m.Provider, check(m), !whole)
		errs = append(errs, m.collect.result())
	}
	return errs
}

// standIn has common settings that no provider objects to.
func (m Merchant) standIn() Merchant {
	fine := Merchant{Name: "merchant", Provider: m.Provider, BaseURL: "https://gateway.invalid", doc: m.doc, path: m.path, block: m.block}
	fine.preset()
	fine.Currency, _ = refund.CurrencyOf("HKD")
	if m.block == nil {
		fine.block = &node{kind: null}
	}
	return fine
}

// intact: nothing at or below the path has a finding.
func (d *document) intact(path string) bool {
	for broken := range d.broken {
		if d.skip {
			if n, exact := d.find(broken); exact && strings.Contains(n.text, "${") {
				continue
			}
		}
		if broken == path || strings.HasPrefix(broken, path+".") || strings.HasPrefix(path, broken+".") || strings.HasPrefix(path, broken+"[") {
			return false
		}
	}
	return true
}
