package bluepay

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
)

// settings is the merchant's bluepay block (DESIGN.md, section 5).
type settings struct {
	AppID                string   `yaml:"app_id"`                  // as BluePay gave it
	PrivateKeyFile       string   `yaml:"private_key_file"`        // ours: PEM or bare Base64
	GatewayPublicKeyFile string   `yaml:"gateway_public_key_file"` // BluePay's
	VerifyKeyFiles       []string `yaml:"verify_key_files"`        // further ones of BluePay's, while keys are changed
	CallbackURL          string   `yaml:"callback_url"`            // of the bridge; empty: refunds are only asked about
	TimestampUnit        string   `yaml:"timestamp_unit"`          // seconds or milliseconds
	TimeZone             string   `yaml:"time_zone"`               // of the times that BluePay writes without one
}

// defaults: the vendor's sample has seconds where a table of the same page says
// milliseconds, and its times are UTC+8 without saying so.
func defaults() settings { return settings{TimestampUnit: "seconds", TimeZone: "+08:00"} }

const (
	maxAppID       = 64
	maxCallbackURL = 256
)

// gateway checks every key of the block, so that all findings are told at once.
func (s settings) gateway(m account.Merchant) (*Gateway, error) {
	g := &Gateway{merchant: m, appID: s.AppID, callback: s.CallbackURL, now: time.Now}
	var findings []error
	finding := func(field string, err error) {
		if err != nil {
			findings = append(findings, &account.FieldError{Field: field, Err: err})
		}
	}
	finding("app_id", checkAppID(s.AppID))
	finding("callback_url", checkCallbackURL(s.CallbackURL))

	var err error
	g.unit, err = timestampUnit(s.TimestampUnit)
	finding("timestamp_unit", err)
	g.zone, err = timeZone(s.TimeZone)
	finding("time_zone", err)
	g.key, err = readPrivateKey(m.Path, s.PrivateKeyFile)
	finding("private_key_file", err)

	verify := func(field, file string) {
		key, err := readPublicKey(m.Path, file)
		if err == nil && g.key != nil && key.Equal(&g.key.PublicKey) {
			err = errors.New("is the public half of private_key_file: take the key that BluePay shows as its own")
		}
		finding(field, err)
		g.verify = append(g.verify, key)
	}
	verify("gateway_public_key_file", s.GatewayPublicKeyFile)
	for i, file := range s.VerifyKeyFiles {
		verify(fmt.Sprintf("verify_key_files[%d]", i), file)
	}
	if err := errors.Join(findings...); err != nil {
		return nil, err
	}
	return g, nil
}

func checkAppID(id string) error {
	switch {
	case id == "":
		return errors.New("is missing: BluePay gives it with the account")
	case len(id) > maxAppID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("must be 1 to %d ASCII characters without spaces", maxAppID)
	}
	return nil
}

// checkCallbackURL: an empty one is allowed; refunds are then followed up by
// queries alone.
func checkCallbackURL(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must be of the form https://host/v1/callbacks/MERCHANT")
	case u.User != nil || u.Fragment != "":
		return errors.New("must hold neither user nor fragment")
	case len(address) > maxCallbackURL:
		return fmt.Errorf("is longer than %d characters", maxCallbackURL)
	}
	return nil
}

func timestampUnit(name string) (time.Duration, error) {
	switch name {
	case "seconds":
		return time.Second, nil
	case "milliseconds":
		return time.Millisecond, nil
	}
	return 0, errors.New("must be seconds or milliseconds")
}

// timeZone reads an offset from UTC of the form +08:00.
func timeZone(offset string) (*time.Location, error) {
	at, err := time.Parse("-07:00", offset)
	if err != nil {
		return nil, errors.New("must be an offset from UTC, for example +08:00")
	}
	_, seconds := at.Zone()
	return time.FixedZone(offset, seconds), nil
}
