package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/refundworker/refundworker/internal/refund"
)

// Summary is the audit in numbers.
type Summary struct {
	Requests    int // records of the request topic, repeats and unreadable ones too
	Refunds     int // requested, or known from a status
	Statuses    int // records of the status topic
	Payments    int // entries of the books
	Final       map[refund.Status]int
	Open        map[refund.Status]int // WAITING too
	Unmatched   int                   // of those, known from a callback alone
	Queued      int                   // no status yet, and still waiting to be read
	DeadLetters map[refund.Reason]int
	Broken      [5]int // findings by promise; at 0 the notes
	Booked      bool   // there were books to hold the money against
}

// Report is the audit's verdict.
type Report struct {
	Summary
	Findings []Finding // by merchant, refund, kind
}

// OK says that every promise is kept. Notes may be there all the same.
func (r Report) OK() bool { return r.Broken[1]+r.Broken[2]+r.Broken[3]+r.Broken[4] == 0 }

// Count answers how many findings of a kind there are.
func (r Report) Count(k Kind) (n int) {
	for _, f := range r.Findings {
		if f.Kind == k {
			n++
		}
	}
	return n
}

// Stale are the keys whose last record is not their highest sequence: to be mended by publishing the stored event again.
func (r Report) Stale() (keys []refund.Key) {
	for _, f := range r.Findings {
		if f.Kind == StaleLast {
			keys = append(keys, f.Key)
		}
	}
	return keys
}

// Report judges what was given so far. It may be asked again after more. Where what was given is kept in files, see
// Err.
func (c *Checker) Report() Report {
	r := Report{Summary: c.tally}
	r.Booked = c.options.Books || c.tally.Payments > 0
	r.Final, r.Open, r.DeadLetters = maps.Clone(c.tally.Final), maps.Clone(c.tally.Open), maps.Clone(c.tally.DeadLetters)
	if c.files == nil {
		c.refunds(&r, c.book)
		c.orders(&r.Findings, func(each func(fact)) { c.shares(c.book, each) })
	} else {
		c.parts(&r)
	}
	for at, dead := range c.unreadable {
		if !dead {
			r.Findings = append(r.Findings, Finding{Kind: Lost, Words: fmt.Sprintf("record %s/%d/%d is no valid request and has no dead letter", at.Topic, at.Partition, at.Offset)})
		}
	}
	slices.SortFunc(r.Findings, compare)
	for _, f := range r.Findings {
		r.Broken[f.Kind.Promise()]++
	}
	return r
}

// refunds judges those of a book, each by itself.
func (c *Checker) refunds(r *Report, b book) {
	for key, s := range b {
		ch := check{Checker: c, state: s, key: key, found: &r.Findings}
		ch.kept()
		ch.forward()
		ch.once()
		r.count(ch)
	}
}

// shares shows what the refunds of a book add to their orders.
func (c *Checker) shares(b book, each func(fact)) {
	for key, s := range b {
		if f, some := (check{Checker: c, state: s, key: key}).share(); some {
			each(f)
		}
	}
}

// parts judges one part of the refunds after another, and then one part of the orders after another: a refund lies in
// its number's file, and what it adds to its order in that order's.
func (c *Checker) parts(r *Report) {
	orders := newSpill(c.options.Dir, c.options.Parts)
	defer orders.close()
	for part := range c.options.Parts {
		b := book{}
		c.files.each(part, c.merchants.list, b.apply)
		c.refunds(r, b)
		c.shares(b, func(f fact) {
			orders.put(c.part(f.key.Merchant, f.order), c.merchants.number(f.key.Merchant), f)
		})
	}
	for part := range c.options.Parts {
		c.orders(&r.Findings, func(each func(fact)) { orders.each(part, c.merchants.list, each) })
	}
	if c.files.err == nil {
		c.files.err = orders.failed()
	}
}

func (r *Report) count(c check) {
	now := c.now()
	switch {
	case now == refund.StatusNone:
		if c.queued {
			r.Queued++
		}
		if len(c.asked) == 0 {
			return // known from the books or the dead letters alone
		}
	case now.Final():
		r.Final[now]++
	default:
		r.Open[now]++
	}
	if now != refund.StatusNone && c.said == 0 {
		r.Unmatched++
	}
	r.Refunds++
}

// promises in a few words.
var promises = [5]string{1: "nothing is lost", 2: "money moves at most once", 3: "no order beyond its total", 4: "statuses only move forward"}

// Verdict says in a few words whether a promise, 1 to 4, is kept.
func (r Report) Verdict(promise int) string {
	switch n := r.Broken[promise]; {
	case promise == 2 && n > 0:
		return fmt.Sprintf("BROKEN %s, of them paid twice %d", times(n), r.Count(PaidTwice))
	case n > 0:
		return "BROKEN " + times(n)
	case promise == 2 && !r.Booked:
		return "not judged, as no gateway's books were given"
	}
	return "kept"
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprint(n, " times")
}

// shown is how many findings String prints.
const shown = 20

// String is the verdict in one block for people, with the first findings.
func (r Report) String() string {
	var b strings.Builder
	b.WriteString(r.Head())
	for _, f := range r.Findings[:min(shown, len(r.Findings))] {
		fmt.Fprintf(&b, "  %s\n", f)
	}
	if more := len(r.Findings) - shown; more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	return b.String()
}

// Head is the same without findings.
func (r Report) Head() string {
	var b strings.Builder
	line := func(name, words string, args ...any) {
		fmt.Fprintf(&b, "  %-13s "+words+"\n", append([]any{name}, args...)...)
	}
	verdict := "all promises kept"
	switch {
	case !r.OK():
		verdict = "BROKEN"
	case !r.Booked:
		verdict = "promises 1, 3 and 4 kept"
	}
	fmt.Fprintf(&b, "audit: %s, %d refunds\n", verdict, r.Refunds)
	line("read", "%d requests, %d statuses, %d dead letters, %d payments", r.Requests, r.Statuses, total(r.DeadLetters), r.Payments)
	line("final", "%s", counts(r.Final))
	line("open", "%s", counts(r.Open))
	line("waiting", "%d not begun, %d known from a callback alone", r.Queued, r.Unmatched)
	line("dead letters", "%s", counts(r.DeadLetters))
	for promise := 1; promise < len(r.Broken); promise++ {
		line(fmt.Sprint("promise ", promise), "%s: %s", promises[promise], r.Verdict(promise))
	}
	line("notes", "%d", r.Broken[0])
	return b.String()
}

// counts prints a map of numbers in one order.
func counts[K ~string](m map[K]int) string {
	if len(m) == 0 {
		return "none"
	}
	var words []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		words = append(words, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(words, ", ")
}

func total[K comparable](m map[K]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}
