package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// planned says what redrive does with a letter, and why.
type planned struct {
	letter   *letter
	redrive  bool
	followUp *refund.Record // not a request any more: the query of this open refund
	why      string
}

// plan decides. What would only come back, and what has ended, is left: money never
// hangs on that, as the worker refuses both by itself.
func (s *system) plan(ctx context.Context, one *letter, maxAttempts int) (planned, error) {
	leave := func(format string, args ...any) (planned, error) {
		return planned{letter: one, why: fmt.Sprintf(format, args...)}, nil
	}
	if one.State != "" && one.State != stateOpen {
		return leave("it was %s before", one.State)
	}
	if one.Attempts >= maxAttempts {
		return leave("it has failed %d times (--max-attempts)", one.Attempts)
	}
	request, wrong := events.DecodeRequest(one.record.Value, events.As[events.Header](one.record.Headers))
	if wrong != nil && one.RefundNo == "" {
		return leave("it would come back: %v", wrong)
	}
	if wrong != nil {
		request = one.request
	}
	account, ok := s.Accounts[request.Merchant]
	if !ok {
		return leave("it would come back: merchant %q is not in the configuration", request.Merchant)
	}
	rec, err := s.record(ctx, request.Key)
	if err != nil {
		return planned{}, err
	}
	same := rec.Request.Content() == request.Content()
	switch status := rec.Last.Status; {
	case wrong != nil && rec.Known() && !status.Final():
		return planned{letter: one, redrive: true, followUp: &rec, why: fmt.Sprintf("the refund is %s: it is asked about anew", status)}, nil
	case wrong != nil:
		return leave("it would come back: %v", wrong)
	case rec.Known() && rec.Last.Matched && !same:
		return leave("it would come back: refund_no %s is %s with other content", request.RefundNo, status)
	case status == refund.StatusSucceeded:
		return leave("the refund is SUCCEEDED: nothing is sent again")
	case status.Final() && rec.Last.Matched:
		return leave("the refund is %s: a new try needs a new refund_no", status)
	case status == refund.StatusNone:
		if no := account.Gateway.Check(request); no != nil {
			return planned{letter: one, redrive: true, why: "it will be REJECTED: " + no.Message}, nil
		}
		return planned{letter: one, redrive: true, why: "nothing was begun with it"}, nil
	case !rec.Last.Matched:
		return planned{letter: one, redrive: true, why: "the refund is known from a callback: the request adopts it"}, nil
	}
	return planned{letter: one, redrive: true, why: fmt.Sprintf("the refund is %s: it is followed up", rec.Last.Status)}, nil
}

// record is the letter for the request topic: key, value and headers as they were
// received. The dlq headers stay, so that attempts go on counting; those of delay
// topics go, as they say where the first delivery lay.
func (p planned) record(topic string) kafka.Record {
	r := kafka.Record{Topic: topic, Key: p.letter.record.Key, Value: p.letter.record.Value}
	for _, h := range p.letter.record.Headers {
		if !strings.HasPrefix(h.Key, "refund-") {
			r.Headers = append(r.Headers, h)
		}
	}
	return r
}
