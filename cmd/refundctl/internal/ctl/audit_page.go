package ctl

import (
	"cmp"
	_ "embed"
	"html/template"
	"io"
	"maps"
	"slices"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/chart"
	"github.com/refundworker/refundworker/internal/refund"
)

//go:embed audit_page.html
var auditPageText string

// auditPage is the audit as one page that needs nothing else: no script, no other
// file.
var auditPage = template.Must(template.New("audit").Funcs(template.FuncMap{
	"style": chart.Style, "count": func(n int) string { return chart.Count(float64(n)) },
}).Parse(auditPageText))

// mostOnPage is how many findings a page lists; -o json lists all.
const mostOnPage = 2000

// auditShown is what the page has.
type auditShown struct {
	audited
	Promises []promiseShown
	Charts   []template.HTML
	Listed   []auditFinding
	Unlisted int
}

type promiseShown struct {
	Number         int
	Words, Verdict string
	Class          string
}

// statusClass is each status's colour.
var statusClass = map[refund.Status]string{
	refund.StatusSucceeded: "good", refund.StatusFailed: "b", refund.StatusRejected: "d",
	refund.StatusWaiting: "c", refund.StatusPending: "a", refund.StatusUnknown: "warn", refund.StatusReview: "bad",
}

func writeAuditPage(w io.Writer, answer audited, verdict func(promise int) string, times *overTime) error {
	page := auditShown{audited: answer, Listed: answer.Findings[:min(mostOnPage, len(answer.Findings))]}
	page.Unlisted = len(answer.Findings) - len(page.Listed)
	for _, number := range slices.Sorted(maps.Keys(promises)) {
		p := promiseShown{number, promises[number], verdict(number), "good"}
		switch {
		case answer.Broken[p.Words] > 0:
			p.Class = "bad"
		case p.Verdict != "kept":
			p.Class = "warn"
		}
		page.Promises = append(page.Promises, p)
	}
	page.Charts = append([]template.HTML{statusBars(answer)}, times.charts()...)
	if len(answer.Findings) > 0 {
		page.Charts = append([]template.HTML{findingBars(answer)}, page.Charts...)
	}
	return auditPage.Execute(w, page)
}

// Final and open refunds, dead letters.
func statusBars(a audited) template.HTML {
	bars := chart.Bars{Title: "Refunds by status"}
	for _, s := range []refund.Status{
		refund.StatusSucceeded, refund.StatusFailed, refund.StatusRejected, refund.StatusWaiting, refund.StatusPending, refund.StatusUnknown, refund.StatusReview,
	} {
		bars.Bars = append(bars.Bars, chart.Bar{Name: string(s), Class: statusClass[s], Value: float64(a.Final[string(s)] + a.Open[string(s)])})
	}
	dead := 0
	for _, n := range a.DeadLetters {
		dead += n
	}
	bars.Bars = append(bars.Bars, chart.Bar{Name: "not begun", Class: "c", Value: float64(a.Queued)}, chart.Bar{Name: "dead letters", Class: "bad", Value: float64(dead)})
	return bars.SVG()
}

func findingBars(a audited) template.HTML {
	kinds := map[string]*chart.Bar{}
	for _, f := range a.Findings {
		if kinds[f.Kind] == nil {
			kinds[f.Kind] = &chart.Bar{Name: f.Kind, Class: "warn"}
			if f.Promise > 0 {
				kinds[f.Kind].Class = "bad"
			}
		}
		kinds[f.Kind].Value++
	}
	bars := chart.Bars{Title: "Findings by kind"}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		bars.Bars = append(bars.Bars, *kinds[kind])
	}
	slices.SortStableFunc(bars.Bars, func(a, b chart.Bar) int { return cmp.Compare(b.Value, a.Value) })
	return bars.SVG()
}
