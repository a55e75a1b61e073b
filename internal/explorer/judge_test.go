package explorer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/refund"
)

// judgement is what a run came to.
type judgement struct {
	broken []string // each a broken promise
	kinds  []string // of those, the kinds
	notes  int      // the auditor's notes that are allowed
	steps  int      // gates that were passed
	took   time.Duration
}

func (j *judgement) ok() bool { return len(j.broken) == 0 }

func (j *judgement) breaks(kind, format string, args ...any) {
	j.broken = append(j.broken, kind+": "+fmt.Sprintf(format, args...))
	j.kinds = append(j.kinds, kind)
}

// judge holds what the run left behind against the promises. stuck are the refunds that their gateway keeps open for
// ever; every other one must be final.
func (w *world) judge(stuck ...string) *judgement {
	j := &judgement{steps: w.gates.passed, took: w.now()}
	checker := audit.New(audit.Options{Whole: true, Books: true})
	for _, e := range w.sim.Ledger() {
		checker.Payment(audit.Payment{Merchant: e.Merchant, RefundNo: e.RefundNo, Order: e.Order, Minor: e.Amount,
			Foreign: e.Call == 1 && w.foreign[e.Merchant+"/"+e.RefundNo]})
	}
	dead := map[string]bool{}
	for _, r := range w.broker.all(topicPartition{Topic: deadTopic}) {
		asked, _ := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers))
		reason := refund.Reason(header(r, headReason))
		checker.DeadLetter(audit.DeadLetter{Origin: audit.Place{Topic: r.Topic, Offset: r.Offset}, Reason: reason, Request: asked})
		dead[asked.Key.String()+" "+asked.Content()] = true
		if reason != refund.ReasonConflict && reason != refund.ReasonOrderConflict {
			j.breaks("dead letter", "%s became a dead letter: %s", r.Key, reason)
		}
	}
	for _, r := range w.broker.queued() {
		if asked, err := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers)); err == nil {
			checker.Queued(asked.Key)
		}
	}
	for _, a := range w.asked {
		checker.Request(audit.Request{Request: a.request, Order: a.request.OrderNo})
	}
	for _, r := range w.broker.all(topicPartition{Topic: statusTopic}) {
		rec, err := events.RestoreRecord(r.Value, events.As[events.Header](r.Headers))
		if err != nil {
			j.breaks("unreadable", "status %d: %v", r.Offset, err)
			continue
		}
		checker.Status(audit.Status{Place: audit.Place{Topic: r.Topic, Offset: r.Offset}, Record: rec, Body: r.Value})
	}
	for _, f := range checker.Report().Findings {
		switch {
		case f.Kind.Promise() > 0, f.Kind == audit.StaleLast && !w.torn[f.Key.String()]:
			j.breaks(string(f.Kind), "%s %s", f.RefundNo, f.Words)
		default:
			j.notes++
		}
	}
	w.settled(j, dead, stuck)
	for _, p := range w.problems {
		j.breaks("port", "%s", p)
	}
	if refused, n := w.sim.Refusals(); n > 0 && refused[0].Code != staleCall {
		j.breaks("refused", "the gateway refused %d calls as against its pages: %+v", n, refused[0])
	}
	return j
}

// mend publishes the stored event of every refund again whose last record is an older one, as refundctl audit --mend does.
func (w *world) mend() {
	ctx := withActor(context.Background(), "audit")
	last := map[string]int64{}
	for _, r := range w.broker.all(topicPartition{Topic: statusTopic}) {
		if rec, err := events.RestoreRecord(r.Value, events.As[events.Header](r.Headers)); err == nil {
			last[string(r.Key)] = rec.Last.Sequence
		}
	}
	for _, key := range slices.Sorted(maps.Keys(last)) {
		if last[key] < w.newest[key].Sequence {
			merchant, no, _ := strings.Cut(key, "/")
			if rec, err := w.store.Load(ctx, refund.Key{Merchant: merchant, RefundNo: no}); err == nil && rec.Known() {
				w.write(ctx, rec)
			}
		}
	}
}

// staleCall is eftPay's answer to a call whose time stamp is too old.
const staleCall = "12"

// settled: once everything was well for long enough, every refund is final and nothing waits.
func (w *world) settled(j *judgement, dead map[string]bool, stuck []string) {
	skip := map[string]bool{}
	for _, key := range stuck {
		skip[key] = true
	}
	seen := map[string]bool{}
	for _, a := range w.asked {
		key := a.request.Key.String()
		if seen[key] || skip[key] || dead[key+" "+a.request.Content()] {
			continue
		}
		seen[key] = true
		if last := w.newest[key]; !last.Status.Final() {
			j.breaks("unsettled", "%s is %q after %s", key, last.Status, w.now())
		}
	}
	if len(stuck) > 0 {
		return
	}
	for _, r := range w.broker.queued() {
		j.breaks("unsettled", "%s still waits at %s, of %s", r.Key, place(r), r.Time.Sub(w.start))
		return
	}
}

// quiet says whether nothing is left to do: every request has its end, no message waits, no call can land any more.
func (w *world) quiet() bool {
	if len(w.events) > 0 || time.Since(w.lastCall) < 2*time.Minute || len(w.broker.queued()) > 0 {
		return false
	}
	for _, a := range w.asked {
		if !w.newest[a.request.Key.String()].Status.Final() {
			return false
		}
	}
	return true
}
