package gatewaysim

import (
	"fmt"
	"time"
)

// outcome is what a call or query came to, copied under the lock: what the
// answer is built from.
type outcome struct {
	known   bool // the gateway has the refund
	facts   facts
	refused string // the code by which a call was refused; no attempt then
}

// facts are one attempt's, copied.
type facts struct {
	refundNo, order, tradeNo, id string
	paytype, wallet, terminal    string
	reason, url                  string
	amount, total                int64
	call                         int
	state                        state
	status                       string
	created, ended               time.Time
	apply                        bool
}

func (a *account) facts(t *attempt) facts {
	r := t.refund
	f := facts{refundNo: r.no, id: t.id, paytype: r.paytype, wallet: r.wallet, terminal: r.terminal, reason: r.reason,
		url: r.callbackURL, amount: t.amount, call: t.call, state: t.state, status: a.status(t), created: t.created,
		ended: t.ended, apply: r.apply}
	f.order, f.tradeNo, f.total = t.sale.order, t.sale.tradeNo, t.sale.total
	return f
}

// land lets a call take effect: the one place where attempts begin. The
// notifications that it causes are put into the outbox by the caller's
// goroutine; those marked BeforeAnswer have been replied to when it returns.
func (s *Sim) land(a *account, r *refund, call int, amount int64, step Step) outcome {
	if step.Result == Nothing || (step.Code != "" && step.Result == ByDefault) {
		return outcome{}
	}
	a.mu.Lock()
	out, done := s.refuse(a, r, amount, step)
	var t *attempt
	if !done {
		if s.cfg.CheckTotals && r.sale.over(amount) {
			step.Result = Decline
		}
		t = s.begin(a, r, call, amount)
		out = outcome{known: true}
	}
	a.mu.Unlock()
	if t == nil {
		return out
	}
	s.course(a, t, step)
	a.mu.Lock()
	out.facts = a.facts(t)
	a.mu.Unlock()
	for _, n := range s.scripts.notifications(a.merchant, r.no) {
		if n.BeforeAnswer && !n.Skip {
			s.outbox.sendNow(a, out.facts, n)
		}
	}
	return out
}

// refuse answers where a call begins no attempt. The caller holds the lock.
func (s *Sim) refuse(a *account, r *refund, amount int64, step Step) (outcome, bool) {
	blue := a.provider == ProviderBluePay
	if t := r.truth(); t != nil && s.cfg.Idempotent {
		switch {
		case blue:
			return outcome{refused: "21407"}, true
		case t.amount != amount:
			return outcome{refused: eftOtherAmount}, true
		case t.state != failed:
			return outcome{known: true, facts: a.facts(t)}, true
		}
	}
	sl := r.sale
	switch {
	case blue && step.Result == Decline:
		return outcome{refused: "21402"}, true
	case blue && !sl.paidAt.IsZero() && s.clock.Now().Sub(sl.paidAt) > 60*24*time.Hour:
		return outcome{refused: "21403"}, true
	case blue && s.cfg.OnePending && sl.pendingBeside(r):
		return outcome{refused: "21409"}, true
	case blue && s.cfg.CheckTotals && sl.over(amount):
		return outcome{refused: "21010"}, true
	}
	return outcome{}, false
}

func (s *Sim) begin(a *account, r *refund, call int, amount int64) *attempt {
	t := &attempt{refund: r, sale: r.sale, call: call, amount: amount, created: s.clock.Now()}
	d := digest(a.key(), r.no, fmt.Sprint(call))
	if a.provider == ProviderBluePay {
		t.id = fmt.Sprintf("%016d", d%1e16)
	} else {
		t.id = fmt.Sprintf("R%020d", d)
	}
	if r.apply {
		t.state = applied
	}
	r.attempts = append(r.attempts, t)
	t.sale.attempts = append(t.sale.attempts, t)
	a.byID[t.id] = t
	return t
}

// course lets an attempt go the way that its step says.
func (s *Sim) course(a *account, t *attempt, step Step) {
	result, wait := step.Result, step.SettleAfter
	later := t.refund.apply || a.provider == ProviderBluePay
	switch result {
	case Decline:
		result, wait = Fail, 0
	case Process:
		return
	case ByDefault:
		result = Succeed
		if later && wait == 0 {
			wait = max(s.cfg.SettleAfter, 0)
		}
	}
	if wait > 0 {
		s.after(wait, func() { s.settle(a, t, result) })
		return
	}
	s.settle(a, t, result)
}

// settle ends an attempt, or takes it back; news that come too late change
// nothing. It is the one place where money moves.
func (s *Sim) settle(a *account, t *attempt, result Result) bool {
	a.mu.Lock()
	now := s.clock.Now()
	switch {
	case result == Reverse && t.state == succeeded:
		t.state, t.ended = failed, now
		a.move(t, -t.amount, now)
	case t.final():
		a.mu.Unlock()
		return false
	case result == Succeed:
		t.state, t.ended = succeeded, now
		a.move(t, t.amount, now)
		t.full = t.sale.total > 0 && t.sale.moved >= t.sale.total
	case result == Fail:
		t.state, t.ended = failed, now
	case result == Cancel:
		t.state, t.ended = cancelled, now
	default:
		a.mu.Unlock()
		return false
	}
	f := a.facts(t)
	a.mu.Unlock()
	s.outbox.ended(a, f, result == Reverse)
	return true
}

func (a *account) move(t *attempt, amount int64, now time.Time) {
	r := t.refund
	r.moved += amount
	r.movements++
	t.sale.moved += amount
	a.entries = append(a.entries, Entry{Provider: a.provider, Merchant: a.merchant, Order: t.sale.order, RefundNo: r.no,
		Amount: amount, Currency: a.currency, Time: now, Call: t.call, RefundID: t.id})
}

// Settle ends the last attempt at a refund now: Succeed, Fail or Cancel while
// it is open, Reverse once it succeeded. The callback goes out as for any end.
func (s *Sim) Settle(merchant, refundNo string, result Result) error {
	a, err := s.find(merchant)
	if err != nil {
		return err
	}
	a.mu.Lock()
	var t *attempt
	if r := a.refunds[refundNo]; r != nil {
		t = r.truth()
	}
	a.mu.Unlock()
	if t == nil {
		return fmt.Errorf("gatewaysim: merchant %q has no refund %q: nothing landed under that number", merchant, refundNo)
	}
	if !s.settle(a, t, result) {
		return fmt.Errorf("gatewaysim: refund %q cannot be settled as %q: open refunds take succeed, fail, cancel, and a succeeded one takes reverse", refundNo, result)
	}
	return nil
}

func (sl *sale) pendingBeside(r *refund) bool {
	for _, t := range sl.attempts {
		if t.refund != r && !t.final() {
			return true
		}
	}
	return false
}

// over tells whether amount more would exceed the total, open ones included.
func (sl *sale) over(amount int64) bool {
	sum := sl.moved + amount
	for _, t := range sl.attempts {
		if !t.final() {
			sum += t.amount
		}
	}
	return sl.total > 0 && sum > sl.total
}
