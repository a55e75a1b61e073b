package memstore

import (
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// margin is how much longer than its refunds an order is remembered.
const margin = 24 * time.Hour

// order is what an order has given back, and may still: lua/order.lua.
type order struct {
	total     int64 // pinned; 0: not known yet
	currency  refund.Currency
	reserved  int64
	succeeded int64
	count     int
	last      int64 // ms, when the last call for it began
	until     int64 // microseconds; 0: for ever
	known     bool
}

func (t *step) order(name string) order {
	o, ok := t.m.orders[name]
	if !ok || o.until > 0 && o.until <= t.now {
		return order{}
	}
	return o
}

func (t *step) storeOrder(name string, o order) {
	o.known, o.until = true, 0
	if o.reserved == 0 {
		o.until = t.after(t.s.options.Retention + margin)
	}
	put(t, t.m.orders, name, o)
}

// hold adds (sign 1) or takes away (sign -1) what a refund holds.
func (o *order) hold(r refund.Record, sign int64) {
	switch r.Holding {
	case refund.HoldsReserved:
		o.reserved += sign * r.Request.Amount.Minor
	case refund.HoldsSucceeded:
		o.succeeded += sign * r.Request.Amount.Minor
	default:
		return
	}
	o.count += int(sign)
}

// pin keeps the total while anything is held, and pins it anew where nothing is.
func (o *order) pin(total int64, c refund.Currency) {
	if o.count == 0 {
		o.total, o.currency = total, c
	} else if o.total == 0 {
		o.total = total
	}
}

// pinAgain is pin during a rebuild: lua/restore.lua.
func (o *order) pinAgain(next refund.Record, total int64) {
	if next.Last.Status == refund.StatusWaiting {
		total = 0
	}
	if o.count > 0 && total > 0 && o.total > total {
		o.total = total
	}
	o.pin(total, next.Request.Amount.Currency)
}

// settle moves a reservation from what the old record holds to what the new one
// does, and tells whether the new one's order is fully refunded then.
func (t *step) settle(old *refund.Record, next refund.Record, pin func(*order)) (full bool) {
	if old != nil && old.Order != "" && old.Order != next.Order && old.Holding != refund.HoldsNothing {
		o := t.order(old.Order)
		o.hold(*old, -1)
		t.storeOrder(old.Order, o)
	}
	if next.Order == "" {
		return false
	}
	o := t.order(next.Order)
	if old != nil && old.Order == next.Order {
		o.hold(*old, -1)
	}
	if next.Holding != refund.HoldsNothing {
		pin(&o)
	}
	o.hold(next, 1)
	if o.known || o.count > 0 {
		t.storeOrder(next.Order, o)
	}
	return o.total > 0 && o.succeeded == o.total
}
