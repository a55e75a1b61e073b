package ctl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/audit"
)

// auditing is what audit is told.
type auditing struct {
	merchant, since, until, html string
	ledgers, settlements         []string
	columns                      map[string]string
	whole, complete, mend        bool
	negative                     bool
	memory                       int // MB
	temp                         string

	from, to time.Time
}

func newAudit(r *run) *cobra.Command {
	var a auditing
	c := &cobra.Command{
		Use:   "audit",
		Short: "Hold the topics, and the gateways' books, against the promises",
		Long: `Audit reads requests, dead letters, delay topics and statuses, and names each
refund that breaks a promise: a request without status, dead letter or place in a
queue; money moved twice, unannounced, denied, or never; an order refunded beyond
its total; statuses that move backwards.

With --since and --until the requests of that time are judged; statuses are read
whole, as an order's total may rest on old ones.

It takes --memory and no more: refunds that do not fit are looked at in parts, which
lie in files until then, some 350 MB a million refunds. 256 MB are enough for fifty
million refunds of two status events each.

Books: --ledger takes JSON lines as gateway-sim's /ledger has them, from a file or
an address, and holds them for complete: SUCCEEDED without a payment is a breach.
--settlement takes a gateway's settlement as CSV with the columns merchant,
refund_no, amount (major unit) and, where there is one, order; --column says which
of the file's columns they are. It is held for a part only, unless --complete.
Complete books are those of a system at rest.

--mend publishes the newest event of each stale key once more (same id, same
content), and notes that on the operators' trail.

Exit code 0: all promises kept (notes may be there); 1: one is broken.`,
		Example: `  refundctl audit --since 24h
  refundctl audit --since 2023-06-01 --until 2023-07-01 --html june.html
  refundctl audit --settlement june.csv --column "refund_no=Refund ID" --column "amount=Refunded" --merchant S0003469
  refundctl audit --whole --ledger http://127.0.0.1:8090/ledger -o json
  refundctl audit --mend`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return r.audit(c.Context(), a) },
	}
	f := c.Flags()
	r.merchantFlag(c, &a.merchant, "only the merchant `NAME`; also whose books they are that do not say")
	f.StringVar(&a.since, "since", "", "judge the requests from this `TIME` on (default: all that are there)")
	f.StringVar(&a.until, "until", "", "and before this `TIME` (default: now)")
	f.BoolVar(&a.whole, "whole", false, "the topics hold everything that was ever written: nothing expired, nothing was compacted away")
	f.StringArrayVar(&a.ledgers, "ledger", nil, "`FILE` or address of a gateway's ledger, JSON lines; may be repeated")
	f.StringArrayVar(&a.settlements, "settlement", nil, "CSV `FILE` of a gateway's settlement; may be repeated")
	f.StringToStringVar(&a.columns, "column", nil, "`NAME=COLUMN` of settlements: merchant, refund_no, order or amount")
	f.BoolVar(&a.complete, "complete", false, "the settlements hold every payment")
	f.BoolVar(&a.negative, "negative", false, "the settlements list refunds as negative amounts")
	f.IntVar(&a.memory, "memory", 256, "`MB` of memory that may be taken")
	f.StringVar(&a.temp, "temp", "", "`FOLDER` for what does not fit into memory (default: the system's, or TMPDIR)")
	f.StringVar(&a.html, "html", "", "also write one self-contained page to `FILE`")
	f.BoolVar(&a.mend, "mend", false, "publish the newest event of each stale key again")
	fatal(c.MarkFlagFilename("html", "html"))
	fatal(c.MarkFlagFilename("settlement", "csv"))
	fatal(c.MarkFlagDirname("temp"))
	return c
}

func (r *run) audit(ctx context.Context, a auditing) (err error) {
	if a.since != "" {
		if a.from, err = r.parseTime("--since", a.since); err != nil {
			return err
		}
	}
	a.to = r.Now()
	if a.until != "" {
		if a.to, err = r.parseTime("--until", a.until); err != nil {
			return err
		}
	}
	switch {
	case !a.from.Before(a.to):
		return usage("--since is not before --until")
	case a.memory < 2*auditOwnMB:
		return usage("--memory %d: want %d at least", a.memory, 2*auditOwnMB)
	case a.whole && (a.since != "" || a.until != ""):
		return usage("--whole contradicts --since and --until")
	}
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	if a.merchant != "" {
		if _, err := s.account(a.merchant); err != nil {
			return err
		}
	}
	read := &auditRead{run: r, system: s, auditing: a}
	report, err := read.all(ctx)
	if err != nil {
		return err
	}
	for i := range report.Findings { // which names orders
		report.Findings[i].Words = out.Mask(r.Out, report.Findings[i].Words)
	}
	if err := r.showAudit(a, report, read); err != nil {
		return err
	}
	if a.mend {
		if err := r.mend(ctx, s, report.Stale()); err != nil {
			return err
		}
	}
	switch {
	case read.unreadable > 0:
		return wrong("%d records of %s are no status events: their refunds were not judged", read.unreadable, s.Topics.Status)
	case !report.OK():
		return found()
	}
	return nil
}

