package ctl

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
)

// submitted is a row's line in the answer and in the verdict file.
type submitted struct {
	Line     int             `json:"line,omitempty"`
	Merchant string          `json:"merchant,omitempty"`
	RefundNo string          `json:"refund_no,omitempty"`
	Amount   string          `json:"amount,omitempty"`
	Currency string          `json:"currency,omitempty"`
	Verdict  verdict         `json:"verdict"`
	Problems []string        `json:"problems,omitempty"`
	Status   string          `json:"status,omitempty"` // with --wait: the last that was seen; OPEN where none was
	Event    json.RawMessage `json:"event,omitempty"`

	why string
}

func (one *row) submitted(waited bool) submitted {
	v := submitted{Line: one.line, Merchant: one.request.Merchant, RefundNo: one.request.RefundNo, Verdict: one.verdict, Problems: one.problems,
		why: strings.Join(one.problems, "; ")}
	if one.request.Amount.Minor > 0 {
		v.Amount, v.Currency = one.request.Amount.String(), one.request.Amount.Currency.Code
	}
	if waited && one.verdict == verdictPublished {
		v.Status, v.Event, v.why = "OPEN", one.last.raw, "nothing was heard of it in time"
		if one.last.key() == one.request.Key {
			v.Status, v.why = one.last.word(), one.last.why()
		}
	}
	return v
}

// showSubmitted answers: as JSON every row; as a table the rows that people look
// for, then the sum.
func (r *run) showSubmitted(s submission, rows []*row, waited bool) error {
	var all, shown []submitted
	counts := map[verdict]int{}
	for _, one := range rows {
		v := one.submitted(waited)
		all = append(all, v)
		counts[v.Verdict]++
		if fine := v.Verdict == verdictPublished && (!waited || v.Status == "SUCCEEDED") || v.Verdict == verdictReady; !fine || len(rows) <= fewRows || r.format != out.Table {
			shown = append(shown, v)
		}
	}
	if s.verdicts != "" {
		if err := writeFile(s.verdicts, func(w io.Writer) error { return encodeAll(r.masking(w), all) }); err != nil {
			return err
		}
	}
	columns := []out.Column[submitted]{
		{Name: "line", Cell: func(v submitted) string { return number(int64(v.Line)) }},
		{Name: "merchant", Cell: func(v submitted) string { return v.Merchant }},
		{Name: "refund_no", Cell: func(v submitted) string { return v.RefundNo }},
		{Name: "amount", Cell: func(v submitted) string { return strings.TrimSpace(v.Amount + " " + v.Currency) }},
		{Name: "verdict", Cell: func(v submitted) string { return string(v.Verdict) }},
	}
	if waited {
		columns = append(columns, out.Column[submitted]{Name: "status", Cell: func(v submitted) string { return v.Status }})
	}
	columns = append(columns, out.Column[submitted]{Name: "why", Cell: func(v submitted) string { return v.why }})
	if err := out.NewRows(r.Out, r.format, columns).All(shown); err != nil {
		return err
	}
	if r.format != out.JSON && len(rows) > 1 {
		_, err := fmt.Fprintf(r.Out, "%d refunds: %s\n", len(rows), countWords(counts))
		return err
	}
	return nil
}

// fewRows are all shown in a table.
const fewRows = 20

func countWords(counts map[verdict]int) string {
	var words []string
	for _, v := range []verdict{verdictPublished, verdictPerhaps, verdictReady, verdictRepeated, verdictInvalid} {
		if counts[v] > 0 {
			words = append(words, fmt.Sprintf("%d %s", counts[v], strings.ReplaceAll(string(v), "_", " ")))
		}
	}
	return strings.Join(words, ", ")
}

func encodeAll[T any](w io.Writer, rows []T) error {
	for _, v := range rows {
		if err := out.Object(w, v); err != nil {
			return err
		}
	}
	return nil
}
