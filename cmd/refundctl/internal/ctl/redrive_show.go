package ctl

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
)

// plans asks for each letter what is to be done with it.
func (r *run) plans(ctx context.Context, s *system, letters []*letter, maxAttempts int) (plans []planned, err error) {
	progress := r.progress()
	defer progress.Clear()
	for _, one := range letters {
		p, err := s.plan(ctx, one, maxAttempts)
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
		progress.Show("looking up refunds: %d of %d letters", len(plans), len(letters))
	}
	return plans, nil
}

// plannedLine is a plan as it is shown.
type plannedLine struct {
	ID       string `json:"id"`
	Merchant string `json:"merchant,omitempty"`
	RefundNo string `json:"refund_no,omitempty"`
	Reason   string `json:"reason"`
	Attempts int    `json:"attempts"`
	Plan     string `json:"plan"`
	Why      string `json:"why"`
}

func (r *run) showPlans(plans []planned) error {
	var lines []plannedLine
	for _, p := range plans {
		line := plannedLine{p.letter.ID, p.letter.Merchant, p.letter.RefundNo, p.letter.Reason, p.letter.Attempts, "leave", p.why}
		if p.redrive {
			line.Plan = "redrive"
		}
		lines = append(lines, line)
	}
	if r.format == out.Table && len(lines) > fewRows {
		return r.showPlanGroups(lines)
	}
	return out.NewRows(r.Out, r.format, []out.Column[plannedLine]{
		{Name: "id", Cell: func(p plannedLine) string { return p.ID }},
		{Name: "merchant", Cell: func(p plannedLine) string { return p.Merchant }},
		{Name: "refund_no", Cell: func(p plannedLine) string { return p.RefundNo }},
		{Name: "reason", Cell: func(p plannedLine) string { return p.Reason }},
		{Name: "attempts", Cell: func(p plannedLine) string { return number(int64(p.Attempts)) }},
		{Name: "plan", Cell: func(p plannedLine) string { return p.Plan }},
		{Name: "why", Cell: func(p plannedLine) string { return p.Why }},
	}).All(lines)
}

// planGroup is how many letters have the same plan for the same reason.
type planGroup struct {
	plannedLine
	count int
}

// showPlanGroups is what a table has of many plans.
func (r *run) showPlanGroups(lines []plannedLine) error {
	type name struct{ plan, reason, why string }
	groups := map[name]*planGroup{}
	var all []*planGroup
	for _, line := range lines {
		n := name{line.Plan, line.Reason, particulars.ReplaceAllString(line.Why, "…")}
		if groups[n] == nil {
			groups[n] = &planGroup{plannedLine: line}
			groups[n].Why = n.why
			all = append(all, groups[n])
		}
		groups[n].count++
	}
	slices.SortStableFunc(all, func(a, b *planGroup) int {
		return cmp.Or(-cmp.Compare(a.Plan, b.Plan), -cmp.Compare(a.count, b.count)) // redrive before leave
	})
	if err := out.NewRows(r.Out, r.format, []out.Column[*planGroup]{
		{Name: "count", Cell: func(g *planGroup) string { return fmt.Sprint(g.count) }},
		{Name: "plan", Cell: func(g *planGroup) string { return g.Plan }},
		{Name: "reason", Cell: func(g *planGroup) string { return g.Reason }},
		{Name: "example", Cell: func(g *planGroup) string { return g.ID }},
		{Name: "why", Cell: func(g *planGroup) string { return g.Why }},
	}).All(all); err != nil {
		return err
	}
	fmt.Fprintln(r.Err, "-o wide shows each letter")
	return nil
}
