package gatewaysim

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Providers, as the ledger names them.
const (
	ProviderEftPay  = "eftpay"
	ProviderBluePay = "bluepay"
)

// Config is what a Sim needs; only merchants are required.
type Config struct {
	EftPay  []EftPayMerchant
	BluePay []BluePayMerchant
	// Prefix stands before eftPay's paths; "/VMP" unless set.
	Prefix string
	// Clock is the system's unless set.
	Clock Clock
	// CallbackTransport carries callbacks; a transport of its own unless set.
	CallbackTransport http.RoundTripper
	// CallbackTimeout bounds the wait for a callback's reply; 10 s unless set.
	CallbackTimeout time.Duration
	// CallbackSchedule holds the pauses between the tries of a callback
	// that is not acknowledged, WeChat's own list unless set. An empty,
	// non-nil list tries once.
	CallbackSchedule []time.Duration
	// CallbackScale divides the schedule: 1000 makes seconds milliseconds.
	CallbackScale int
	// CallbackWorkers bounds how many callbacks are on the wire; 64 unless set.
	CallbackWorkers int

	// Delay is added to each call and query.
	Delay time.Duration
	// SettleAfter is how long an application and a BluePay refund are
	// processed where no script says otherwise; 1 s unless set, at once
	// where negative.
	SettleAfter time.Duration
	// Idempotent makes a refund number move money once: eftPay repeats
	// its answer (another amount is refused), BluePay answers 21407. By
	// default the same number sent twice moves money twice, so that the
	// ledger shows a double payment.
	Idempotent bool
	// CheckTotals declines what goes over the total. By default nothing is
	// checked, so that the ledger shows an overshoot.
	CheckTotals bool
	// OnePending answers BluePay's 21409 to a refund whose original has
	// another refund pending (vendor page: one pending refund an
	// original). The same number sent again is Idempotent's business.
	OnePending bool
	// KnownSalesOnly refuses refunds of sales that were not registered.
	// By default the first refund call creates the sale.
	KnownSalesOnly bool
	// NotifyPorts refuses a notify_url whose port is not 80 or 443, as
	// eftPay's production does.
	NotifyPorts bool
	// TimeTolerance is how far a time stamp may be off, both ways; 5 min
	// unless set (neither vendor publishes it).
	TimeTolerance time.Duration
	// MagicAmounts lets amounts choose the behaviour: see the package doc.
	MagicAmounts bool
	// Generator writes the scripts of refunds that have none.
	Generator *Generator
}

// EftPayMerchant is an account at the simulated eftPay.
type EftPayMerchant struct {
	UserConfirmKey string `json:"user_confirm_key"`
	Secret         string `json:"secret"`
	// Currency is what notifications and queries name; "HKD" unless set.
	Currency string `json:"currency"`
	// Exponent is the number of decimals of the currency's minor unit; 2
	// unless set, negative means 0.
	Exponent int `json:"exponent"`
	// KeepEmpty signs empty values as "k=" instead of dropping them.
	KeepEmpty bool `json:"keep_empty"`
	// Shape of notifications; ShapeSeed unless set.
	Shape Shape `json:"shape"`
	// ReplyWord expects the bare word success as the reply to a
	// notification, in place of signed JSON.
	ReplyWord bool `json:"reply_word"`
	// NotFoundStatus is the return_status of a query for an unknown
	// refund; "40" unless set (no page tells it). 00 or above is signed.
	NotFoundStatus string `json:"not_found_status"`
	// Services adds service names, for example
	// service.alipayplus.jsapi.Refund.
	Services map[string]Service `json:"services"`
}

// Service is what an eftPay service name stands for.
type Service struct {
	// Paytype is WeChat or Alipay.
	Paytype string `json:"paytype"`
	// Apply is the application flow: APPLY_SUCCESS first, then notify_url.
	Apply bool `json:"apply"`
}

// BluePayMerchant is an account at the simulated BluePay.
type BluePayMerchant struct {
	AppID string
	// MerchantKey verifies calls.
	MerchantKey *rsa.PublicKey
	// GatewayKey signs notifications.
	GatewayKey *rsa.PrivateKey
	// Currency is only for the ledger: BluePay's pages name none.
	Currency string
	// Milliseconds expects time stamps in milliseconds, not seconds.
	Milliseconds bool
	// NotFoundCode is 5.2's answer where nothing is found; 0 is an empty
	// list with code 10000.
	NotFoundCode int
	// OneAsObject answers 5.2 with an object where there is one refund:
	// the vendor's two tables differ.
	OneAsObject bool
}

var wechatSchedule = []time.Duration{
	15 * time.Second, 15 * time.Second, 30 * time.Second, 3 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	30 * time.Minute, 30 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 3 * time.Hour, 3 * time.Hour,
	6 * time.Hour, 6 * time.Hour,
}

func (c Config) withDefaults() Config {
	if c.Prefix == "" {
		c.Prefix = "/VMP"
	}
	c.Prefix = "/" + strings.Trim(c.Prefix, "/")
	if c.Prefix == "/" {
		c.Prefix = ""
	}
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.CallbackTimeout == 0 {
		c.CallbackTimeout = 10 * time.Second
	}
	if c.CallbackSchedule == nil {
		c.CallbackSchedule = wechatSchedule
	}
	if c.CallbackScale < 1 {
		c.CallbackScale = 1
	}
	if c.CallbackWorkers < 1 {
		c.CallbackWorkers = 64
	}
	if c.SettleAfter == 0 {
		c.SettleAfter = time.Second
	}
	if c.TimeTolerance == 0 {
		c.TimeTolerance = 5 * time.Minute
	}
	return c
}

func (m EftPayMerchant) withDefaults() EftPayMerchant {
	if m.Currency == "" {
		m.Currency = "HKD"
	}
	switch {
	case m.Exponent == 0:
		m.Exponent = 2
	case m.Exponent < 0:
		m.Exponent = 0
	}
	if m.Shape == "" {
		m.Shape = ShapeSeed
	}
	if m.NotFoundStatus == "" {
		m.NotFoundStatus = "40"
	}
	return m
}

func (m EftPayMerchant) check() error {
	switch {
	case m.UserConfirmKey == "" || len(m.UserConfirmKey) > 12:
		return fmt.Errorf("eftpay merchant %q: user_confirm_key needs 1 to 12 characters", m.UserConfirmKey)
	case m.Secret == "":
		return fmt.Errorf("eftpay merchant %q: secret is empty", m.UserConfirmKey)
	case m.Exponent > 2:
		return fmt.Errorf("eftpay merchant %q: exponent %d, but eftPay prints at most 2 decimals", m.UserConfirmKey, m.Exponent)
	case m.Shape != ShapeSeed && m.Shape != ShapeJSAPI:
		return fmt.Errorf("eftpay merchant %q: shape %q is neither seed nor jsapi", m.UserConfirmKey, m.Shape)
	}
	return nil
}

func (m BluePayMerchant) check() error {
	switch {
	case m.AppID == "":
		return errors.New("bluepay merchant: app_id is empty")
	case m.MerchantKey == nil:
		return fmt.Errorf("bluepay merchant %q: the merchant's public key is missing", m.AppID)
	case m.GatewayKey == nil:
		return fmt.Errorf("bluepay merchant %q: the gateway's private key is missing", m.AppID)
	}
	return nil
}
