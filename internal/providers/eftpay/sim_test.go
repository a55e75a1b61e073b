package eftpay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/providers/eftpay"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

var hkd = refund.Currency{Code: "HKD", Exponent: 2}

const simSecret = "secret-of-the-sim"

// atSim is a merchant at the simulated gateway, which checks every call against
// the vendor's tables by code of its own.
func atSim(t *testing.T, more string, sim gatewaysim.Config) (*eftpay.Gateway, *gatewaysim.Sim) {
	t.Helper()
	sim.EftPay = []gatewaysim.EftPayMerchant{{UserConfirmKey: "S0003469", Secret: simSecret}}
	s, err := gatewaysim.New(sim)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if refused, n := s.Refusals(); n > 0 {
			t.Errorf("the gateway refused %d calls as against its pages: %+v", n, refused)
		}
	})
	block := "user_confirm_key: S0003469\nsecret: " + simSecret + "\nnot_found_codes: ['40']\nnotify_url: https://us.example/cb\n" + more
	g, err := eftpay.New(account.Merchant{
		Name: "S0003469", BaseURL: "https://gateway.example/VMP", Currency: hkd, Exponent: 2, Timeout: 10 * time.Second,
		Decode: func(into any) error { return yaml.UnmarshalWithOptions([]byte(block), into, yaml.Strict()) },
	}, transport.NewPool(transport.Options{RoundTripper: s.Transport()}))
	if err != nil {
		t.Fatal(err)
	}
	return g, s
}

func request(no string, minor int64) refund.Request {
	return refund.Request{
		Key: refund.Key{Merchant: "S0003469", RefundNo: no}, OrderNo: "order-" + no, Method: "WeChat", Wallet: "WECHATHK",
		Amount: refund.Money{Minor: minor, Currency: hkd}, OrderAmount: refund.Money{Minor: 900000, Currency: hkd}, Flow: refund.FlowRefund,
		Terminal: "t1", Reason: "退 & <back>",
	}
}

// Every misbehaviour that the simulator knows, by both queries: what a call or a
// query says is final agrees with the ledger, and in the end a query says it.
func TestOutcomesAgreeWithTheLedger(t *testing.T) {
	for _, query := range []string{"jsapi", "unified"} {
		for _, b := range gatewaysim.Behaviours() {
			t.Run(query+"/"+b.Name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g, sim := atSim(t, "query: "+query+"\n", gatewaysim.Config{MagicAmounts: true})
					r := request("R1", b.Amount)
					lies := b.Name == "contradict"

					if no := g.Check(r); no != nil {
						t.Fatalf("%+v", no)
					}
					call, err := g.Sign(r)
					if err != nil {
						t.Fatal(err)
					}
					agrees(t, "call", call(t.Context()), sim, lies)
					var last refund.Outcome
					for range 10 {
						time.Sleep(time.Minute)
						last = g.Query(t.Context(), refund.Record{Request: r})
						agrees(t, "query", last, sim, false)
					}
					known, _ := sim.Refund("S0003469", "R1")
					want := refund.NotFound
					switch {
					case known.Moved > 0:
						want = refund.Succeeded
					case b.Name == "stuck":
						want = refund.Pending
					case known.Status != "":
						want = refund.Declined
					}
					if last.Class != want {
						t.Errorf("after ten minutes a query says %+v, the gateway %+v", last, known)
					}
				})
			})
		}
	}
}

func agrees(t *testing.T, who string, o refund.Outcome, sim *gatewaysim.Sim, lies bool) {
	t.Helper()
	known, _ := sim.Refund("S0003469", "R1")
	switch {
	case lies:
	case o.Class == refund.Succeeded && known.Moved == 0,
		(o.Class == refund.Declined || o.Class == refund.NotSent || o.Class == refund.NotFound) && known.Moved != 0,
		o.Class == refund.NoCall, who == "query" && (o.Class == refund.NotSent || o.Class == refund.Misconfigured):
		t.Errorf("a %s says %+v, the gateway has %+v", who, o, known)
	}
}
