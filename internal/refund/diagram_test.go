package refund

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// arrow is a change of status.
type arrow struct{ from, to Status }

// TestTheDiagramShowsWhatDecideDoes holds ARCHITECTURE.md's state diagram against Decide: news of every source and class
// meet records of every status and make; each change of status that comes of it is drawn, and nothing else is, but for the
// claim's own arrows.
func TestTheDiagramShowsWhatDecideDoes(t *testing.T) {
	done := map[arrow]string{
		{StatusNone, StatusPending}:    "the claim",
		{StatusWaiting, StatusPending}: "the claim",
	}
	corrections := map[arrow]bool{}
	eachMeeting(func(rec Record, n News) {
		d := Decide(rec, n, epoch0)
		a := arrow{rec.Last.Status, d.Record.Last.Status}
		if !rec.Known() {
			a.from = StatusNone
		}
		if !d.Event || a.from == a.to {
			return
		}
		done[a] = string(n.Source) + " says " + string(n.Outcome.Class)
		if a.from.Final() != d.Record.Last.Correction {
			t.Errorf("%s to %s: correction is %t", a.from, a.to, d.Record.Last.Correction)
		}
		corrections[a] = d.Record.Last.Correction
	})

	drawn := drawnArrows(t)
	for a, how := range done {
		words, shown := drawn[a]
		if !shown {
			t.Errorf("not drawn: %s --> %s (%s)", a.from, a.to, how)
		}
		if corrections[a] != (words == "correction") {
			t.Errorf("%s --> %s: %q", a.from, a.to, words)
		}
	}
	for a := range drawn {
		if done[a] == "" {
			t.Errorf("drawn, but it never happens: %s --> %s", a.from, a.to)
		}
	}
	t.Logf("%d arrows, all drawn", len(done))
}

// drawnArrows reads the state diagram.
func drawnArrows(t *testing.T) map[arrow]string {
	page, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, diagram, found := strings.Cut(string(page), "stateDiagram-v2\n")
	diagram, _, closed := strings.Cut(diagram, "```")
	if !found || !closed {
		t.Fatal("ARCHITECTURE.md has no stateDiagram-v2")
	}
	line := regexp.MustCompile(`^\s*(\[\*\]|[A-Z]+) --> ([A-Z]+)(?:: (.+))?$`)
	arrows := map[arrow]string{}
	for row := range strings.Lines(diagram) {
		m := line.FindStringSubmatch(strings.TrimRight(row, "\n"))
		if m == nil {
			t.Fatalf("not read: %q", row)
		}
		from := Status(m[1])
		if m[1] == "[*]" {
			from = StatusNone
		}
		if _, twice := arrows[arrow{from, Status(m[2])}]; twice {
			t.Errorf("drawn twice: %s", row)
		}
		arrows[arrow{from, Status(m[2])}] = m[3]
	}
	return arrows
}

// eachMeeting brings all news that can come to all records that there can be.
func eachMeeting(meet func(Record, News)) {
	bools := []bool{false, true}
	for _, status := range []Status{StatusNone, StatusWaiting, StatusPending, StatusUnknown, StatusReview, StatusSucceeded, StatusFailed, StatusRejected} {
		for _, accepted := range bools {
			for _, doubt := range bools {
				for _, attempt := range []int{0, 1, 2} {
					rec := recordIn(status, attempt)
					rec.Accepted, rec.Doubt = accepted, doubt
					if rec.canBe() {
						eachNews(rec, meet)
					}
				}
			}
		}
	}
}

// recordIn is a record in a status, as it may be stored.
func recordIn(status Status, attempt int) Record {
	rec := pendingRecord()
	rec.Attempt, rec.Last.Attempt, rec.Last.Status = attempt, attempt, status
	rec.Holding = HoldsNothing
	switch {
	case status == StatusNone:
		return Record{Request: rec.Request, Holding: HoldsNothing}
	case status.Open():
		rec.Holding = HoldsReserved
	case status == StatusSucceeded:
		rec.Holding = HoldsSucceeded
	}
	if status == StatusSucceeded || status == StatusFailed {
		rec.Last.Sequence = 2
	}
	return rec
}

// canBe leaves out what no step stores: an open refund has been announced, a waiting one is not known to the gateway, and
// what is not known at all is in no doubt.
func (r Record) canBe() bool {
	switch {
	case !r.Known():
		return !r.Accepted && !r.Doubt && r.Attempt == 0
	case r.Last.Status == StatusWaiting:
		return !r.Accepted && (!r.Doubt || r.Attempt > 0)
	case r.Last.Status.Open():
		return r.Attempt > 0
	}
	return true
}

var sources = map[Source][]Class{
	FromWorker:   {Pending, Succeeded, Declined, NotSent, Unknown, Misconfigured, Rejected},
	FromQuery:    {Pending, Succeeded, Declined, NotFound, Unknown, Mismatch},
	FromCallback: {Pending, Succeeded, Declined, Unknown, Mismatch},
	FromOperator: {Succeeded, Declined},
}

func eachNews(rec Record, meet func(Record, News)) {
	for _, source := range slices.Sorted(maps.Keys(sources)) {
		for _, class := range sources[source] {
			for _, overdue := range []bool{false, true} {
				for _, token := range []string{"a1", "older"} {
					for _, begun := range []time.Duration{0, time.Hour} {
						n := News{Source: source, Outcome: Outcome{Class: class}, Token: token, Overdue: overdue,
							Begun: epoch0.Add(begun), LandsWithin: time.Minute, AsOf: rec.Last.Sequence}
						if source == FromCallback && !rec.Known() {
							n.Notice = &Notice{Request: rec.Request, Outcome: n.Outcome}
						}
						if rec.Known() || n.canBegin() {
							meet(rec, n)
						}
					}
				}
			}
		}
	}
	// A resend for which there is no room is the query's news.
	if rec.Last.Status.Open() {
		meet(rec, News{Source: FromQuery, Outcome: Outcome{Class: Rejected}, Token: "a1", Begun: epoch0.Add(time.Hour), AsOf: rec.Last.Sequence})
	}
}

// canBegin: what is not known is not called or asked about; it is parked, refused, or told of by a callback.
func (n News) canBegin() bool {
	return n.Notice != nil || n.Source == FromWorker && (n.Outcome.Class == NotSent || n.Outcome.Class == Rejected)
}
