package refund

import (
	"fmt"
	"testing"
	"time"
)

var epoch0 = time.Date(2023, 6, 9, 3, 6, 46, 0, time.UTC)

// pendingRecord is a refund whose first call is under way with token "a1".
func pendingRecord() Record {
	hkd := Currency{Code: "HKD", Exponent: 2}
	return Record{
		Request: Request{Key: Key{Merchant: "S0003469", RefundNo: "201901010011"}, OrderNo: "rrn_1686280006045",
			Amount: Money{1, hkd}, OrderAmount: Money{1001, hkd}, Flow: FlowRefund, Reason: "test", Terminal: "tid"},
		Last:    Event{Sequence: 1, Status: StatusPending, Source: FromWorker, Matched: true, Attempt: 1},
		Version: 1, Attempt: 1, Holding: HoldsReserved, Token: "a1",
		CallEnd: epoch0.Add(30 * time.Second), FirstSeen: epoch0,
	}
}

func news(source Source, class Class) News {
	n := News{Source: source, Outcome: Outcome{Class: class}}
	switch source {
	case FromWorker, FromQuery:
		n.Token = "a1"
	}
	if source == FromQuery {
		n.Begun, n.LandsWithin = epoch0.Add(time.Hour), time.Minute
	}
	return n
}

// apply decides as the Recorder does: stores what shall be written.
func apply(rec Record, n News) (Record, Decision) {
	if n.Source == FromQuery {
		n.AsOf = rec.Last.Sequence
	}
	d := Decide(rec, n, epoch0)
	if d.Write {
		rec = d.Record
		rec.Version++
	}
	return rec, d
}

