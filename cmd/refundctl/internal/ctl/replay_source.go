package ctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/load"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// replayed are the requests that are to be sent again, in the order in which they
// came, and the times at which they did, as far as those are known.
func (r *run) replayed(ctx context.Context, s *system, l loading) (requests []refund.Request, times []time.Time, err error) {
	given := 0
	for _, is := range []bool{l.file != "", l.topic != "", l.sample} {
		if is {
			given++
		}
	}
	var came []original
	switch {
	case given != 1:
		return nil, nil, usage("what is to be replayed? One of FILE, --topic and --sample")
	case l.file != "":
		came, err = r.replayedFile(l)
	case l.topic != "":
		came, err = r.replayedTopic(ctx, s, l)
	default:
		came, err = s.samples(l.merchant)
	}
	if err == nil && len(came) == 0 {
		err = usage("there is nothing to replay")
	}
	if err == nil && l.merchant != "" {
		came, err = r.redirect(s, came, l.merchant)
	}
	if err != nil {
		return nil, nil, err
	}
	slices.SortStableFunc(came, func(a, b original) int { return a.at.Compare(b.at) })
	for _, one := range came {
		requests, times = append(requests, one.Request), append(times, one.at)
	}
	return requests, times, nil
}

// original is a request as it came once.
type original struct {
	refund.Request
	at time.Time
}

func (r *run) replayedFile(l loading) (came []original, err error) {
	text, err := r.readFile(l.file)
	if err != nil {
		return nil, err
	}
	rows, err := readRows(text, l.format)
	if err != nil {
		return nil, usage("%s: %w", l.file, err)
	}
	for _, one := range rows {
		request, err := events.DecodeRequest(one.text, nil)
		if one.verdict == verdictInvalid {
			err = fmt.Errorf("%s", strings.Join(one.problems, "; "))
		}
		if err == nil && l.pace > 0 && request.RequestedAt.IsZero() {
			err = errors.New("it has no requested_at, which --pace goes by")
		}
		if err != nil {
			return nil, usage("%s: line %d: %w", l.file, one.line, err)
		}
		came = append(came, original{Request: request})
		if l.pace > 0 {
			came[len(came)-1].at = request.RequestedAt
		}
	}
	return came, nil
}

// replayedTopic reads the requests of a time; what is no request is left out, as are
// repeats, which move nothing, and load tests.
func (r *run) replayedTopic(ctx context.Context, s *system, l loading) (came []original, err error) {
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
	topic := l.topic
	if topic == requestTopic {
		topic = s.Topics.Requests
	}
	progress := r.progress()
	defer progress.Clear()
	seen := map[refund.Key]bool{}
	_, err = s.Kafka.Scan(ctx, topic, from, func(record kafka.Record) error {
		request, err := events.DecodeRequest(record.Value, events.As[events.Header](record.Headers))
		if err == nil && record.Time.Before(until) && !seen[request.Key] && !load.IsFresh(request) {
			seen[request.Key] = true
			came = append(came, original{request, record.Time})
			progress.Show("read %d requests of %s", len(came), topic)
		}
		if len(came) == mostReplayed {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		fmt.Fprintf(r.Err, "only the first %d requests are replayed: --since and --until say which\n", mostReplayed)
		err = nil
	}
	return came, err
}

// mostReplayed bounds the memory of what is read of the topic.
const mostReplayed = 1_000_000

// redirect sends all requests to one merchant that it takes; the others are left
// out.
func (r *run) redirect(s *system, came []original, merchant string) (fitting []original, err error) {
	to, err := s.account(merchant)
	if err != nil {
		return nil, err
	}
	why := ""
	for _, one := range came {
		from, ok := s.Accounts[one.Merchant]
		one.Merchant = merchant
		no := to.Gateway.Check(one.Request)
		switch {
		case ok && from.Provider != to.Provider:
			why = fmt.Sprintf("it is for merchant %s at %s, whose fields differ", from.Merchant, from.Provider)
		case no != nil:
			why = no.Message
		default:
			fitting = append(fitting, one)
		}
	}
	if left := len(came) - len(fitting); left > 0 {
		fmt.Fprintf(r.Err, "%d of %d requests do not fit merchant %s and are left out; the last: %s\n", left, len(came), merchant, why)
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
func (s *system) samples(merchant string) ([]original, error) {
	if merchant == "" {
		return nil, usage("--sample needs --merchant")
	}
	m, err := merchantOf(s.Config, merchant)
	if err != nil {
		return nil, err
	}
	money := func(minor int64) refund.Money { return refund.Money{Minor: minor, Currency: m.Currency} }
	var samples []original
	for i, wallet := range []string{"WECHATCN", "ALIPAYHK"} {
		base := refund.Request{Key: refund.Key{Merchant: merchant, RefundNo: "1"}, Flow: refund.FlowRefund, Reason: "load test", Amount: money(100), OrderAmount: money(1000)}
		order := fmt.Sprint(i)
		switch m.Provider {
		case "eftpay":
			base.OrderNo, base.Wallet, base.Method = order, wallet, map[string]string{"WECHATCN": "WeChat", "ALIPAYHK": "Alipay"}[wallet]
		default:
			base.TransactionID = order
		}
		samples = append(samples, original{Request: base})
	}
	return samples, nil
}
