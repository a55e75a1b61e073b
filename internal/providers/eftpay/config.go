package eftpay

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/refundworker/refundworker/internal/providers/account"
)

// settings is the eftpay block of a merchant (DESIGN.md, section 5).
type settings struct {
	UserConfirmKey string            `yaml:"user_confirm_key"` // as eftPay gave it: 1 to 12 letters or digits
	Secret         string            `yaml:"secret"`           // signs what is sent, verifies what comes in
	VerifySecrets  []string          `yaml:"verify_secrets"`   // further ones that verify what comes in, while secrets are changed
	SignEmpty      string            `yaml:"sign_empty"`       // empty fields are left out of the signature (drop) or not (keep)
	CallbackReply  string            `yaml:"callback_reply"`   // what acknowledges a callback: json (signed) or word
	NotifyURL      string            `yaml:"notify_url"`       // of the bridge, for refunds of flow apply; empty: they are only asked about
	Query          string            `yaml:"query"`            // jsapi or unified: the page by which refunds are asked about
	NotFoundCodes  []string          `yaml:"not_found_codes"`  // return_status of signed answers that prove that eftPay has no such refund; without any, a refund of unknown outcome is never sent again
	Services       map[string]string `yaml:"services"`         // other service names, by METHOD.FLOW, for example WeChat.refund
}

// The words that sign_empty, callback_reply and query take.
const (
	dropEmpty    = "drop"
	keepEmpty    = "keep"
	replyJSON    = "json"
	replyWord    = "word"
	queryJSAPI   = "jsapi"
	queryUnified = "unified"
)

// defaultServices are the vendor's names by METHOD.FLOW, not to be changed; what is
// not there is not offered.
var defaultServices = map[string]string{
	"WeChat.refund": "service.wechat.jsapi.Refund",
	"WeChat.apply":  "service.wechat.jsapi.ApplyRefund",
	"Alipay.refund": "service.alipay.jsapi.Refund",
}

// decode reads the block and reports all its findings at once.
func decode(m account.Merchant) (*settings, error) {
	s := &settings{SignEmpty: dropEmpty, CallbackReply: replyJSON, Query: queryJSAPI}
	if err := m.Decode(s); err != nil {
		return nil, err
	}
	found := s.findings()
	if m.Exponent < 0 || m.Exponent > 2 {
		found = append(found, fmt.Errorf("currency_exponent: %s would have %d decimals, eftPay prints at most 2", m.Currency.Code, m.Exponent))
	}
	if len(found) > 0 {
		return nil, errors.Join(found...)
	}
	services := defaultServices
	if len(s.Services) > 0 {
		services = maps.Clone(services)
		maps.Copy(services, s.Services)
	}
	s.Services = services
	return s, nil
}

func (s *settings) findings() (found []error) {
	wrong := func(field, format string, args ...any) {
		found = append(found, &account.FieldError{Field: field, Err: fmt.Errorf(format, args...)})
	}
	if n := len(s.UserConfirmKey); n == 0 || n > 12 || !plain(s.UserConfirmKey) {
		wrong("user_confirm_key", "needs 1 to 12 letters or digits, as eftPay gave it")
	}
	if s.Secret == "" {
		wrong("secret", "is missing")
	}
	if slices.Contains(s.VerifySecrets, "") {
		wrong("verify_secrets", "holds an empty secret, by which anybody could sign")
	}
	word := func(field, got string, allowed ...string) {
		if !slices.Contains(allowed, got) {
			wrong(field, "is %q, which is none of: %s", got, strings.Join(allowed, ", "))
		}
	}
	word("sign_empty", s.SignEmpty, dropEmpty, keepEmpty)
	word("callback_reply", s.CallbackReply, replyJSON, replyWord)
	word("query", s.Query, queryJSAPI, queryUnified)
	if s.NotifyURL != "" {
		u, err := url.Parse(s.NotifyURL)
		if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || len(s.NotifyURL) > 240 {
			wrong("notify_url", "must be an http or https address of at most 240 characters")
		}
	}
	for _, code := range s.NotFoundCodes {
		if _, taken := codes[code]; taken || code == "" || len(code) > 3 {
			wrong("not_found_codes", "%q cannot mean that there is no such refund: it is empty, too long or known to mean something else", code)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Services)) {
		if _, known := defaultServices[key]; !known || s.Services[key] == "" || !plain(s.Services[key]) {
			wrong("services", "%s: %q: give a service name to one of: %s", key, s.Services[key],
				strings.Join(slices.Sorted(maps.Keys(defaultServices)), ", "))
		}
	}
	return found
}

// plain: letters, digits, point, dash and underscore only.
func plain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_", r))
	}) < 0
}
