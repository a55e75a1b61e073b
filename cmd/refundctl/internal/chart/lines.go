package chart

import (
	"html/template"
	"math"
	"strings"
)

// Lines are series over numbers, such as seconds.
type Lines struct {
	Title  string
	X      []float64
	XName  string
	XTicks []Tick // none: round numbers
	YName  string
	Y      func(float64) string // how a value is written
	Log    bool                 // values from the least above 0 on, by powers of ten
	Series []Series
}

// Tick is a word below the chart.
type Tick struct {
	At   float64
	Name string
}

// SVG draws them; a point that is not above 0 is left out of a logarithmic chart.
func (l Lines) SVG() template.HTML {
	if len(l.X) == 0 {
		return nothing(l.Title)
	}
	y := l.yAxis()
	x := axis{least: l.X[0], most: math.Max(l.X[len(l.X)-1], l.X[0]+1)}
	d := &drawing{}
	d.open(l.Title, l.Series, height)
	for _, v := range y.ticks {
		at := height - y.at(v)*height
		d.add(`<line class="grid" x2="%g" y1="%.1f" y2="%.1f"/><text x="-8" y="%.1f" dy="4" text-anchor="end">%s</text>`, width, at, at, at, escape(l.Y(v)))
	}
	l.xTicks(d, x)
	for i := len(l.Series) - 1; i >= 0; i-- { // the first on top
		s := l.Series[i]
		for _, points := range l.points(s, x, y) {
			d.add(`<polyline class="%s" points="%s"/>`, escape(s.Class), points)
		}
	}
	l.values(d, x)
	return d.close()
}

func (l Lines) yAxis() axis {
	least, most := math.Inf(1), 0.0
	for _, s := range l.Series {
		for _, v := range s.Y {
			if v > 0 {
				least, most = math.Min(least, v), math.Max(most, v)
			}
		}
	}
	if l.Log {
		return logarithmic(least, most)
	}
	return linear(most)
}

func (l Lines) xTicks(d *drawing, x axis) {
	tick := func(v float64, label string) {
		d.add(`<text x="%.1f" y="%g" text-anchor="middle">%s</text>`, x.at(v)*width, height+18, escape(label))
	}
	for _, t := range l.XTicks {
		if t.At >= x.least && t.At <= x.most {
			tick(t.At, t.Name)
		}
	}
	if l.XTicks == nil {
		step := math.Max(1, niceStep(x.most-x.least))
		for i := range int((x.most-x.least)/step*1.0001) + 1 {
			v := x.least + float64(i)*step
			tick(v, Count(v))
		}
	}
	d.add(`<text x="%g" y="%g" text-anchor="end" class="name">%s</text>`, width, height+36, escape(l.XName))
	if l.YName != "" {
		d.add(`<text x="-8" y="%g" text-anchor="end" class="name">%s</text>`, height+18, escape(l.YName))
	}
}

// points of a line, in pieces where a value cannot be drawn.
func (l Lines) points(s Series, x, y axis) (pieces []string) {
	var piece strings.Builder
	end := func() {
		if piece.Len() > 0 {
			pieces = append(pieces, strings.TrimSpace(piece.String()))
			piece.Reset()
		}
	}
	for i, v := range s.Y {
		if math.IsNaN(v) || y.log && v <= 0 {
			end()
			continue
		}
		d := drawing{}
		d.add("%.1f,%.1f ", x.at(l.X[i])*width, height-y.at(v)*height)
		piece.WriteString(d.String())
		if len(s.Y) == 1 { // a line of one point would not be seen
			d.Reset()
			d.add("%g,%.1f ", width, height-y.at(v)*height)
			piece.WriteString(d.String())
		}
	}
	end()
	return pieces
}

// mostValues bounds how many points tell their values to the mouse.
const mostValues = 400

// values are strips that tell all values of one x to the mouse.
func (l Lines) values(d *drawing, x axis) {
	if len(l.X) > mostValues || l.XTicks != nil {
		return
	}
	for i, v := range l.X {
		from, to := 0.0, width
		if i > 0 {
			from = (x.at(v) + x.at(l.X[i-1])) / 2 * width
		}
		if i < len(l.X)-1 {
			to = (x.at(v) + x.at(l.X[i+1])) / 2 * width
		}
		d.add(`<rect class="strip" x="%.1f" width="%.1f" height="%g"><title>%s %s`, from, math.Max(0, to-from), height, escape(l.XName), escape(Count(v)))
		for _, s := range l.Series {
			d.add("\n%s: %s", escape(s.Name), escape(l.Y(s.Y[i])))
		}
		d.add(`</title></rect>`)
	}
}
