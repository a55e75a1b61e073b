// Package chart draws small charts as SVG for pages that need nothing else: no
// script, no other file, light and dark by the reader's own setting.
//
// It guarantees: what it writes is escaped; no number, however odd, makes a
// coordinate that is none; a chart of nothing says so. It knows nobody.
package chart

import (
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

//go:embed style.css
var style string

// Style is what a page with charts has in its style element.
func Style() template.CSS { return template.CSS(style) }

// Series is one line, or one colour of columns. Class names its colour in style.css.
type Series struct {
	Name  string
	Class string
	Y     []float64
}

// Size of a chart in SVG's units: the plot, and the room around it.
const (
	width  = 820.0
	height = 240.0
	left   = 64.0
	right  = 16.0
	above  = 14.0
	below  = 42.0
)

// drawing is SVG under way.
type drawing struct{ strings.Builder }

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(d, format, args...) }

// open begins a figure: its title, its legend, its picture.
func (d *drawing) open(title string, legend []Series, high float64) {
	d.add(`<figure><figcaption><b>%s</b>`, escape(title))
	if len(legend) > 1 {
		for _, s := range legend {
			d.add(`<span class="key"><i class="%s"></i>%s</span>`, escape(s.Class), escape(s.Name))
		}
	}
	d.add(`</figcaption><svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, left+width+right, above+high+below, escape(title))
	d.add(`<g transform="translate(%g %g)">`, left, above)
}

func (d *drawing) close() template.HTML {
	d.add(`</g></svg></figure>`)
	return template.HTML(d.String())
}

// nothing is the chart of no values.
func nothing(title string) template.HTML {
	return template.HTML(`<figure><figcaption><b>` + escape(title) + `</b></figcaption><p class="none">Nothing to show.</p></figure>`)
}

// axis is a scale with its ticks.
type axis struct {
	least, most float64
	log         bool
	ticks       []float64
}

// at is a value's place on the axis, from 0 to 1.
func (a axis) at(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	least, most := a.least, a.most
	if a.log {
		v, least, most = math.Log10(math.Max(v, a.least)), math.Log10(least), math.Log10(most)
	}
	return math.Min(1, math.Max(0, (v-least)/(most-least)))
}

// Values beyond these are drawn at the edge.
const (
	smallest = 1e-9
	largest  = 1e15
)

// linear is an axis from 0 to a round number.
func linear(most float64) axis {
	if !(most > 0) {
		most = 1
	}
	most = math.Min(math.Max(most, smallest), largest)
	step := niceStep(most)
	a := axis{most: math.Ceil(most/step-1e-9) * step}
	for i := range int(math.Round(a.most/step)) + 1 {
		a.ticks = append(a.ticks, float64(i)*step)
	}
	return a
}

// logarithmic is an axis of whole powers of ten.
func logarithmic(least, most float64) axis {
	if !(least > 0) || !(most >= least) {
		return linear(most)
	}
	least, most = math.Min(math.Max(least, smallest), largest), math.Min(math.Max(most, smallest), largest)
	a := axis{least: math.Pow(10, math.Floor(math.Log10(least))), most: math.Pow(10, math.Ceil(math.Log10(most))), log: true}
	if a.most <= a.least {
		a.most = a.least * 10
	}
	for i := range int(math.Round(math.Log10(a.most/a.least))) + 1 {
		a.ticks = append(a.ticks, a.least*math.Pow10(i))
	}
	return a
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

// Count is a number with its thousands apart.
func Count(v float64) string {
	if v != math.Trunc(v) || math.Abs(v) >= 1e15 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	digits := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:] // narrow no-break space
	}
	if v < 0 {
		return "-" + digits
	}
	return digits
}

// Millis is a duration in milliseconds, in the unit that people would say it in.
func Millis(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 1:
		return short(v*1000) + " µs"
	case v < 1000:
		return short(v) + " ms"
	case v < 600_000:
		return short(v/1000) + " s"
	case v < 7_200_000:
		return short(v/60_000) + " min"
	}
	return short(v/3_600_000) + " h"
}

// short is three digits, without an exponent.
func short(v float64) string {
	decimals := 0
	switch {
	case v < 9.995:
		decimals = 2
	case v < 99.95:
		decimals = 1
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if decimals > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

func escape(s string) string { return template.HTMLEscapeString(s) }
