package chart

import (
	"html/template"
	"math"
)

// Bars lie one below the other, each with its number.
type Bars struct {
	Title string
	Bars  []Bar
}

// Bar is one of them. Class names its colour in style.css.
type Bar struct {
	Name  string
	Class string
	Value float64
}

// SVG draws them.
func (b Bars) SVG() template.HTML {
	var most float64
	for _, one := range b.Bars {
		most = math.Max(most, one.Value)
	}
	if most == 0 {
		return nothing(b.Title)
	}
	const row, numbers, letter = 26.0, 90.0, 7.2
	names := 0.0 // where the bars begin, behind the longest name
	for _, one := range b.Bars {
		names = math.Max(names, float64(len([]rune(one.Name)))*letter-left+16)
	}
	d := &drawing{}
	d.open(b.Title, nil, row*float64(len(b.Bars))-below+6)
	for i, one := range b.Bars {
		at := float64(i) * row
		wide := one.Value / most * (width - names - numbers)
		if one.Value > 0 {
			wide = math.Max(wide, 2) // a few among millions are seen all the same
		}
		d.add(`<text x="%.1f" y="%g" text-anchor="end">%s</text>`, names-8, at+17, escape(one.Name))
		d.add(`<rect class="%s" x="%.1f" y="%g" width="%.1f" height="%g" rx="2"/>`, escape(one.Class), names, at+4, wide, row-8)
		d.add(`<text x="%.1f" y="%g">%s</text>`, names+wide+8, at+17, escape(Count(one.Value)))
	}
	return d.close()
}
