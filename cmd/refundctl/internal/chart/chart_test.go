package chart

import (
	"encoding/xml"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// wellFormed reads a figure as XML and answers its numbers' troubles.
func wellFormed(figure template.HTML) error {
	for d := xml.NewDecoder(strings.NewReader(string(figure))); ; {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if start, ok := token.(xml.StartElement); ok {
			for _, a := range start.Attr {
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") || strings.Contains(a.Value, "e+") {
					return fmt.Errorf("%s %s=%q", start.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
}

func TestWhateverIsDrawnIsADrawing(t *testing.T) {
	odd := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, -1, 1e-9, 1, 1e12, math.NaN(), math.Inf(1), math.MaxFloat64}))
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(t, "n")
		name := rapid.StringMatching(`[ -~]{0,12}`).Draw(t, "name")
		var x []float64
		var labels []string
		var bars []Bar
		all := []Series{{Name: name, Class: "a"}, {Name: "other", Class: "b"}}
		for i := range n {
			x, labels = append(x, float64(i)), append(labels, name)
			for s := range all {
				all[s].Y = append(all[s].Y, odd.Draw(t, "y"))
			}
			bars = append(bars, Bar{Name: name, Value: math.Abs(all[0].Y[i])})
		}
		for _, log := range []bool{false, true} {
			if err := wellFormed(Lines{Title: name, X: x, XName: name, YName: name, Y: Millis, Log: log, Series: all}.SVG()); err != nil {
				t.Fatal(err)
			}
		}
		for i := range bars {
			if math.IsNaN(bars[i].Value) || math.IsInf(bars[i].Value, 0) {
				bars[i].Value = 0
			}
			for s := range all {
				if y := &all[s].Y[i]; !(*y >= 0 && *y < 1e15) {
					*y = 0
				}
			}
		}
		if err := wellFormed(Columns{Title: name, Labels: labels, Series: all}.SVG()); err != nil {
			t.Fatal(err)
		}
		if err := wellFormed(Bars{Title: name, Bars: bars}.SVG()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNumbersForPeople(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 12: "12", 1234: "1\u202f234", 1234567: "1\u202f234\u202f567", -5000: "-5\u202f000", 0.25: "0.25"} {
		if got := Count(v); got != want {
			t.Errorf("%g: %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 0.0125: "12.5 µs", 1: "1 ms", 12.34: "12.3 ms", 999.6: "1000 ms", 1500: "1.5 s", 185_000: "185 s", 900_000: "15 min", 7_200_000: "2 h"} {
		if got := Millis(v); got != want {
			t.Errorf("%g: %q, want %q", v, got, want)
		}
	}
}

func TestAxes(t *testing.T) {
	if a := linear(437); a.most != 500 || len(a.ticks) != 6 || a.at(250) != 0.5 {
		t.Errorf("%+v", a)
	}
	if a := logarithmic(3, 420); a.least != 1 || a.most != 1000 || len(a.ticks) != 4 || math.Abs(a.at(10)-1.0/3) > 1e-9 {
		t.Errorf("%+v", a)
	}
	for odd, want := range map[float64]float64{0: 1, -1: 1, math.Inf(1): largest, math.MaxFloat64: largest, math.SmallestNonzeroFloat64: smallest} {
		if a := linear(odd); a.most != want || len(a.ticks) > 8 {
			t.Errorf("%g: %+v", odd, a)
		}
		if a := logarithmic(odd, math.Inf(1)); len(a.ticks) > 26 {
			t.Errorf("%g: %+v", odd, a)
		}
	}
}
