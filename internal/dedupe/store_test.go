package dedupe_test

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

func TestSmoke(t *testing.T) {
	m := miniredis.RunT(t)
	client := dedupe.Dial(dedupe.Address{Addrs: []string{m.Addr()}})
	defer client.Close()
	s := dedupe.New(client, dedupe.Options{Prefix: "refund", Retention: time.Hour})
	ctx := context.Background()
	hkd := refund.Currency{Code: "HKD", Exponent: 2}
	req := refund.Request{Key: refund.Key{Merchant: "M", RefundNo: "r|1"}, OrderNo: "o", Amount: refund.Money{Minor: 100, Currency: hkd}, OrderAmount: refund.Money{Minor: 100, Currency: hkd}, Flow: refund.FlowRefund, Method: "WeChat"}
	if _, err := s.Claim(ctx, refund.Claim{Request: req, Provider: "eftpay", Order: "o", Token: "t1", Lease: time.Second}); err == nil {
		t.Fatal("no epoch")
	} else {
		t.Log(err)
	}
	if _, err := s.Begin(ctx, "M", 0); err != nil {
		t.Fatal(err)
	}
	c, err := s.Claim(ctx, refund.Claim{Request: req, Provider: "eftpay", Order: "o", Token: "t1", Lease: time.Second, Limits: refund.Limits{Rate: 10}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", c)
	next := c.Record
	next.Last.Status = refund.StatusSucceeded
	next.Last.Sequence = next.NextSequence()
	next.Holding = refund.HoldsSucceeded
	rec, ok, err := s.Record(ctx, next, "t1")
	t.Logf("%+v %v %v", rec, ok, err)
	if !ok || !rec.Last.OrderFullyRefunded {
		t.Fatal()
	}
	rec, ok, err = s.Record(ctx, next, "t1")
	if !ok {
		t.Fatal("repeat")
	}
	rec, err = s.Published(ctx, req.Key, rec.Last.Sequence)
	t.Logf("%+v %v %v", rec, ok, err)
	t.Log(m.Dump())
}
