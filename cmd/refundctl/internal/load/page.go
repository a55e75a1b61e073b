package load

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/chart"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("load").Funcs(template.FuncMap{
	"ms": chart.Millis,
	"count": func(n any) string {
		if f, ok := n.(float64); ok {
			return chart.Count(math.Round(f))
		}
		return chart.Count(float64(n.(int)))
	},
	"style": chart.Style,
}).Parse(pageText))

// WritePage writes the run as one page that needs nothing else: no script, no other
// file.
func (r *Result) WritePage(w io.Writer) error {
	return page.Execute(w, struct {
		*Result
		Charts []template.HTML
	}{r, r.charts()})
}

// Measured is the value for people, with its unit.
func (j Judged) Measured() string {
	if j.Unit == "ms" {
		return chart.Millis(j.Value)
	}
	return chart.Count(math.Round(j.Value*100) / 100)
}

// Good says that nothing is wrong: thresholds kept, promises too, nothing left over.
func (r *Result) Good() bool {
	for _, t := range r.Thresholds {
		if !t.OK {
			return false
		}
	}
	return r.AuditOK && r.Open == 0 && r.Errors == 0
}

func (r *Result) charts() []template.HTML {
	var x, sent, ended, underWay, due, p50, p99, most []float64
	for _, s := range r.Timeline {
		x = append(x, float64(s.Second))
		sent, ended, underWay = append(sent, float64(s.Sent)), append(ended, float64(s.Ended)), append(underWay, float64(s.UnderWay))
		if s.Due > 0 {
			due = append(due, float64(s.Second))
			p50, p99, most = append(p50, s.P50), append(p99, s.P99), append(most, s.Max)
		}
	}
	seconds := "seconds since the beginning"
	return []template.HTML{
		chart.Lines{Title: "Throughput, refunds a second", X: x, XName: seconds, Y: chart.Count,
			Series: []chart.Series{{Name: "ended", Class: "a", Y: ended}, {Name: "sent", Class: "c", Y: sent}}}.SVG(),
		chart.Lines{Title: "Under way", X: x, XName: seconds, Y: chart.Count, Series: []chart.Series{{Name: "sent and not ended", Class: "d", Y: underWay}}}.SVG(),
		chart.Lines{Title: "Latency of those that were to be sent in each second", X: due, XName: seconds, Y: chart.Millis, Log: true,
			Series: []chart.Series{{Name: "p50", Class: "a", Y: p50}, {Name: "p99", Class: "b", Y: p99}, {Name: "max", Class: "c", Y: most}}}.SVG(),
		r.percentiles(),
	}
}

// percentiles is the distribution as HdrHistogram's plotter has it: the rarer, the
// more room.
func (r *Result) percentiles() template.HTML {
	var x, final, pending []float64
	for _, p := range steps(len(r.sorted)) {
		if p < 1 {
			x = append(x, math.Log10(1/(1-p)))
			final, pending = append(final, ms(percentile(r.sorted, p*100))), append(pending, ms(percentile(r.pending, p*100)))
		}
	}
	ticks := []chart.Tick{{At: 0, Name: "0 %"}, {At: math.Log10(2), Name: "50 %"}}
	for nines := 1; nines <= 6; nines++ {
		ticks = append(ticks, chart.Tick{At: float64(nines), Name: fmt.Sprintf("%.*f %%", max(0, nines-2), 100-math.Pow(10, float64(2-nines)))})
	}
	return chart.Lines{Title: "Latency by percentile", X: x, XName: "of all refunds", XTicks: ticks, Y: chart.Millis,
		Series: []chart.Series{{Name: "to the final status", Class: "a", Y: final}, {Name: "to PENDING", Class: "e", Y: pending}}}.SVG()
}
