package gatewaysim

// perform lets a valid call go as its step says: wait, land now or later.
// It is shared by both gateways. A landing later than the answer changes the
// step's answer to Hang unless one is given. False where the simulator was
// closed meanwhile.
func (s *Sim) perform(a *account, r *refund, callNo int, amount int64, step *Step) (outcome, bool) {
	if !s.sleep(s.cfg.Delay + step.Delay) {
		return outcome{}, false
	}
	if step.LandAfter > 0 {
		if step.Answer == OK {
			step.Answer = Hang
		}
		landing := *step
		s.after(step.LandAfter, func() {
			s.spawn(func() { s.land(a, r, callNo, amount, landing) })
		})
		return outcome{}, true
	}
	return s.land(a, r, callNo, amount, *step), true
}

// turn ends a refund as a query's step says; other results change nothing.
func (s *Sim) turn(a *account, r *refund, result Result) {
	switch result {
	case Succeed, Fail, Cancel, Reverse:
	default:
		return
	}
	a.mu.Lock()
	t := r.truth()
	a.mu.Unlock()
	if t != nil {
		s.settle(a, t, result)
	}
}

// inspect lets a valid query of one refund number go as its step says.
func (s *Sim) inspect(a *account, r *refund, order string, step Step) (outcome, bool) {
	if !s.sleep(s.cfg.Delay + step.Delay) {
		return outcome{}, false
	}
	s.turn(a, r, step.Result)
	a.mu.Lock()
	defer a.mu.Unlock()
	t := r.truth()
	if t == nil || step.Result == Nothing || t.sale.order != order {
		return outcome{}, true
	}
	return outcome{known: true, facts: a.facts(t)}, true
}
