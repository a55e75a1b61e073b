package chart

import (
	"html/template"
	"math"
)

// Columns are series over labels, one standing on the other.
type Columns struct {
	Title  string
	Labels []string // of all columns; as many are written as there is room for
	XName  string
	Series []Series
}

// SVG draws them.
func (c Columns) SVG() template.HTML {
	var most float64
	for i := range c.Labels {
		var sum float64
		for _, s := range c.Series {
			sum += s.Y[i]
		}
		most = math.Max(most, sum)
	}
	if most == 0 {
		return nothing(c.Title)
	}
	y := linear(most)
	d := &drawing{}
	d.open(c.Title, c.Series, height)
	for _, v := range y.ticks {
		at := height - y.at(v)*height
		d.add(`<line class="grid" x2="%g" y1="%.1f" y2="%.1f"/><text x="-8" y="%.1f" dy="4" text-anchor="end">%s</text>`, width, at, at, at, escape(Count(v)))
	}
	step := width / float64(len(c.Labels))
	every := max(1, int(math.Ceil(float64(len(c.Labels)*c.longest())*7.2/width)))
	for i, label := range c.Labels {
		c.column(d, y, i, step)
		if i%every == 0 {
			d.add(`<text x="%.1f" y="%g" text-anchor="middle">%s</text>`, (float64(i)+0.5)*step, height+18, escape(label))
		}
	}
	d.add(`<text x="%g" y="%g" text-anchor="end" class="name">%s</text>`, width, height+36, escape(c.XName))
	return d.close()
}

// longest label, in characters, with a little room.
func (c Columns) longest() int {
	most := 0
	for _, label := range c.Labels {
		most = max(most, len([]rune(label))+2)
	}
	return most
}

func (c Columns) column(d *drawing, y axis, i int, step float64) {
	d.add(`<g><title>%s`, escape(c.Labels[i]))
	for _, s := range c.Series {
		if s.Y[i] > 0 {
			d.add("\n%s: %s", escape(s.Name), escape(Count(s.Y[i])))
		}
	}
	d.add(`</title>`)
	gap := math.Min(6, step*0.2)
	var sum float64
	for _, s := range c.Series {
		if s.Y[i] > 0 {
			low, high := y.at(sum)*height, y.at(sum+s.Y[i])*height
			d.add(`<rect class="%s" x="%.2f" y="%.2f" width="%.2f" height="%.2f"/>`, escape(s.Class), float64(i)*step+gap/2, height-high, step-gap, math.Max(high-low, 0.5))
			sum += s.Y[i]
		}
	}
	d.add(`</g>`)
}
