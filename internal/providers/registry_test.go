package providers

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

func settings(name, provider, block string) Settings {
	return Settings{
		Merchant: account.Merchant{
			Name: name, BaseURL: "https://gateway.example/VMP", Currency: refund.Currency{Code: "HKD", Exponent: 2}, Exponent: 2, Timeout: 10 * time.Second,
			Decode: func(into any) error { return yaml.UnmarshalWithOptions([]byte(block), into, yaml.Strict()) },
			Path:   func(name string) string { return name },
		},
		Provider: provider, Concurrency: 64, MaxWait: 5 * time.Second, Rate: 100, ErrorRate: 6,
		Breaker:            Breaker{Window: 30 * time.Second, MinCalls: 20, FailureRatio: 0.5, OpenFor: 15 * time.Second},
		MaxRefundsPerOrder: 50, OrderInterval: time.Minute, ResendAfter: 2 * time.Minute,
	}
}

const eftpayBlock = "user_confirm_key: S0003469\nsecret: canary\n"

func TestBuildMakesAnAccountOfSettings(t *testing.T) {
	accounts, err := Build([]Settings{settings("one", "eftpay", eftpayBlock), settings("two", "eftpay", eftpayBlock)},
		transport.NewPool(transport.Options{}), Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	one, ok := accounts.Account("one")
	two, _ := accounts.Account("two")
	if !ok || one.Merchant != "one" || one.Provider != "eftpay" || one.Gateway == nil || one.Timeout != 10*time.Second ||
		one.MaxWait != 5*time.Second || one.ResendAfter != 2*time.Minute ||
		one.Limits != (refund.Limits{Rate: 100, MaxRefundsPerOrder: 50, OrderInterval: time.Minute}) {
		t.Errorf("%+v", one)
	}
	if one.Slots == two.Slots {
		t.Error("two merchants share a guard: one's trouble would be the other's")
	}
	if again, _ := accounts.Account("one"); again != one {
		t.Error("an account is one and the same")
	}
	if _, ok := accounts.Account("three"); ok {
		t.Error("an account out of nothing")
	}
	if refund.Slots(accounts["one"].Guard) != one.Slots || accounts["one"].Callbacks == nil {
		t.Error("the bridge's and the worker's account are not the same")
	}
}

// Both gateways are in the registry: an empty block is refused by its own package.
func TestEachProviderIsThere(t *testing.T) {
	if want := []string{"bluepay", "eftpay"}; !slices.Equal(Names(), want) {
		t.Errorf("%v", Names())
	}
	for _, name := range Names() {
		_, err := Build([]Settings{settings("m", name, "{}")}, transport.NewPool(transport.Options{}), Hooks{})
		var merchant *MerchantError
		var field *account.FieldError
		if !errors.As(err, &merchant) || merchant.Merchant != "m" || merchant.Provider != name || !errors.As(err, &field) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBuildReportsAllThatIsWrong(t *testing.T) {
	bad := settings("bad", "eftpay", eftpayBlock+"query: C\n")
	bad.Concurrency, bad.Breaker.FailureRatio = 0, 1.5
	_, err := Build([]Settings{settings("one", "eftpay", eftpayBlock), settings("one", "eftpay", eftpayBlock), bad, settings("other", "paypal", "{}")},
		transport.NewPool(transport.Options{}), Hooks{})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"merchant one (eftpay): is there twice", "concurrency", "failure_ratio", "query", `"paypal" is none of: bluepay, eftpay`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not tell of %s", err, want)
		}
	}
	if strings.Contains(fmt.Sprintf("%+v", err), "canary") {
		t.Error("it tells a secret")
	}
}

// The guard's ping is the gateway's own query.
func TestGuardPingsTheGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		pool := transport.NewPool(transport.Options{RoundTripper: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Path)
			return nil, errors.New("broken")
		})})
		s := settings("one", "eftpay", eftpayBlock)
		s.Breaker.MinCalls = 1
		accounts, err := Build([]Settings{s}, pool, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		slot, wait := accounts["one"].Slots.Acquire(t.Context(), refund.RefundCall)
		if wait != nil {
			t.Fatalf("%+v", *wait)
		}
		slot.Done(down)
		time.Sleep(16 * time.Second)
		if _, wait := accounts["one"].Slots.Acquire(t.Context(), refund.RefundCall); wait == nil || !slices.Equal(asked, []string{"/VMP/Servlet/QRcodeTradeQuery.do"}) {
			t.Errorf("%+v, asked %v", wait, asked)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