// The table of the lifecycle: the same rows stand in ARCHITECTURE.md's diagram.
func TestDecideTable(t *testing.T) {
	type want struct {
		status  Status
		event   bool
		ask     bool
		resend  bool
		holding Holding
	}
	with := func(change func(*Record)) Record {
		rec := pendingRecord()
		change(&rec)
		return rec
	}
	open := func(s Status) Record { return with(func(r *Record) { r.Last.Status = s }) }
	accepted := func(s Status) Record {
		return with(func(r *Record) { r.Last.Status, r.Accepted = s, true })
	}
	final := func(s Status, h Holding) Record {
		return with(func(r *Record) { r.Last.Status, r.Last.Sequence, r.Holding = s, 2, h })
	}
	waiting := with(func(r *Record) { r.Last.Status, r.Holding = StatusWaiting, HoldsNothing })
	unknown := Record{Request: pendingRecord().Request, Holding: HoldsNothing}
	stale := func(n News) News { n.Token = "older"; return n }
	early := func(n News) News { n.Begun = epoch0.Add(31 * time.Second); return n }
	overdue := func(n News) News { n.Overdue = true; return n }
	before := func(n News) News { n.AsOf = -1; return n }

	rows := []struct {
		name string
		rec  Record
		news News
		want want
	}{
		{"new, parked", unknown, news(FromWorker, NotSent), want{StatusWaiting, true, false, false, HoldsNothing}},
		{"new, refused here", unknown, news(FromWorker, Rejected), want{StatusRejected, true, false, false, HoldsNothing}},
		{"waiting, parked again", waiting, news(FromWorker, NotSent), want{StatusWaiting, false, false, false, HoldsNothing}},
		{"waiting, refused here", waiting, news(FromWorker, Rejected), want{StatusRejected, true, false, false, HoldsNothing}},
		{"waiting, a callback says paid", waiting, news(FromCallback, Succeeded), want{StatusSucceeded, true, false, false, HoldsSucceeded}},
		{"waiting, a callback says what nobody knows", waiting, news(FromCallback, Unknown), want{StatusUnknown, true, true, false, HoldsReserved}},
		{"waiting, a callback with another amount", waiting, news(FromCallback, Mismatch), want{StatusWaiting, true, true, false, HoldsReserved}},
		{"waiting, a callback says taken", waiting, news(FromCallback, Pending), want{StatusPending, true, true, false, HoldsReserved}},

		{"call succeeded", open(StatusPending), news(FromWorker, Succeeded), want{StatusSucceeded, true, false, false, HoldsSucceeded}},
		{"call declined", open(StatusPending), news(FromWorker, Declined), want{StatusFailed, true, false, false, HoldsNothing}},
		{"call not sent", open(StatusPending), news(FromWorker, NotSent), want{StatusWaiting, true, false, false, HoldsNothing}},
		{"call taken", open(StatusPending), news(FromWorker, Pending), want{StatusPending, false, true, false, HoldsReserved}},
		{"call unknown", open(StatusPending), news(FromWorker, Unknown), want{StatusUnknown, true, true, false, HoldsReserved}},
		{"late: declined by an older attempt", open(StatusUnknown), stale(news(FromWorker, Declined)), want{StatusUnknown, false, true, false, HoldsReserved}},
		{"late: not sent, of an older attempt", open(StatusUnknown), stale(news(FromWorker, NotSent)), want{StatusUnknown, false, true, false, HoldsReserved}},
		{"late: succeeded, of an older attempt", open(StatusUnknown), stale(news(FromWorker, Succeeded)), want{StatusSucceeded, true, false, false, HoldsSucceeded}},
		{"not sent, but the gateway has it", accepted(StatusPending), news(FromWorker, NotSent), want{StatusPending, false, true, false, HoldsReserved}},

		{"query clears up", open(StatusUnknown), news(FromQuery, Pending), want{StatusPending, true, true, false, HoldsReserved}},
		{"query unknown", open(StatusPending), news(FromQuery, Unknown), want{StatusUnknown, true, true, false, HoldsReserved}},
		{"query unknown, taken before", accepted(StatusPending), news(FromQuery, Unknown), want{StatusPending, false, true, false, HoldsReserved}},
		{"query not found, believable", open(StatusUnknown), news(FromQuery, NotFound), want{StatusUnknown, false, false, true, HoldsReserved}},
		{"query not found, too early", open(StatusUnknown), early(news(FromQuery, NotFound)), want{StatusUnknown, false, true, false, HoldsReserved}},
		{"query not found, overtaken", open(StatusUnknown), stale(news(FromQuery, NotFound)), want{StatusUnknown, false, true, false, HoldsReserved}},
		{"query not found, taken before", accepted(StatusPending), news(FromQuery, NotFound), want{StatusReview, true, true, false, HoldsReserved}},
		{"query declined, overtaken", open(StatusUnknown), stale(news(FromQuery, Declined)), want{StatusUnknown, false, true, false, HoldsReserved}},
		{"overdue", open(StatusUnknown), overdue(news(FromQuery, Unknown)), want{StatusReview, true, true, false, HoldsReserved}},
		{"overdue, taken", accepted(StatusPending), overdue(news(FromQuery, Pending)), want{StatusReview, true, true, false, HoldsReserved}},
		{"review stays", open(StatusReview), overdue(news(FromQuery, Pending)), want{StatusReview, false, true, false, HoldsReserved}},
		{"review ends", open(StatusReview), news(FromQuery, Succeeded), want{StatusSucceeded, true, false, false, HoldsSucceeded}},

		{"callback paid", open(StatusPending), news(FromCallback, Succeeded), want{StatusSucceeded, true, false, false, HoldsSucceeded}},
		{"callback failed", open(StatusPending), news(FromCallback, Declined), want{StatusFailed, true, false, false, HoldsNothing}},
		{"callback failed, of which attempt", with(func(r *Record) { r.Attempt = 2 }), news(FromCallback, Declined), want{StatusPending, false, true, false, HoldsReserved}},
		{"callback failed, after a rebuild", with(func(r *Record) { r.Missed = true }), news(FromCallback, Declined), want{StatusPending, false, true, false, HoldsReserved}},
		{"callback failed, adopted, after a rebuild", with(func(r *Record) { r.Missed, r.Attempt = true, 0 }), news(FromCallback, Declined), want{StatusPending, false, true, false, HoldsReserved}},
		{"callback with another amount", open(StatusPending), news(FromCallback, Mismatch), want{StatusPending, false, true, false, HoldsReserved}},

		{"paid again said", final(StatusSucceeded, HoldsSucceeded), news(FromCallback, Succeeded), want{StatusSucceeded, false, false, false, HoldsSucceeded}},
		{"paid, a callback says failed", final(StatusSucceeded, HoldsSucceeded), news(FromCallback, Declined), want{StatusSucceeded, false, true, false, HoldsSucceeded}},
		{"paid, a query says failed", final(StatusSucceeded, HoldsSucceeded), news(FromQuery, Declined), want{StatusFailed, true, false, false, HoldsNothing}},
		{"paid, a query begun before says failed", final(StatusSucceeded, HoldsSucceeded), before(news(FromQuery, Declined)), want{StatusSucceeded, false, true, false, HoldsSucceeded}},
		{"failed, a query says paid", final(StatusFailed, HoldsNothing), news(FromQuery, Succeeded), want{StatusSucceeded, true, false, false, HoldsSucceeded}},
		{"rejected, a callback says paid", final(StatusRejected, HoldsNothing), news(FromCallback, Succeeded), want{StatusRejected, false, true, false, HoldsReserved}},
		{"paid, an operator says failed", final(StatusSucceeded, HoldsSucceeded), news(FromOperator, Declined), want{StatusFailed, true, false, false, HoldsNothing}},
		{"paid, a callback with another amount", final(StatusSucceeded, HoldsSucceeded), news(FromCallback, Mismatch), want{StatusSucceeded, false, true, false, HoldsSucceeded}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			n := row.news
			if n.Source == FromQuery && n.AsOf == 0 {
				n.AsOf = row.rec.Last.Sequence
			}
			d := Decide(row.rec, n, epoch0)
			got := want{d.Record.Last.Status, d.Event, d.Ask, d.Resend, d.Record.Holding}
			if got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
			if d.Event && d.Record.Last.Sequence != row.rec.Last.Sequence+1 {
				t.Errorf("sequence %d after %d", d.Record.Last.Sequence, row.rec.Last.Sequence)
			}
			if row.rec.Last.Status.Final() && d.Event != d.Record.Last.Correction {
				t.Errorf("a changed final status must be a correction, and nothing else")
			}
		})
	}
}

