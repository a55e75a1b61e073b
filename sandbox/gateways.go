package sandbox

import (
	"context"

	"github.com/refundworker/refundworker/internal/gatewaysim"
)

// Behave has the gateway treat a refund in one of these ways, to be set before the
// refund is published:
//
//	timeout_before       never answered, no money moved
//	timeout_after        money moved, never answered
//	reset_after          money moved, connection reset
//	error_before         500 with HTML, no money moved
//	error_after          money moved, 500 with HTML
//	garbage              money moved, answer is no JSON
//	slow                 answers after 5 s
//	decline              refused for good
//	fail_later           taken, fails 2 s later
//	settle_later         taken, succeeds 30 s later
//	stuck                taken, stays open for ever
//	callback_lost        ends without a callback
//	callback_doubled     callback twice at once
//	callback_forged      forged callback, then the true one
//
// and more: see the table in internal/gatewaysim. A refund of 900.01, 900.02 and so
// on shows them too, in the order of that table.
func (s *Sandbox) Behave(merchant, refundNo, behaviour string) {
	s.t.Helper()
	b, err := gatewaysim.Named(behaviour)
	if err != nil {
		s.t.Fatalf("sandbox: %v", err)
	}
	provider := gatewaysim.ProviderEftPay
	switch merchant {
	case EftPay:
	case BluePay:
		provider = gatewaysim.ProviderBluePay
	default:
		s.t.Fatalf("sandbox: no merchant %q: %s and %s are there", merchant, EftPay, BluePay)
	}
	if err := s.system.Gateways.SetScript(refundNo, b.Script(provider)); err != nil {
		s.t.Fatalf("sandbox: %v", err)
	}
}

// Payments answers every movement of money at the gateways so far. A refund number
// that is there twice was paid twice.
func (s *Sandbox) Payments() []Payment {
	s.t.Helper()
	books, err := s.system.Books()
	if err != nil {
		s.t.Fatalf("sandbox: the gateways' books: %v", err)
	}
	var all []Payment
	for _, p := range books {
		all = append(all, Payment{Merchant: p.Merchant, RefundNo: p.RefundNo, Order: p.Order, Minor: p.Minor})
	}
	return all
}

// Audit holds the topics and the gateways' books against the system's promises, and
// fails the test where one is broken. Refunds that are under way are judged
// fairly only once they have ended: Await them first.
func (s *Sandbox) Audit() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), s.Patience)
	defer cancel()
	report, err := s.system.Audit(ctx)
	if err != nil {
		s.t.Fatalf("sandbox: audit: %v", err)
	}
	if !report.OK() {
		s.t.Errorf("sandbox: %s", report)
	}
}
