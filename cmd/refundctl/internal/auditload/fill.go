//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// fill writes the topics and answers how many records they hold.
func fill(ctx context.Context, config string, refunds int) (records int, err error) {
	cfg, err := app.Load(config)
	if err != nil {
		return 0, err
	}
	client, err := app.NewClient(cfg)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	p := client.Parts()
	if err := p.Kafka.EnsureTopics(ctx, consumer.Specs(p.Topics, p.Delays, 4, 1)); err != nil {
		return 0, err
	}
	const together = 1000
	var writers errgroup.Group
	writers.SetLimit(8)
	for first := 0; first < refunds; first += together {
		var batch []kafka.Record
		for i := first; i < min(first+together, refunds); i++ {
			batch = append(batch, life(p.Topics.Requests, p.Topics.Status, i)...)
		}
		records += len(batch)
		writers.Go(func() error { return p.Producer.Write(ctx, batch...) })
	}
	if err := writers.Wait(); err != nil {
		return 0, err
	}
	spans, err := p.Kafka.Spans(ctx, p.Topics.Requests)
	if err != nil {
		return 0, err
	}
	taken := map[int]int64{}
	for _, s := range spans {
		taken[s.Partition] = s.End
	}
	return records, p.Kafka.SetCommitted(ctx, cfg.Kafka.Group, p.Topics.Requests, taken)
}

// life is all that the topics have of refund i. Every fifth shares its order with the
// one before it.
func life(requests, statuses string, i int) []kafka.Record {
	hkd := refund.Currency{Code: "HKD", Exponent: 2}
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Millisecond)
	order := i
	if i%5 == 4 {
		order--
	}
	request := refund.Request{
		Key: refund.Key{Merchant: "S0003469", RefundNo: fmt.Sprintf("2026112200%010d", i)}, OrderNo: fmt.Sprintf("rrn_16862800%010d", order),
		Amount: refund.Money{Minor: int64(i%500 + 1), Currency: hkd}, OrderAmount: refund.Money{Minor: 1001, Currency: hkd},
		Method: "WeChat", Wallet: "WECHATCN", Terminal: "tid_3378", Flow: refund.FlowRefund, Reason: "test refund", RequestedAt: at,
	}
	value, headers := events.EncodeRequest(request)
	records := []kafka.Record{{Topic: requests, Key: []byte(request.OrderNo), Value: value, Headers: events.As[kafka.Header](headers)}}
	event := func(last refund.Event) {
		last.Source, last.Matched, last.Attempt, last.OccurredAt, last.RecordedAt = refund.FromWorker, true, 1, at, at
		key, value, headers := events.EncodeStatus(refund.Record{Request: request, Order: request.OrderNo, Provider: "eftpay", FirstSeen: at, Attempt: 1, Last: last})
		records = append(records, kafka.Record{Topic: statuses, Key: key, Value: value, Headers: events.As[kafka.Header](headers)})
	}
	event(refund.Event{Sequence: 1, Status: refund.StatusPending})
	switch {
	case i%200 == 0: // still open
		event(refund.Event{Sequence: 2, Status: refund.StatusUnknown, Code: "timeout", Message: "no answer within 10s"})
	case i%30 == 0:
		event(refund.Event{Sequence: 2, Status: refund.StatusFailed, ProviderStatus: "TRADE_FAIL", Code: "51", Message: "insufficient balance"})
	default:
		event(refund.Event{Sequence: 2, Status: refund.StatusSucceeded, ProviderStatus: "TRADE_REFUND", ProviderRefundID: fmt.Sprintf("503000060620230609%011d", i)})
	}
	return records
}
