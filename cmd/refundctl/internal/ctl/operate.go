package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// word is an operator's word about one refund. It is asked again for each version
// of the record that it meets, so that a worker which came between is never
// overruled by what was true before; an error leaves the refund as it is.
type word func(refund.Record) (refund.News, error)

// operate takes an operator's word into the one lifecycle: decide, record, publish.
// A crash between record and publish is safe: the same command again, a repeated
// request or a follow-up publishes the stored event. It answers the record as it
// is then, and whether the word changed it.
func (s *system) operate(ctx context.Context, rec refund.Record, say word) (after refund.Record, changed bool, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return rec, false, err
		}
		news, err := say(rec)
		if err != nil {
			return rec, false, err
		}
		d := refund.Decide(rec, news, s.now())
		if !d.Event {
			break
		}
		stored, won, err := s.Store.Record(ctx, d.Record, "")
		if err != nil {
			return rec, false, err
		}
		rec = stored
		if won {
			changed = true
			break
		}
	}
	if !rec.Known() || rec.Published >= rec.Last.Sequence {
		return rec, changed, nil
	}
	after, err = s.Recorder.Publish(ctx, rec, nil)
	return after, changed, err
}

// unknownRequest finds the request of a refund that nobody has begun with: unread,
// parked, or to be read. The first one counts, as it does for the workers: those
// after it are repeats, or dead letters for their other content.
func (s *system) unknownRequest(ctx context.Context, rec refund.Record) (refund.Record, error) {
	key := rec.Key()
	look := func(r kafka.Record) error {
		request, err := events.DecodeRequest(r.Value, events.As[events.Header](r.Headers))
		if err != nil || request.Key != key {
			return nil
		}
		account, ok := s.Accounts[request.Merchant]
		if !ok || rec.Provider != "" && !r.Time.Before(rec.FirstSeen) {
			return nil
		}
		rec.Request, rec.Provider, rec.Order = request, account.Provider, account.Gateway.Order(request)
		rec.FirstSeen, rec.Holding = r.Time, refund.HoldsNothing
		return nil
	}
	_, err := s.Kafka.Scan(ctx, s.Topics.Requests, kafka.FromFirst(), look)
	if err == nil && rec.Provider == "" {
		err = wrong("refund %s of merchant %s is not known: there is neither a record nor a request of it", key.RefundNo, key.Merchant)
	}
	return rec, err
}

// operated is the answer of a command about one refund.
type operated struct {
	Merchant string `json:"merchant"`
	RefundNo string `json:"refund_no"`
	Before   string `json:"before"`
	Status   string `json:"status"`
	Sequence int64  `json:"sequence"`
	Changed  bool   `json:"changed"`
	Gateway  string `json:"gateway,omitempty"` // what it says, where it was asked
	Words    string `json:"words"`
}

func (r *run) showOperated(o operated) error {
	if r.format == out.JSON {
		return out.Object(r.Out, o)
	}
	return out.Block(r.Out, []out.Line{
		{Name: "refund", Words: o.RefundNo + " of " + o.Merchant},
		{Name: "gateway", Words: o.Gateway},
		{Name: "before", Words: o.Before},
		{Name: "now", Words: fmt.Sprintf("%s, sequence %d", o.Status, o.Sequence)},
		{Name: "", Words: o.Words},
	})
}

// needed refuses an empty flag that the trail needs.
func needed(flag, value, why string) error {
	if strings.TrimSpace(value) == "" {
		return usage("%s is missing: %s", flag, why)
	}
	return nil
}

func statusOr(status refund.Status, otherwise string) string {
	if status == refund.StatusNone {
		return otherwise
	}
	return string(status)
}
