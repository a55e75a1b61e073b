package providertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/refund"
)

// listen replies to notifications as the bridge does, and answers what the
// gateway read of each.
func (b *bench) listen() *heard {
	h := &heard{}
	b.inbox.mu.Lock()
	defer b.inbox.mu.Unlock()
	b.inbox.reply = func(body []byte) (int, string, []byte) {
		n, refused := b.parse(body)
		if refused != nil {
			h.refused = append(h.refused, *refused)
			if refused.Verified {
				return http.StatusBadRequest, "text/plain", nil
			}
			return http.StatusUnauthorized, "text/plain", nil
		}
		h.notices = append(h.notices, n)
		contentType, reply := b.gateway.Acknowledge()
		b.secretless(string(reply))
		return http.StatusOK, contentType, reply
	}
	return h
}

// heard is what came of the notifications, in their order; the vendor sends one
// after another in these tests.
type heard struct {
	notices []refund.Notice
	refused []refund.CallbackError
}

// parse fails the test where an error is of another type or shows a secret.
func (b *bench) parse(body []byte) (refund.Notice, *refund.CallbackError) {
	b.t.Helper()
	n, err := b.gateway.ParseCallback(body)
	if err == nil {
		b.clean(n.Outcome)
		return n, nil
	}
	b.secretless(err.Error())
	var refused *refund.CallbackError
	if !errors.As(err, &refused) {
		b.t.Fatalf("%v is no *refund.CallbackError", err)
	}
	if n != (refund.Notice{}) {
		b.t.Errorf("a refused callback says %+v", n)
	}
	return n, refused
}

// opened makes a refund that the vendor has taken and not ended.
func (b *bench) opened(ns ...gatewaysim.Notification) refund.Request {
	b.t.Helper()
	r := b.refund("R1", 1200)
	b.script("R1", gatewaysim.Step{Result: gatewaysim.Process})
	if err := b.sim.ScriptNotifications("R1", ns...); err != nil {
		b.t.Fatal(err)
	}
	b.is("call", b.call(r), refund.Pending)
	return r
}

