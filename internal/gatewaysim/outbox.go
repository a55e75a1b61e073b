package gatewaysim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Delivery is one try of a callback.
type Delivery struct {
	Provider string    `json:"provider"`
	Merchant string    `json:"merchant"`
	RefundNo string    `json:"refund_no"`
	URL      string    `json:"url"`
	Time     time.Time `json:"time"`
	// Status is the trade_status or refundStatus that was sent.
	Status string `json:"status"`
	Sign   Sign   `json:"sign,omitempty"`
	// Try counts from 1.
	Try int `json:"try"`
	// HTTPStatus of the reply; 0 where none came, and Problem says why.
	HTTPStatus int `json:"http_status"`
	// Acknowledged: the reply is the one that the vendor expects.
	Acknowledged bool `json:"acknowledged"`
	// Problem says why it is not acknowledged.
	Problem string `json:"problem,omitempty"`
	// GaveUp: not acknowledged, and there is no further try.
	GaveUp bool `json:"gave_up,omitempty"`
}

// maxReply bounds what is read of a reply.
const maxReply = 64 << 10

// outbox sends callbacks: a queue with a bounded number of senders.
type outbox struct {
	sim    *Sim
	client *http.Client

	mu      sync.Mutex
	queue   []errand
	senders int
	log     []Delivery
}

// errand is one notification and the facts it tells, frozen when the refund
// ended.
type errand struct {
	account *account
	facts   facts
	n       Notification
	try     int
}

func newOutbox(s *Sim) *outbox {
	transport := s.cfg.CallbackTransport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy = nil
		t.MaxIdleConnsPerHost = s.cfg.CallbackWorkers
		transport = t
		context.AfterFunc(s.base, t.CloseIdleConnections)
	}
	return &outbox{sim: s, client: &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// ended schedules the callbacks of a refund that has ended: its script's, or
// the true one. What the gateway takes back later is told by the true one.
func (o *outbox) ended(a *account, f facts, reversed bool) {
	ns := o.sim.scripts.notifications(a.merchant, f.refundNo)
	if len(ns) == 0 || reversed {
		ns = []Notification{{}}
	}
	for _, n := range ns {
		if n.BeforeAnswer || n.Skip {
			continue
		}
		e := errand{a, f, n, 1}
		if n.After > 0 {
			o.sim.after(n.After, func() { o.put(e) })
		} else {
			o.put(e)
		}
	}
}

func (e errand) url() string {
	if e.n.URL != "" {
		return e.n.URL
	}
	return e.facts.url
}

func (o *outbox) put(e errand) {
	if e.url() == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = append(o.queue, e)
	if o.senders < o.sim.cfg.CallbackWorkers && o.sim.spawn(o.send) {
		o.senders++
	}
}

// send works the queue off and ends with it.
func (o *outbox) send() {
	for {
		o.mu.Lock()
		if len(o.queue) == 0 || o.sim.closed() {
			o.senders--
			o.mu.Unlock()
			return
		}
		e := o.queue[0]
		o.queue = o.queue[1:]
		o.mu.Unlock()
		o.try(o.sim.base, e, true)
	}
}

// sendNow sends one callback and waits for its reply; tries that follow go
// through the queue.
func (o *outbox) sendNow(a *account, f facts, n Notification) {
	if e := (errand{a, f, n, 1}); e.url() != "" {
		o.try(o.sim.base, e, true)
	}
}

func (o *outbox) try(ctx context.Context, e errand, again bool) Delivery {
	body, status := e.account.notification(o.sim, e)
	d := Delivery{Provider: e.account.provider, Merchant: e.account.merchant, RefundNo: e.facts.refundNo, URL: e.url(),
		Time: o.sim.clock.Now(), Status: status, Sign: e.n.Sign, Try: e.try}
	if e.n.RefundNo != "" {
		d.RefundNo = e.n.RefundNo
	}
	reply, code, err := o.post(ctx, d.URL, body)
	d.HTTPStatus = code
	if err == nil {
		err = e.account.acknowledged(o.sim, code, reply)
	}
	if err != nil {
		d.Problem = err.Error()
	}
	d.Acknowledged = err == nil
	left := o.sim.cfg.CallbackSchedule
	more := again && !d.Acknowledged && !e.n.Once && e.try <= len(left) && !o.sim.closed()
	d.GaveUp = !d.Acknowledged && !more
	o.mu.Lock()
	o.log = append(o.log, d)
	o.mu.Unlock()
	if more {
		pause := left[e.try-1] / time.Duration(o.sim.cfg.CallbackScale)
		e.try++
		o.sim.after(pause, func() { o.put(e) })
	}
	return d
}

func (o *outbox) post(ctx context.Context, url string, body []byte) ([]byte, int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := o.sim.clock.AfterFunc(o.sim.cfg.CallbackTimeout, func() {
		cancel(fmt.Errorf("no reply within %s", o.sim.cfg.CallbackTimeout))
	})
	defer timer.Stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	r.Header.Set("Content-Type", "application/json;charset=UTF-8")
	response, err := o.client.Do(r)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, 0, err
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return nil, response.StatusCode, fmt.Errorf("reply cannot be read: %w", err)
	}
	return reply, response.StatusCode, nil
}

// Deliveries answers every try of the callbacks of a refund number, in the
// order in which their replies came; all of them where refundNo is empty.
func (s *Sim) Deliveries(refundNo string) []Delivery {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	if refundNo == "" {
		return slices.Clone(s.outbox.log)
	}
	var own []Delivery
	for _, d := range s.outbox.log {
		if d.RefundNo == refundNo {
			own = append(own, d)
		}
	}
	return own
}

// Notify sends one callback now, once, and answers what came back. The facts
// are those of the refund's truth; where the gateway does not know the
// refund, n gives them (URL, Amount, Status, Fields for the order). The error
// is for a merchant or an address that is missing; a callback that fails is a
// Delivery.
func (s *Sim) Notify(ctx context.Context, merchant, refundNo string, n Notification) (Delivery, error) {
	a, err := s.find(merchant)
	if err != nil {
		return Delivery{}, err
	}
	if err := n.check(); err != nil {
		return Delivery{}, fmt.Errorf("gatewaysim: notification: %w", err)
	}
	f := facts{refundNo: refundNo, id: "0", state: succeeded, ended: s.clock.Now(), created: s.clock.Now(), apply: true}
	a.mu.Lock()
	if r := a.refunds[refundNo]; r != nil {
		if t := r.truth(); t != nil {
			f = a.facts(t)
		} else {
			f.url, f.amount, f.paytype, f.wallet = r.callbackURL, r.amount, r.paytype, r.wallet
			if r.sale != nil {
				f.order, f.tradeNo, f.total = r.sale.order, r.sale.tradeNo, r.sale.total
			}
		}
	}
	a.mu.Unlock()
	if f.status == "" {
		f.status = a.status(&attempt{state: succeeded})
	}
	e := errand{a, f, n, 1}
	if e.url() == "" {
		return Delivery{}, fmt.Errorf("gatewaysim: refund %q gave no callback address: set Notification.URL", refundNo)
	}
	return s.outbox.try(ctx, e, false), nil
}

// Forge sends a callback that says "succeeded" with a signature that is not
// the gateway's, and answers what came back. An empty url means the one that
// the refund gave.
func (s *Sim) Forge(ctx context.Context, merchant, refundNo, url string) (Delivery, error) {
	a, err := s.find(merchant)
	if err != nil {
		return Delivery{}, err
	}
	status := a.status(&attempt{state: succeeded})
	return s.Notify(ctx, merchant, refundNo, Notification{Sign: SignForeign, Status: status, URL: url})
}
