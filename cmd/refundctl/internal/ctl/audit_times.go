package ctl

import (
	"fmt"
	"html/template"
	"time"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/chart"
	"github.com/refundworker/refundworker/internal/refund"
)

// overTime counts what came when, for the page's charts, in at most so many steps:
// where there are more the steps become longer.
type overTime struct {
	step  time.Duration
	steps map[int64]*[len(timeSeries)]int
	spans [len(endBins)]int // how long refunds took from their first delivery to their end
}

// mostSteps that are kept, and that are shown.
const (
	mostSteps  = 4096
	shownSteps = 60
)

// timeSeries are what is counted.
var timeSeries = [...]struct {
	name, class string
	status      refund.Status // of final events
}{
	{"SUCCEEDED", "good", refund.StatusSucceeded}, {"FAILED", "b", refund.StatusFailed}, {"REJECTED", "d", refund.StatusRejected},
	{"dead letters", "bad", ""}, {"requests", "a", ""},
}

const (
	countDead     = 3
	countRequests = 4
)

// endBins are the longest times of each bar.
var endBins = [...]struct {
	most time.Duration
	name string
}{
	{100 * time.Millisecond, "to 100 ms"}, {time.Second, "to 1 s"}, {10 * time.Second, "to 10 s"}, {time.Minute, "to 1 min"}, {10 * time.Minute, "to 10 min"},
	{time.Hour, "to 1 h"}, {6 * time.Hour, "to 6 h"}, {24 * time.Hour, "to 1 day"}, {72 * time.Hour, "to 3 days"}, {1<<63 - 1, "longer"},
}

// niceSteps are the lengths that a step may have.
var niceSteps = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour,
	24 * time.Hour, 7 * 24 * time.Hour, 28 * 24 * time.Hour,
}

func newOverTime() *overTime {
	return &overTime{step: niceSteps[0], steps: map[int64]*[len(timeSeries)]int{}}
}

// count one of a series.
func (o *overTime) count(series int, at time.Time) {
	i := at.Unix() / int64(o.step/time.Second)
	if o.steps[i] == nil {
		o.steps[i] = new([len(timeSeries)]int)
	}
	o.steps[i][series]++
	for len(o.steps) > mostSteps && o.longer() {
	}
}

// ended counts a final event.
func (o *overTime) ended(rec refund.Record) {
	for i, s := range timeSeries {
		if s.status != "" && s.status == rec.Last.Status {
			o.count(i, rec.Last.RecordedAt)
		}
	}
	took := rec.Last.RecordedAt.Sub(rec.FirstSeen)
	for i, bin := range endBins {
		if took <= bin.most {
			o.spans[i]++
			return
		}
	}
}

// longer goes to the next length of a step; false where there is none.
func (o *overTime) longer() bool {
	for _, step := range niceSteps {
		if step > o.step {
			merged := &overTime{step: step, steps: map[int64]*[len(timeSeries)]int{}}
			for i, counts := range o.steps {
				at := i * int64(o.step/time.Second) / int64(step/time.Second)
				if merged.steps[at] == nil {
					merged.steps[at] = new([len(timeSeries)]int)
				}
				for series, n := range counts {
					merged.steps[at][series] += n
				}
			}
			o.step, o.steps = merged.step, merged.steps
			return true
		}
	}
	return false
}

// charts draws requests, and what became of them, over time; and how long they took.
func (o *overTime) charts() []template.HTML {
	first, last := o.span()
	for last-first >= shownSteps && o.longer() {
		first, last = o.span()
	}
	layout := "15:04:05"
	switch {
	case o.step >= 24*time.Hour:
		layout = "Jan 2"
	case o.step >= time.Minute:
		layout = "Jan 2 15:04"
	}
	var labels []string
	ended, asked := make([]chart.Series, countDead+1), chart.Series{Name: timeSeries[countRequests].name, Class: timeSeries[countRequests].class}
	for i := range ended {
		ended[i].Name, ended[i].Class = timeSeries[i].name, timeSeries[i].class
	}
	for i := first; i <= last && len(o.steps) > 0; i++ {
		counts := o.steps[i]
		if counts == nil {
			counts = new([len(timeSeries)]int)
		}
		labels = append(labels, time.Unix(i*int64(o.step/time.Second), 0).UTC().Format(layout))
		asked.Y = append(asked.Y, float64(counts[countRequests]))
		for series := range ended {
			ended[series].Y = append(ended[series].Y, float64(counts[series]))
		}
	}
	took := chart.Bars{Title: "Time from the first delivery to the final status"}
	for i, bin := range endBins {
		took.Bars = append(took.Bars, chart.Bar{Name: bin.name, Class: "e", Value: float64(o.spans[i])})
	}
	for len(took.Bars) > 4 && took.Bars[len(took.Bars)-1].Value == 0 {
		took.Bars = took.Bars[:len(took.Bars)-1]
	}
	every := "UTC, each " + stepWords(o.step)
	return []template.HTML{
		chart.Columns{Title: "Requests over time", Labels: labels, XName: every, Series: []chart.Series{asked}}.SVG(),
		chart.Columns{Title: "Endings over time", Labels: labels, XName: every, Series: ended}.SVG(),
		took.SVG(),
	}
}

func stepWords(d time.Duration) string {
	for _, unit := range []struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if d >= unit.d {
			return fmt.Sprintf("%d %s", d/unit.d, unit.name)
		}
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// span is the first and the last step.
func (o *overTime) span() (first, last int64) {
	begun := false
	for i := range o.steps {
		if !begun {
			first, last, begun = i, i, true
		}
		first, last = min(first, i), max(last, i)
	}
	return first, last
}
