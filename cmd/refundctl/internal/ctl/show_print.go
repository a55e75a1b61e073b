package ctl

import (
	"fmt"
	"strings"
	"time"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/refund"
)

// printView writes a view for people: what it is and what comes first, then from
// where that is known.
func (r *run) printView(v *view) error {
	if err := out.Block(r.Out, r.headLines(v)); err != nil {
		return err
	}
	section := func(title string, count int, print func() error) error {
		if count == 0 {
			return nil
		}
		if _, err := fmt.Fprintf(r.Out, "\n%s\n", title); err != nil {
			return err
		}
		return print()
	}
	type part struct {
		title string
		count int
		print func() error
	}
	for _, p := range []part{
		{"requests", len(v.Requests), func() error { return out.NewRows(r.Out, r.format, r.askedColumns()).All(v.Requests) }},
		{"timeline", len(v.Timeline), func() error { return out.NewRows(r.Out, r.format, r.eventColumns()).All(v.Timeline) }},
		{"waits", len(v.Waits), func() error { return out.NewRows(r.Out, r.format, r.waitColumns()).All(v.Waits) }},
		{"dead letters", len(v.DeadLetters), func() error { return out.NewRows(r.Out, r.format, r.letterColumns()).All(v.DeadLetters) }},
		{"operators", len(v.Operators), func() error { return out.NewRows(r.Out, r.format, r.entryColumns()).All(v.Operators) }},
	} {
		if err := section(p.title, p.count, p.print); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) headLines(v *view) []out.Line {
	merchant := v.Merchant
	if merchant == "" {
		merchant = "a merchant that is not told"
	}
	lines := []out.Line{{Name: "refund", Words: v.RefundNo + " of " + merchant}}
	st, known := last(v.Timeline)
	switch {
	case known:
		final := "open"
		if st.Final {
			final = "final"
		}
		lines = append(lines,
			out.Line{Name: "status", Words: fmt.Sprintf("%s (%s): %s", st.Status, final, statusWords(st))},
			out.Line{Name: "amount", Words: amountLine(st.Amount, st.OrderAmount, st.OrderNo, st.TransactionID)},
			out.Line{Name: "gateway", Words: strings.TrimSpace(st.Provider + " " + st.ProviderRefundID)})
	case len(v.Requests) > 0:
		q := v.Requests[len(v.Requests)-1].request
		lines = append(lines, out.Line{Name: "status", Words: "none yet"},
			out.Line{Name: "amount", Words: amountLine(q.Amount, q.OrderAmount, q.OrderNo, q.TransactionID)})
	}
	for _, words := range v.Next {
		lines = append(lines, out.Line{Name: "next", Words: words})
	}
	if rec := v.Record; rec != nil {
		words := fmt.Sprintf("%s, sequence %d (published %d), attempt %d, follow-up %d", rec.Status, rec.Sequence, rec.Published, rec.Attempt, rec.FollowUp)
		if rec.Holds != "" {
			words += ", its amount counts as " + rec.Holds
		}
		if rec.Doubt {
			words += ", a query is owed"
		}
		lines = append(lines, out.Line{Name: "in Redis", Words: words})
	}
	return lines
}

func amountLine(amount, total refund.Money, orderNo, transactionID string) string {
	words := amountOf(amount)
	if total.Minor > 0 {
		words = amount.String() + " of " + amountOf(total)
	}
	if orderNo != "" {
		words += ", order " + orderNo
	}
	if transactionID != "" {
		words += ", payment " + transactionID
	}
	return words
}

func (r *run) askedColumns() []out.Column[asked] {
	return []out.Column[asked]{
		{Name: "time", Cell: func(a asked) string { return r.clock(a.Time) }},
		{Name: "place", Cell: func(a asked) string { return a.Place }},
		{Name: "committed", Cell: func(a asked) string { return yesOrNot(a.Taken) }},
		{Name: "amount", Cell: func(a asked) string { return amountOf(a.request.Amount) }},
		{Name: "order", Wide: true, Cell: func(a asked) string { return a.request.OrderNo }},
		{Name: "problem", Cell: func(a asked) string { return a.Problem }},
	}
}

func yesOrNot(b bool) string {
	if b {
		return "yes"
	}
	return "not yet"
}

func (r *run) eventColumns() []out.Column[event] {
	return []out.Column[event]{
		{Name: "time", Cell: func(e event) string { return r.clock(e.recorded()) }},
		{Name: "seq", Cell: func(e event) string { return number(e.status.Sequence) }},
		{Name: "status", Cell: func(e event) string { return string(e.status.Status) }},
		{Name: "source", Cell: func(e event) string { return string(e.status.Source) }},
		{Name: "attempt", Cell: func(e event) string { return number(int64(e.status.Attempt)) }},
		{Name: "written", Wide: true, Cell: func(e event) string { return r.clock(e.Written) }},
		{Name: "place", Wide: true, Cell: func(e event) string { return e.Place }},
		{Name: "why", Cell: func(e event) string {
			switch {
			case e.Problem != "":
				return "cannot be read: " + e.Problem
			case e.Again:
				return "again, same id; " + statusWords(e.status)
			}
			return statusWords(e.status)
		}},
	}
}

func (e event) recorded() time.Time {
	if e.Problem != "" {
		return e.Written
	}
	return e.status.RecordedAt
}

func (r *run) waitColumns() []out.Column[waiting] {
	return []out.Column[waiting]{
		{Name: "due", Cell: func(w waiting) string { return r.clock(w.Due) }},
		{Name: "place", Cell: func(w waiting) string { return w.Place }},
		{Name: "cause", Cell: func(w waiting) string { return w.Cause }},
		{Name: "follow-up", Cell: func(w waiting) string { return number(int64(w.FollowUp)) }},
		{Name: "then", Cell: func(w waiting) string {
			if w.GoesOn {
				return "goes on with it"
			}
			return "ends: nothing is left for it to do"
		}},
	}
}

func (r *run) letterColumns() []out.Column[*letter] {
	return []out.Column[*letter]{
		{Name: "id", Cell: func(l *letter) string { return l.ID }},
		{Name: "time", Cell: func(l *letter) string { return r.clock(l.LastFailedAt) }},
		{Name: "reason", Cell: func(l *letter) string { return l.Reason }},
		{Name: "merchant", Cell: func(l *letter) string { return l.Merchant }},
		{Name: "refund_no", Cell: func(l *letter) string { return l.RefundNo }},
		{Name: "attempts", Cell: func(l *letter) string { return number(int64(l.Attempts)) }},
		{Name: "state", Cell: func(l *letter) string { return l.State }},
		{Name: "origin", Wide: true, Cell: func(l *letter) string { return l.Origin }},
		{Name: "first failed", Wide: true, Cell: func(l *letter) string { return r.clock(l.FirstFailedAt) }},
		{Name: "bytes", Wide: true, Cell: func(l *letter) string { return number(int64(l.Bytes)) }},
		{Name: "error", Cell: func(l *letter) string { return l.Error }},
	}
}

func (r *run) entryColumns() []out.Column[entry] {
	return []out.Column[entry]{
		{Name: "time", Cell: func(e entry) string { return r.clock(e.At) }},
		{Name: "who", Cell: func(e entry) string { return e.Who }},
		{Name: "from", Cell: func(e entry) string { return e.From }},
		{Name: "what", Cell: func(e entry) string { return e.What }},
		{Name: "phase", Cell: func(e entry) string { return string(e.Phase) }},
		{Name: "about", Cell: entry.about},
		{Name: "run", Wide: true, Cell: func(e entry) string { return e.Run }},
		{Name: "why", Cell: func(e entry) string { return e.Why }},
		{Name: "detail", Cell: func(e entry) string { return e.Detail }},
	}
}