// Every order of the same set of news ends in the same final status; where the
// set contradicts itself, every order ends in a query being owed.
func TestDecideConverges(t *testing.T) {
	all := []News{
		news(FromWorker, Succeeded), news(FromWorker, Declined), news(FromWorker, Pending), news(FromWorker, Unknown),
		news(FromWorker, NotSent), news(FromCallback, Succeeded), news(FromCallback, Declined), news(FromCallback, Pending),
		news(FromCallback, Mismatch), news(FromQuery, Pending), news(FromQuery, Unknown),
	}
	sets, orders := 0, 0
	var choose func(from int, set []News)
	choose = func(from int, set []News) {
		if len(set) > 0 {
			sets++
			orders += converges(t, set)
		}
		if len(set) == 6 {
			return
		}
		for i := from; i < len(all); i++ {
			if all[i].Source == FromWorker && hasWorker(set) {
				continue // one attempt has one answer
			}
			choose(i+1, append(set[:len(set):len(set)], all[i]))
		}
	}
	choose(0, nil)
	t.Logf("%d sets of news in %d orders", sets, orders)
	if sets < 100 {
		t.Fatalf("only %d sets", sets)
	}
}

// A notice that was read for an unknown refund meets the record that a worker made
// meanwhile: its amount is held against that record, not against nothing.
func TestDecideHoldsANoticeAgainstTheRecordItMeets(t *testing.T) {
	rec := pendingRecord()
	other := rec.Request
	other.Amount.Minor = 99999
	notice := Notice{Request: other, Outcome: Outcome{Class: Succeeded}}
	d := Decide(rec, News{Source: FromCallback, Outcome: notice.Outcome, Notice: &notice}, epoch0)
	if d.Record.Last.Status != StatusPending || !d.Ask {
		t.Errorf("another amount: %s, ask %v", d.Record.Last.Status, d.Ask)
	}
	notice.Request = rec.Request
	d = Decide(rec, News{Source: FromCallback, Outcome: notice.Outcome, Notice: &notice}, epoch0)
	if d.Record.Last.Status != StatusSucceeded {
		t.Errorf("the same amount: %s", d.Record.Last.Status)
	}
}

func hasWorker(set []News) bool {
	for _, n := range set {
		if n.Source == FromWorker {
			return true
		}
	}
	return false
}

func converges(t *testing.T, set []News) (orders int) {
	paid, denied := false, false
	for _, n := range set {
		paid = paid || n.Outcome.Class == Succeeded
		denied = denied || n.Outcome.Class == Declined
	}
	contradicts := paid && denied
	finals := map[Status]string{}
	permute(set, func(order []News) {
		orders++
		rec, asked, sequence := pendingRecord(), false, int64(1)
		for _, n := range order {
			var d Decision
			rec, d = apply(rec, n)
			asked = asked || d.Ask
			if rec.Last.Sequence < sequence || d.Event == (rec.Last.Sequence == sequence) {
				t.Fatalf("%v: sequence %d after %d, event %v", names(order), rec.Last.Sequence, sequence, d.Event)
			}
			sequence = rec.Last.Sequence
		}
		status := rec.Last.Status
		if !status.Final() {
			status = StatusNone // open in one way or another: it is asked about
		}
		finals[status] = names(order)
		if contradicts && !(asked && rec.Doubt) {
			t.Errorf("%v: contradicts itself and is not asked about", names(order))
		}
		if (rec.Holding == HoldsSucceeded) != (rec.Last.Status == StatusSucceeded) {
			t.Errorf("%v: %s holds %s", names(order), rec.Last.Status, rec.Holding)
		}
	})
	if len(finals) > 1 && !contradicts {
		t.Errorf("one set, several ends: %v", finals)
	}
	return orders
}

func names(order []News) string {
	s := ""
	for _, n := range order {
		s += fmt.Sprintf("%s:%s ", n.Source, n.Outcome.Class)
	}
	return s
}

func permute(set []News, visit func([]News)) {
	var step func(int)
	step = func(i int) {
		if i == len(set) {
			visit(set)
			return
		}
		for j := i; j < len(set); j++ {
			set[i], set[j] = set[j], set[i]
			step(i + 1)
			set[i], set[j] = set[j], set[i]
		}
	}
	step(0)
}
