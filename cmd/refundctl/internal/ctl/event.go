package ctl

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// happening is a status event or a dead letter, as watch and submit show it. As
// JSON an event is what the topic has, byte for byte.
type happening struct {
	status events.Status
	raw    json.RawMessage
	again  bool
	dead   *letter // in place of a status
	err    error   // a record that is no event
	place  string
}

// MarshalJSON implements json.Marshaler.
func (h happening) MarshalJSON() ([]byte, error) {
	switch {
	case h.dead != nil:
		return json.Marshal(map[string]*letter{"dead_letter": h.dead})
	case h.err != nil:
		return json.Marshal(map[string]string{"unreadable": h.place, "problem": h.err.Error()})
	}
	return h.raw, nil
}

// key is the refund's; zero for what tells none.
func (h happening) key() refund.Key {
	if h.dead != nil {
		return refund.Key{Merchant: h.dead.Merchant, RefundNo: h.dead.RefundNo}
	}
	return h.status.Key
}

func (h happening) word() string {
	switch {
	case h.dead != nil:
		return "DEAD"
	case h.err != nil:
		return "UNREADABLE"
	}
	return string(h.status.Status)
}

// ended says that nothing more is owed.
func (h happening) ended() bool { return h.dead != nil || h.err == nil && h.status.Final }

func happened(e statuslog.Entry) happening {
	h := happening{status: e.Status, raw: e.Value, place: fmt.Sprintf("%s/%d/%d", e.Topic, e.Partition, e.Offset), err: e.Err}
	if h.err != nil {
		h.status.RecordedAt = e.Time
	}
	return h
}

func (r *run) happeningColumns() []out.Column[happening] {
	return []out.Column[happening]{
		{Name: "time", Width: 23, Cell: func(h happening) string {
			if h.dead != nil {
				return r.clock(h.dead.LastFailedAt)
			}
			return r.clock(h.status.RecordedAt)
		}},
		{Name: "merchant", Width: 10, Cell: func(h happening) string { return h.key().Merchant }},
		{Name: "refund_no", Width: 20, Cell: func(h happening) string { return h.key().RefundNo }},
		{Name: "status", Width: 9, Cell: happening.word},
		{Name: "source", Width: 8, Cell: func(h happening) string { return string(h.status.Source) }},
		{Name: "amount", Width: 14, Cell: func(h happening) string { return amountOf(h.status.Amount) }},
		{Name: "seq", Wide: true, Width: 4, Cell: func(h happening) string { return number(h.status.Sequence) }},
		{Name: "attempt", Wide: true, Cell: func(h happening) string { return number(int64(h.status.Attempt)) }},
		{Name: "order", Wide: true, Width: 20, Cell: func(h happening) string { return h.status.OrderNo }},
		{Name: "gateway's number", Wide: true, Width: 20, Cell: func(h happening) string { return h.status.ProviderRefundID }},
		{Name: "place", Wide: true, Width: 20, Cell: func(h happening) string { return h.place }},
		{Name: "why", Cell: happening.why},
	}
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func amountOf(m refund.Money) string {
	if m.Currency.Code == "" {
		return ""
	}
	return m.String() + " " + m.Currency.Code
}

// why says in a few words what is behind it.
func (h happening) why() string {
	switch {
	case h.dead != nil:
		return h.dead.words()
	case h.err != nil:
		return h.err.Error()
	}
	words := statusWords(h.status)
	if h.again {
		words = "again, same id; " + words
	}
	return words
}

// statusWords says in a few words what is behind a status.
func statusWords(s events.Status) string {
	var parts []string
	add := func(when bool, words string) {
		if when && words != "" {
			parts = append(parts, words)
		}
	}
	add(s.Correction, "correction")
	add(!s.Matched, "never requested here")
	add(true, s.ProviderStatus)
	add(s.Code != s.ProviderStatus || s.Message != "", strings.Trim(s.Code+": "+s.Message, ": "))
	add(len(parts) == 0 && s.Status == refund.StatusPending, fmt.Sprintf("call %d is announced", s.Attempt))
	add(s.OrderFullyRefunded, "order fully refunded")
	return strings.Join(parts, "; ")
}

// letterOf reads a dead letter.
func letterOf(r kafka.Record) *letter {
	d := consumer.ReadDeadLetter(r.Headers)
	l := &letter{
		ID: fmt.Sprintf("%d/%d", r.Partition, r.Offset), Reason: string(d.Reason), Error: d.Error, Attempts: d.Attempts,
		Origin: fmt.Sprintf("%s/%d/%d", d.Topic, d.Partition, d.Offset), Bytes: len(r.Value), LastFailedAt: r.Time, record: r,
	}
	for _, h := range r.Headers {
		switch h.Key {
		case "dlq-first-failed-at":
			l.FirstFailedAt = parseStamp(string(h.Value))
		case "dlq-last-failed-at":
			l.LastFailedAt = parseStamp(string(h.Value))
		}
	}
	if request, err := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers)); err == nil {
		l.Merchant, l.RefundNo, l.request = request.Merchant, request.RefundNo, request
	}
	return l
}
