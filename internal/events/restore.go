package events

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/refundworker/refundworker/internal/refund"
)

// ErrNewer says that an event was written by a newer version of this program,
// which alone can rebuild its record.
var ErrNewer = errors.New("written by a newer version: only it can restore the refund's record")

// known are the statuses whose meaning for the money this version knows.
var known = []refund.Status{
	refund.StatusWaiting, refund.StatusPending, refund.StatusUnknown, refund.StatusReview,
	refund.StatusSucceeded, refund.StatusFailed, refund.StatusRejected,
}

// RestoreRecord builds the record behind a status event, for a store that lost it:
// Request, Last, Provider, Order, Attempt, FirstSeen and Published. All
// else (version, holding, lease, doubt) is the store's to decide. Rendering the
// record gives the same key and value again.
//
// An error (ErrNewer, an *Error, or headers that are missing or contradict the
// event) means that the refund cannot be rebuilt from this event: nothing may be
// assumed about it.
func RestoreRecord(value []byte, headers []Header) (refund.Record, error) {
	st, err := DecodeStatus(value, headers)
	if err != nil {
		return refund.Record{}, err
	}
	version, err := strconv.Atoi(header(headers, HeaderVersion))
	if err != nil || version < 1 {
		return refund.Record{}, fmt.Errorf("event %s has no header %s: not an event of ours", st.ID(), HeaderVersion)
	}
	if version > Version || !slices.Contains(known, st.Status) {
		return refund.Record{}, fmt.Errorf("event %s: %w", st.ID(), ErrNewer)
	}
	epoch, err := strconv.ParseInt(header(headers, HeaderEpoch), 10, 64)
	if err != nil || epoch < 0 {
		return refund.Record{}, fmt.Errorf("event %s has no number in its header %s", st.ID(), HeaderEpoch)
	}
	rec := refund.Record{
		Request: refund.Request{
			Key: st.Key, OrderNo: st.OrderNo, TransactionID: st.TransactionID,
			Amount: st.Amount, OrderAmount: st.OrderAmount, Trace: st.Trace,
		},
		Last:      st.Event,
		Provider:  st.Provider,
		Attempt:   st.Attempt,
		Published: st.Sequence,
	}
	rec.Last.Epoch = epoch
	if err := restoreHidden(&rec, header(headers, HeaderRequest)); err != nil {
		return refund.Record{}, fmt.Errorf("event %s: header %s: %w", st.ID(), HeaderRequest, err)
	}
	if rec.Request.Content() != header(headers, HeaderContent) {
		return refund.Record{}, fmt.Errorf("event %s: its content is not the one that its header %s stands for", st.ID(), HeaderContent)
	}
	return rec, nil
}

// restoreHidden reads the header refund-request into the record.
func restoreHidden(rec *refund.Record, doc string) error {
	r := statusReader{scanner: scanner{doc: doc}}
	req := &rec.Request
	var told bool
	if r.peek() != kindObject {
		return errors.New("not a JSON object")
	}
	err := r.object(func(key string) error {
		switch key {
		case "order":
			return r.textInto(key, &rec.Order)
		case "method":
			return r.textInto(key, &req.Method)
		case "wallet":
			return r.textInto(key, &req.Wallet)
		case "terminal":
			return r.textInto(key, &req.Terminal)
		case "flow":
			return r.textInto(key, (*string)(&req.Flow))
		case "reason":
			return r.textInto(key, &req.Reason)
		case "requested_at":
			return r.timeInto(key, &req.RequestedAt)
		case "first_seen":
			return r.timeInto(key, &rec.FirstSeen)
		case "transaction_told":
			return r.boolInto(key, &told)
		}
		return r.skip()
	})
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return err
	}
	if len(r.problems) > 0 {
		return &Error{Reason: Invalid, Problems: r.problems}
	}
	if told {
		req.TransactionID = ""
	} else {
		rec.Last.TransactionID = ""
	}
	return nil
}
