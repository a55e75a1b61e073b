package ctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// replayed are the requests that are to be sent again.
func (r *run) replayed(ctx context.Context, s *system, l loading) (requests []refund.Request, err error) {
	given := 0
	for _, is := range []bool{l.file != "", l.topic, l.sample} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, usage("what is to be replayed? One of FILE, --topic and --sample")
	case l.file != "":
		requests, err = r.replayedFile(s, l)
	case l.topic:
		requests, err = r.replayedTopic(ctx, s, l)
	default:
		requests, err = s.samples(l.merchant)
	}
	if err == nil && len(requests) == 0 {
		err = usage("there is nothing to replay")
	}
	if err != nil || l.merchant == "" {
		return requests, err
	}
	return r.redirect(s, requests, l.merchant)
}

func (r *run) replayedFile(s *system, l loading) ([]refund.Request, error) {
	text, err := r.readFile(l.file)
	if err != nil {
		return nil, err
	}
	rows, err := readRows(text, l.format)
	if err != nil {
		return nil, usage("%s: %w", l.file, err)
	}
	var requests []refund.Request
	for _, one := range rows {
		request, err := events.DecodeRequest(one.text, nil)
		if one.verdict == verdictInvalid {
			err = fmt.Errorf("%s", strings.Join(one.problems, "; "))
		}
		if err != nil {
			return nil, usage("%s: line %d: %w", l.file, one.line, err)
		}
		requests = append(requests, request)
	}
	return requests, nil
}

// replayedTopic reads the requests of a time; what is no request is left out, as are
// load tests.
func (r *run) replayedTopic(ctx context.Context, s *system, l loading) (requests []refund.Request, err error) {
	from, err := r.sinceFrom(l.since)
	if err != nil {
		return nil, err
	}
	until := r.Now()
	if l.until != "" {
		if until, err = r.parseTime("--until", l.until); err != nil {
			return nil, err
		}
	}
	progress := r.progress()
	defer progress.Clear()
	_, err = s.Kafka.Scan(ctx, s.Topics.Requests, from, func(record kafka.Record) error {
		request, err := events.DecodeRequest(record.Value, events.As[events.Header](record.Headers))
		if err == nil && record.Time.Before(until) {
			requests = append(requests, request)
			progress.Show("read %d requests", len(requests))
		}
		if len(requests) == mostReplayed {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return requests, err
}

// mostReplayed bounds the memory of what is read of the topic.
const mostReplayed = 1_000_000

// redirect sends all requests to one merchant that it takes; the others are left
// out.
func (r *run) redirect(s *system, requests []refund.Request, merchant string) (fitting []refund.Request, err error) {
	to, err := s.account(merchant)
	if err != nil {
		return nil, err
	}
	why := ""
	for _, request := range requests {
		from, ok := s.Accounts[request.Merchant]
		request.Merchant = merchant
		no := to.Gateway.Check(request)
		switch {
		case ok && from.Provider != to.Provider:
			why = fmt.Sprintf("it is for merchant %s at %s, whose fields differ", from.Merchant, from.Provider)
		case no != nil:
			why = no.Message
		default:
			fitting = append(fitting, request)
		}
	}
	if left := len(requests) - len(fitting); left > 0 {
		fmt.Fprintf(r.Err, "%d of %d requests do not fit merchant %s and are left out; the last: %s\n", left, len(requests), merchant, why)
	}
	if len(fitting) == 0 {
		return nil, usage("no request fits merchant %s", merchant)
	}
	return fitting, nil
}

// testMerchants refuses a load on real money.
func (s *system) testMerchants(requests []refund.Request) error {
	var real []string
	for _, request := range requests {
		m, err := merchantOf(s.Config, request.Merchant)
		if err != nil {
			return err
		}
		if !m.Test && !slices.Contains(real, m.Name) {
			real = append(real, m.Name)
		}
	}
	if len(real) > 0 {
		return usage("not test merchants: %s. A load test moves money at their gateways; only merchants with test: true are sent to, and --merchant sends all to one of them",
			strings.Join(real, ", "))
	}
	return nil
}

// samples are a few refunds that the merchant's gateway takes.
func (s *system) samples(merchant string) ([]refund.Request, error) {
	if merchant == "" {
		return nil, usage("--sample needs --merchant")
	}
	m, err := merchantOf(s.Config, merchant)
	if err != nil {
		return nil, err
	}
	money := func(minor int64) refund.Money { return refund.Money{Minor: minor, Currency: m.Currency} }
	var samples []refund.Request
	for i, wallet := range []string{"WECHATCN", "ALIPAYHK"} {
		base := refund.Request{Key: refund.Key{Merchant: merchant, RefundNo: "1"}, Flow: refund.FlowRefund, Reason: "load test", Amount: money(100), OrderAmount: money(1000)}
		order := fmt.Sprint(i)
		switch m.Provider {
		case "eftpay":
			base.OrderNo, base.Wallet, base.Method = order, wallet, map[string]string{"WECHATCN": "WeChat", "ALIPAYHK": "Alipay"}[wallet]
		default:
			base.TransactionID = order
		}
		samples = append(samples, base)
	}
	return samples, nil
}