// audited is the audit's answer as JSON.
type audited struct {
	OK          bool           `json:"ok"`
	At          time.Time      `json:"at"`
	Since       time.Time      `json:"since,omitzero"`
	Until       time.Time      `json:"until"`
	Merchant    string         `json:"merchant,omitempty"`
	Whole       bool           `json:"whole"`
	Books       string         `json:"books"` // none, partial or complete
	Requests    int            `json:"requests"`
	Refunds     int            `json:"refunds"`
	Statuses    int            `json:"statuses"`
	Payments    int            `json:"payments"`
	Queued      int            `json:"queued"`
	Unmatched   int            `json:"unmatched"`
	Final       map[string]int `json:"final"`
	Open        map[string]int `json:"open"`
	DeadLetters map[string]int `json:"dead_letters"`
	Broken      map[string]int `json:"broken"` // findings by promise
	Notes       int            `json:"notes"`
	Findings    []auditFinding `json:"findings"`
}

type auditFinding struct {
	Promise  int    `json:"promise"` // 0: a note
	Kind     string `json:"kind"`
	Merchant string `json:"merchant,omitempty"`
	RefundNo string `json:"refund_no,omitempty"`
	Words    string `json:"words"`
}

func (r *run) showAudit(a auditing, report audit.Report, read *auditRead) error {
	answer := audited{
		OK: report.OK() && read.unreadable == 0, At: r.Now().UTC(), Since: a.from, Until: a.to.UTC(), Merchant: a.merchant, Whole: a.whole, Books: read.books,
		Requests: report.Requests, Refunds: report.Refunds, Statuses: report.Statuses, Payments: report.Payments, Queued: report.Queued,
		Unmatched: report.Unmatched, Final: byName(report.Final), Open: byName(report.Open), DeadLetters: byName(report.DeadLetters),
		Broken: map[string]int{}, Notes: report.Broken[0], Findings: []auditFinding{},
	}
	for promise, words := range promises {
		answer.Broken[words] = report.Broken[promise]
	}
	for _, f := range report.Findings {
		answer.Findings = append(answer.Findings, auditFinding{f.Kind.Promise(), string(f.Kind), f.Merchant, f.RefundNo, f.Words})
	}
	if a.html != "" {
		if err := writeFile(a.html, func(w io.Writer) error { return writeAuditPage(w, answer, report.Verdict, read.times) }); err != nil {
			return err
		}
	}
	if r.format == out.JSON {
		return out.Object(r.Out, answer)
	}
	if r.format == out.Wide {
		if _, err := fmt.Fprint(r.Out, report.Head()); err != nil {
			return err
		}
		return out.NewRows(r.Out, r.format, []out.Column[auditFinding]{
			{Name: "promise", Cell: func(f auditFinding) string { return number(int64(f.Promise)) }},
			{Name: "kind", Cell: func(f auditFinding) string { return f.Kind }},
			{Name: "merchant", Cell: func(f auditFinding) string { return f.Merchant }},
			{Name: "refund_no", Cell: func(f auditFinding) string { return f.RefundNo }},
			{Name: "words", Cell: func(f auditFinding) string { return f.Words }},
		}).All(answer.Findings)
	}
	_, err := fmt.Fprint(r.Out, report)
	return err
}

// promises of DESIGN.md, section 1, that the audit proves.
var promises = map[int]string{1: "nothing is lost", 2: "money moves at most once", 3: "no order beyond its total", 4: "statuses only move forward"}

func byName[K ~string](counts map[K]int) map[string]int {
	named := map[string]int{}
	for k, n := range counts {
		named[string(k)] = n
	}
	return named
}

// writeFile writes a file that only its owner may read: it names refunds.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return usage("%w", err)
	}
	b := bufio.NewWriter(f)
	err = errors.Join(write(b), b.Flush(), f.Close())
	if err != nil {
		return usage("%s: %w", name, err)
	}
	return nil
}
