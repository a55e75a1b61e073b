// Package account is what every gateway package is given about one merchant, and
// what it answers where that is wrong. It knows the domain only.
package account

import (
	"fmt"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// Merchant is one entry of the configuration's merchants, as far as all gateways
// have it in common.
type Merchant struct {
	Name      string
	BaseURL   string // no slash at its end; https, or http to loopback, or with AllowHTTP
	AllowHTTP bool
	Proxy     string // empty: none; the environment's is never used
	Currency  refund.Currency
	Exponent  int // decimals that the gateway counts this currency with; the standard's unless overridden
	Timeout   time.Duration
	// Decode reads the block named like the provider into a pointer to the
	// provider's own configuration (yaml tags, strict: an unknown key is an error
	// with its line). File names in it are resolved against the configuration file
	// by Path.
	Decode func(into any) error
	// Path resolves a file name of the block against the configuration's folder.
	Path func(name string) string
}

// FieldError is a finding about one key of the provider's block, so that the
// configuration can show its line. Several are joined with errors.Join.
type FieldError struct {
	Field string // the key within the block, for example private_key_file
	Err   error
}

func (e *FieldError) Error() string { return fmt.Sprintf("%s: %v", e.Field, e.Err) }
func (e *FieldError) Unwrap() error { return e.Err }
