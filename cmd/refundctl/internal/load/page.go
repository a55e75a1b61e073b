package load

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("load").Funcs(template.FuncMap{
	"ms": func(v float64) string { return fmt.Sprintf("%.1f", v) },
}).Parse(pageText))

// WritePage writes the run as one page that needs nothing else: no script, no other
// file.
func (r *Result) WritePage(w io.Writer) error {
	return page.Execute(w, struct {
		*Result
		Plots []plot
	}{r, r.plots()})
}

// plot is one picture: lines over an axis.
type plot struct {
	Title, XTitle, YTitle string
	Lines                 []line
	XTicks, YTicks        []tick
}

type line struct {
	Name   string
	Class  string
	Points string // of an SVG polyline
}

type tick struct {
	At    float64 // in the plot's own units
	Label string
}

// The plot's area in SVG units.
const (
	plotWidth  = 800
	plotHeight = 240
)

// series is a line's values by x.
type series struct {
	name, class string
	y           []float64
}

func (r *Result) plots() []plot {
	if len(r.Seconds1) == 0 {
		return nil
	}
	var x, sent, ended, p50, p99, most []float64
	for _, s := range r.Seconds1 {
		x = append(x, float64(s.Second))
		sent, ended = append(sent, float64(s.Sent)), append(ended, float64(s.Ended))
		p50, p99, most = append(p50, s.P50), append(p99, s.P99), append(most, s.Max)
	}
	plots := []plot{
		draw("Latency by intended second", "seconds", "ms", x, []series{{"max", "c", most}, {"p99", "b", p99}, {"p50", "a", p50}}, nil),
		draw("Refunds by intended second", "seconds", "refunds", x, []series{{"to be sent", "c", sent}, {"ended", "a", ended}}, nil),
	}
	if len(r.sorted) == 0 {
		return plots
	}
	var at, values []float64
	for _, p := range r.steps() {
		if p < 1 {
			at, values = append(at, math.Log10(1/(1-p))), append(values, r.at(p))
		}
	}
	labels := []string{"0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"}
	return append(plots, draw("Latency by percentile", "", "ms", at, []series{{"latency", "a", values}}, labels))
}

// draw scales series into the plot's area. With labels x is drawn at whole numbers,
// each with its label.
func draw(title, xTitle, yTitle string, x []float64, all []series, labels []string) plot {
	p := plot{Title: title, XTitle: xTitle, YTitle: yTitle}
	top, right := 1e-9, math.Max(x[len(x)-1], 1)
	for _, s := range all {
		for _, y := range s.y {
			top = math.Max(top, y)
		}
	}
	step := niceStep(top)
	top = math.Ceil(top/step) * step
	for y := 0.0; y <= top*1.0001; y += step {
		p.YTicks = append(p.YTicks, tick{plotHeight - y/top*plotHeight, strings.TrimSuffix(fmt.Sprintf("%.3g", y), ".0")})
	}
	if labels == nil {
		step := math.Max(1, niceStep(right))
		for v := 0.0; v <= right*1.0001; v += step {
			p.XTicks = append(p.XTicks, tick{v / right * plotWidth, fmt.Sprintf("%.0f", v)})
		}
	}
	for i, label := range labels {
		if float64(i) <= right {
			p.XTicks = append(p.XTicks, tick{float64(i) / right * plotWidth, label})
		}
	}
	for _, s := range all {
		var points strings.Builder
		for i, y := range s.y {
			fmt.Fprintf(&points, "%.1f,%.1f ", x[i]/right*plotWidth, plotHeight-y/top*plotHeight)
		}
		p.Lines = append(p.Lines, line{s.name, s.class, strings.TrimSpace(points.String())})
	}
	return p
}

// niceStep is 1, 2 or 5 times a power of ten, so that some five of them make v.
func niceStep(v float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(v/5)))
	for _, m := range []float64{1, 2, 5, 10} {
		if v/(base*m) <= 6 {
			return base * m
		}
	}
	return base * 10
}
