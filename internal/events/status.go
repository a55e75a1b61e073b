package events

import (
	"strconv"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// The values that are the same in each event. Nobody writes into a header's value.
var (
	valueJSON        = []byte(contentTypeJSON)
	valueSpecVersion = []byte("1.0")
	valueStatus      = []byte(TypeStatus)
	valueVersion     = strconv.AppendInt(nil, Version, 10)
)

// EncodeStatus renders a record's newest event (DESIGN.md, section 4), for the
// status topic: key merchant/refund_no, a CloudEvent in binary mode, and the
// headers from which RestoreRecord builds the record again.
//
// Key and value depend on the record's Request, Last and Provider alone, so the
// same id always has the same content.
func EncodeStatus(rec refund.Record) (key, value []byte, headers []Header) {
	return EncodeStatusAs[Header](rec)
}

// EncodeStatusAs is EncodeStatus with headers of another package.
func EncodeStatusAs[H likeHeader](rec refund.Record) (key, value []byte, headers []H) {
	w := &writer{b: make([]byte, 0, usualEvent)}
	key = w.plain(rec.Request.Merchant, "/", rec.Request.RefundNo)
	headers = append(make([]H, 0, 13),
		H{HeaderContentType, valueJSON},
		H{HeaderSpecVersion, valueSpecVersion},
		H{HeaderType, valueStatus},
		H{HeaderID, w.plain(rec.Request.Merchant, "/", rec.Request.RefundNo, "/", strconv.FormatInt(rec.Last.Sequence, 10))},
		H{HeaderSource, w.plain("/refundworker/", rec.Provider, "/", rec.Request.Merchant)},
		H{HeaderSubject, key[len(rec.Request.Merchant)+1:]},
		H{HeaderTime, w.plainTime(rec.Last.RecordedAt)},
		H{HeaderVersion, valueVersion},
		H{HeaderEpoch, w.plain(strconv.FormatInt(rec.Last.Epoch, 10))},
		H{HeaderContent, w.plain(rec.Request.Content())},
		H{HeaderRequest, hidden(w, &rec)},
	)
	return key, statusValue(w, &rec), appendTrace(headers, rec.Request.Trace)
}

// usualEvent is room enough for all texts of most events.
const usualEvent = 1024

func statusValue(w *writer, rec *refund.Record) []byte {
	req, ev := &rec.Request, &rec.Last
	w.open()
	w.text("refund_no", req.RefundNo)
	w.text("merchant", req.Merchant)
	w.text("provider", rec.Provider)
	w.textIf("order_no", req.OrderNo)
	w.int("sequence", ev.Sequence)
	w.text("status", string(ev.Status))
	w.bool("final", ev.Status.Final())
	w.text("source", string(ev.Source))
	w.bool("matched", ev.Matched)
	w.bool("correction", ev.Correction)
	w.text("amount", req.Amount.String())
	if req.OrderAmount.Minor != 0 {
		w.text("order_amount", req.OrderAmount.String())
	}
	w.text("currency", req.Amount.Currency.Code)
	w.bool("order_fully_refunded", ev.OrderFullyRefunded)
	w.textIf("provider_status", told(ev.ProviderStatus))
	w.textIf("provider_refund_id", told(ev.ProviderRefundID))
	w.textIf("transaction_id", transactionShown(rec))
	if ev.Code != "" || ev.Message != "" {
		w.key("error")
		w.open()
		w.textIf("code", told(ev.Code))
		w.textIf("message", told(ev.Message))
		w.close()
	}
	w.int("attempt", int64(ev.Attempt))
	w.time("occurred_at", occurredAt(ev))
	w.time("recorded_at", ev.RecordedAt)
	w.close()
	return w.cut()
}

// occurredAt is when it happened at the gateway, or where that is not told, when
// we learned of it.
func occurredAt(ev *refund.Event) time.Time {
	if ev.OccurredAt.IsZero() {
		return ev.RecordedAt
	}
	return ev.OccurredAt
}

// transactionShown is the payment's id: the publisher's, or else the gateway's.
func transactionShown(rec *refund.Record) string {
	if rec.Request.TransactionID != "" {
		return rec.Request.TransactionID
	}
	return told(rec.Last.TransactionID)
}

// hidden is what a query, a resend or a repeat of the request needs and the event
// does not show: the header refund-request, one JSON object.
func hidden(w *writer, rec *refund.Record) []byte {
	req := &rec.Request
	w.open()
	w.textIf("order", rec.Order)
	w.textIf("method", req.Method)
	w.textIf("wallet", req.Wallet)
	w.textIf("terminal", req.Terminal)
	w.textIf("flow", string(req.Flow))
	w.textIf("reason", req.Reason)
	if !req.RequestedAt.IsZero() {
		w.text("requested_at", req.RequestedAt.Format(time.RFC3339Nano))
	}
	if !rec.FirstSeen.IsZero() {
		w.time("first_seen", rec.FirstSeen)
	}
	if req.TransactionID == "" && rec.Last.TransactionID != "" {
		w.bool("transaction_told", true) // by the gateway: no part of the request's content
	}
	w.close()
	return w.cut()
}
