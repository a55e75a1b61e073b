package events

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// Status is a status event as a subscriber reads it.
type Status struct {
	refund.Key
	Provider     string
	OrderNo      string
	Amount       refund.Money
	OrderAmount  refund.Money // zero where it is not known
	Final        bool         // as told, so also right for a status that this version does not know
	refund.Event              // TransactionID is the one shown, whoever told it
	Trace        refund.Trace
}

// ID is the event's id: the same id always has the same content.
func (s Status) ID() string { return s.Key.String() + "/" + strconv.FormatInt(s.Sequence, 10) }

// alwaysThere are the fields that each status event has.
var alwaysThere = [...]string{
	"refund_no", "merchant", "provider", "sequence", "status", "final", "source", "matched", "correction",
	"amount", "currency", "attempt", "occurred_at", "recorded_at",
}

// DecodeStatus reads an event of the status topic. Fields and statuses that later
// versions may add are tolerated. The error is an *Error.
func DecodeStatus(value []byte, headers []Header) (Status, error) {
	env, failed := open(value, headers, TypeStatus)
	if failed != nil {
		return Status{}, failed
	}
	r := statusReader{scanner: scanner{doc: env.data}}
	object := r.peek() == kindObject
	var err error
	if object {
		err = r.object(r.member)
	} else {
		err = r.skip()
	}
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return Status{}, undecodable("no readable JSON: %v", err)
	}
	if !object {
		return Status{}, &Error{Reason: Invalid, Problems: []Problem{{What: "not a JSON object"}}}
	}
	r.finish()
	if len(r.problems) > 0 {
		return Status{}, &Error{Reason: Invalid, Problems: r.problems}
	}
	r.st.Trace = env.trace
	return r.st, nil
}

type statusReader struct {
	scanner
	st                            Status
	amount, orderAmount, currency string
	there                         []string
	problems                      []Problem
}

// member reads one field of the event.
func (r *statusReader) member(key string) error {
	st := &r.st
	switch key {
	case "refund_no":
		return r.textInto(key, &st.RefundNo)
	case "merchant":
		return r.textInto(key, &st.Merchant)
	case "provider":
		return r.textInto(key, &st.Provider)
	case "order_no":
		return r.textInto(key, &st.OrderNo)
	case "sequence":
		return r.intInto(key, &st.Sequence)
	case "status":
		return r.textInto(key, (*string)(&st.Status))
	case "final":
		return r.boolInto(key, &st.Final)
	case "source":
		return r.textInto(key, (*string)(&st.Source))
	case "matched":
		return r.boolInto(key, &st.Matched)
	case "correction":
		return r.boolInto(key, &st.Correction)
	case "amount":
		return r.textInto(key, &r.amount)
	case "order_amount":
		return r.textInto(key, &r.orderAmount)
	case "currency":
		return r.textInto(key, &r.currency)
	case "order_fully_refunded":
		return r.boolInto(key, &st.OrderFullyRefunded)
	case "provider_status":
		return r.textInto(key, &st.ProviderStatus)
	case "provider_refund_id":
		return r.textInto(key, &st.ProviderRefundID)
	case "transaction_id":
		return r.textInto(key, &st.TransactionID)
	case "error":
		return r.error(key)
	case "attempt":
		var attempt int64
		err := r.intInto(key, &attempt)
		st.Attempt = int(attempt)
		return err
	case "occurred_at":
		return r.timeInto(key, &st.OccurredAt)
	case "recorded_at":
		return r.timeInto(key, &st.RecordedAt)
	}
	return r.skip()
}

func (r *statusReader) error(key string) error {
	if r.peek() != kindObject {
		return r.wrong(key, "not an object")
	}
	return r.object(func(key string) error {
		switch key {
		case "code":
			return r.textInto("error.code", &r.st.Code)
		case "message":
			return r.textInto("error.message", &r.st.Message)
		}
		return r.skip()
	})
}

// wrong notes a problem and reads on; null is the same as nothing.
func (r *statusReader) wrong(key, what string) error {
	if r.peek() != kindNull {
		r.problems = append(r.problems, Problem{key, what})
		r.there = append(r.there, key)
	}
	return r.skip()
}

func (r *statusReader) textInto(key string, to *string) (err error) {
	if r.peek() != kindString {
		return r.wrong(key, "not a string")
	}
	r.there = append(r.there, key)
	*to, err = r.text()
	return err
}

func (r *statusReader) boolInto(key string, to *bool) error {
	k := r.peek()
	if k != kindTrue && k != kindFalse {
		return r.wrong(key, "not true or false")
	}
	r.there = append(r.there, key)
	*to = k == kindTrue
	return r.skip()
}

func (r *statusReader) intInto(key string, to *int64) error {
	if r.peek() != kindNumber {
		return r.wrong(key, "not a number")
	}
	from := r.pos
	if err := r.number(); err != nil {
		return err
	}
	r.there = append(r.there, key)
	n, err := strconv.ParseInt(r.doc[from:r.pos], 10, 64)
	if err != nil || n < 0 {
		r.problems = append(r.problems, Problem{key, "not a whole number of 64 bits"})
	}
	*to = n
	return nil
}

func (r *statusReader) timeInto(key string, to *time.Time) error {
	if r.peek() != kindString {
		return r.wrong(key, "not a string")
	}
	var text string
	if err := r.textInto(key, &text); err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		r.problems = append(r.problems, Problem{key, "not a time of RFC 3339"})
	}
	*to = t
	return nil
}

// finish looks for what is missing and reads the amounts.
func (r *statusReader) finish() {
	for _, key := range alwaysThere {
		if !slices.Contains(r.there, key) {
			r.problems = append(r.problems, Problem{key, "missing"})
		}
	}
	var wrong string
	if r.st.Amount, wrong = shownMoney(r.amount, r.currency); wrong != "" && slices.Contains(r.there, "amount") {
		r.problems = append(r.problems, Problem{"amount", wrong})
	}
	if r.orderAmount != "" {
		if r.st.OrderAmount, wrong = shownMoney(r.orderAmount, r.currency); wrong != "" {
			r.problems = append(r.problems, Problem{"order_amount", wrong})
		}
	}
}

// shownMoney reads an amount of an event of ours, which always shows all decimals:
// so a currency that has left the standard since can still be read. Zero is the
// amount of a callback that told none.
func shownMoney(s, currency string) (refund.Money, string) {
	_, fraction, _ := strings.Cut(s, ".")
	c := refund.Currency{Code: currency, Exponent: len(fraction)}
	if zero := (refund.Money{Currency: c}); s == zero.String() {
		return zero, ""
	}
	m, err := refund.ParseMoney(s, c)
	if err != nil {
		return refund.Money{}, err.Error()
	}
	return m, ""
}