// notify sends one notification and answers what became of it.
func (b *bench) notify(n gatewaysim.Notification) gatewaysim.Delivery {
	b.t.Helper()
	d, err := b.sim.Notify(b.t.Context(), b.s.Merchant, "R1", n)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

func (s Subject) callbacks(t *testing.T) {
	for result, want := range map[gatewaysim.Result]refund.Class{gatewaysim.Succeed: refund.Succeeded, gatewaysim.Fail: refund.Declined, gatewaysim.Cancel: refund.Declined} {
		s.inBubble(t, "verified and acknowledged: "+string(result), func(b *bench) {
			h := b.listen()
			r := b.opened()
			b.settle("R1", result)
			synctest.Wait()
			if len(h.notices) != 1 || len(h.refused) != 0 {
				b.t.Fatalf("heard %+v, want one notice", *h)
			}
			n := h.notices[0]
			b.is("notice", n.Outcome, want)
			if n.Request.Key != r.Key || n.Request.Amount != r.Amount || n.Order != b.gateway.Order(r) {
				b.t.Errorf("%+v is not about %+v", n, r)
			}
			if news := refund.NewsOf(recordOf(b, r), n); news.Outcome.Class != want {
				b.t.Errorf("news %+v, want %s", news.Outcome, want)
			}
			if n.Outcome.OccurredAt.IsZero() || n.Outcome.ProviderStatus == "" {
				b.t.Errorf("%+v: want the vendor's time and status", n.Outcome)
			}
			if d := b.sim.Deliveries("R1"); len(d) != 1 || !d[0].Acknowledged {
				b.t.Errorf("deliveries %+v, want one, acknowledged", d)
			}
		})
	}
	s.inBubble(t, "for a refund that was never requested here", func(b *bench) {
		h := b.listen()
		r := b.opened()
		b.settle("R1", gatewaysim.Succeed)
		synctest.Wait()
		if len(h.notices) != 1 {
			b.t.Fatalf("heard %+v, want one notice", *h)
		}
		// What it tells is enough to follow the refund up.
		told := h.notices[0].Request
		if told.RefundNo != r.RefundNo {
			b.t.Fatalf("%+v is not about %+v", told, r)
		}
		b.is("query by what the notice told", b.query(told), refund.Succeeded)
	})
	s.inBubble(t, "another amount", func(b *bench) {
		h := b.listen()
		r := b.opened()
		b.settle("R1", gatewaysim.Succeed)
		synctest.Wait()
		if d := b.notify(gatewaysim.Notification{Amount: 1100}); !d.Acknowledged || len(h.notices) != 2 {
			b.t.Fatalf("%+v, heard %+v: want it acknowledged, as it is verified", d, *h)
		}
		if news := refund.NewsOf(recordOf(b, r), h.notices[1]); news.Outcome.Class != refund.Mismatch {
			b.t.Errorf("news %+v, want mismatch", news.Outcome)
		}
	})
	for name, n := range map[string]gatewaysim.Notification{
		"a status that no page lists": {Status: "MYSTERY"},
		"one that was overtaken":      {Status: s.openStatus()},
	} {
		s.inBubble(t, name, func(b *bench) {
			h := b.listen()
			b.opened(gatewaysim.Notification{Skip: true})
			b.settle("R1", gatewaysim.Succeed)
			b.notify(n)
			if len(h.notices) != 1 {
				b.t.Fatalf("heard %+v, want one notice: a refund it is", *h)
			}
			b.is("notice", h.notices[0].Outcome, refund.Unknown, refund.Pending, refund.Mismatch)
		})
	}
}

// openStatus is the vendor's word for a refund that it has not ended.
func (s Subject) openStatus() string {
	if len(s.Sim.BluePay) > 0 {
		return "PENDING"
	}
	return "TRADE_PROCESSING"
}

func recordOf(b *bench, r refund.Request) refund.Record {
	return refund.Record{Request: r, Order: b.gateway.Order(r), Version: 1, Attempt: 1}
}

func (s Subject) forgeries(t *testing.T) {
	for sign, want := range map[gatewaysim.Sign]refund.CallbackReason{
		gatewaysim.SignForeign: refund.CallbackForged, gatewaysim.SignBad: refund.CallbackForged,
		gatewaysim.SignTampered: refund.CallbackForged, gatewaysim.SignMissing: refund.CallbackUnsigned,
	} {
		s.inBubble(t, string(sign)+" signature", func(b *bench) {
			h := b.listen()
			b.opened(gatewaysim.Notification{Skip: true})
			b.settle("R1", gatewaysim.Succeed)
			d := b.notify(gatewaysim.Notification{Sign: sign})
			if d.Acknowledged || len(h.notices) != 0 || len(h.refused) != 1 || h.refused[0].Verified || h.refused[0].Reason != want {
				b.t.Errorf("%+v, heard %+v: want it refused as %s, not verified", d, *h, want)
			}
		})
	}
	s.inBubble(t, "altered, cut and repeated", func(b *bench) {
		b.listen()
		b.opened()
		b.settle("R1", gatewaysim.Succeed)
		synctest.Wait()
		if len(b.inbox.bodies) != 1 {
			b.t.Fatalf("%d notifications came, want one", len(b.inbox.bodies))
		}
		b.spoil(b.inbox.bodies[0])
	})
}

// spoil alters a true notification in every way that needs no key.
func (b *bench) spoil(body []byte) {
	want, refused := b.parse(body)
	if refused != nil {
		b.t.Fatal(refused)
	}
	for n := range body {
		if _, refused := b.parse(body[:n]); refused == nil || refused.Verified {
			b.t.Fatalf("cut to %d bytes: %v, want it refused, not verified", n, refused)
		}
	}
	for at := range body {
		changed := bytes.Clone(body)
		changed[at] ^= 1
		// Where another reader would read the same, the same may be read.
		if n, refused := b.parse(changed); refused == nil && n != want || refused != nil && refused.Verified {
			b.t.Fatalf("byte %d altered: %+v %v, want it refused, not verified", at, n, refused)
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		b.t.Fatalf("the notification is no JSON object: %v", err)
	}
	for name, value := range fields {
		key, err := json.Marshal(name)
		if err != nil {
			b.t.Fatal(err)
		}
		pair := string(key) + ":" + string(value)
		for _, repeated := range []string{"{" + pair + "," + string(body[1:]), string(body[:len(body)-1]) + "," + pair + "}"} {
			if _, refused := b.parse([]byte(repeated)); refused == nil || refused.Verified {
				b.t.Errorf("%s twice: %v, want it refused, not verified", name, refused)
			}
		}
	}
	for _, foreign := range []string{"", "null", "[]", "{}", `"sign"`, "sign=1", `{"sign":"x"}`} {
		if _, refused := b.parse([]byte(foreign)); refused == nil || refused.Verified {
			b.t.Errorf("%q: %v, want it refused, not verified", foreign, refused)
		}
	}
}
