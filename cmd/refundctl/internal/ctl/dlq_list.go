package ctl

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
)

func newDLQList(r *run) *cobra.Command {
	var l letterFilter
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List dead letters, in the order in which they failed",
		Long: `Ls lists the dead letters that nobody has handled yet, or those of another --state.
As JSON each is one object.`,
		Example: `  refundctl dlq ls
  refundctl dlq ls --kind invalid --since 2h --grep order_amount -o wide
  refundctl dlq ls --state all -o json | jq -r .id`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return r.dlqList(c.Context(), l) },
	}
	r.letterFlags(c, &l)
	stateFlag(c, &l)
	return c
}

func stateFlag(c *cobra.Command, l *letterFilter) {
	c.Flags().StringVar(&l.state, "state", stateOpen, "open, redriven, dropped or all")
	fatal(c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{stateOpen, stateRedriven, stateDropped, "all"}, cobra.ShellCompDirectiveNoFileComp)))
}

func (r *run) dlqList(ctx context.Context, l letterFilter) error {
	if _, err := l.check(r); err != nil {
		return err
	}
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	letters, err := r.letters(ctx, s, l)
	if err != nil {
		return err
	}
	r.none(len(letters), "no %s dead letters%s", l.stateWord(), l.filtered())
	return out.NewRows(r.Out, r.format, r.letterColumns()).All(letters)
}

func newDLQGroups(r *run) *cobra.Command {
	var l letterFilter
	c := &cobra.Command{
		Use:   "groups",
		Short: "Group dead letters by reason, merchant and error",
		Long: `Groups shows what kinds of dead letters there are, most first: reason, merchant and
error (numbers and names in it left out), how many, the first and the last, and the
id of one of them for dlq show.`,
		Example: `  refundctl dlq groups
  refundctl dlq groups --since 24h --merchant S0003469`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return r.dlqGroups(c.Context(), l) },
	}
	r.letterFlags(c, &l)
	stateFlag(c, &l)
	return c
}

// letterGroup is one kind of dead letters.
type letterGroup struct {
	Reason   string    `json:"reason"`
	Merchant string    `json:"merchant,omitempty"`
	Count    int       `json:"count"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Example  string    `json:"example"` // id
	Words    string    `json:"words"`
}

func (r *run) dlqGroups(ctx context.Context, l letterFilter) error {
	if _, err := l.check(r); err != nil {
		return err
	}
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	letters, err := r.letters(ctx, s, l)
	if err != nil {
		return err
	}
	r.none(len(letters), "no %s dead letters%s", l.stateWord(), l.filtered())
	return out.NewRows(r.Out, r.format, []out.Column[*letterGroup]{
		{Name: "count", Cell: func(g *letterGroup) string { return fmt.Sprint(g.Count) }},
		{Name: "reason", Cell: func(g *letterGroup) string { return g.Reason }},
		{Name: "merchant", Cell: func(g *letterGroup) string { return g.Merchant }},
		{Name: "first", Cell: func(g *letterGroup) string { return r.clock(g.First) }},
		{Name: "last", Cell: func(g *letterGroup) string { return r.clock(g.Last) }},
		{Name: "example", Cell: func(g *letterGroup) string { return g.Example }},
		{Name: "error", Cell: func(g *letterGroup) string { return g.Words }},
	}).All(groupsOf(letters))
}

func groupsOf(letters []*letter) []*letterGroup {
	type name struct{ reason, merchant, words string }
	groups := map[name]*letterGroup{}
	var all []*letterGroup
	for _, one := range letters {
		n := name{one.Reason, one.Merchant, particulars.ReplaceAllString(one.Error, "…")}
		g := groups[n]
		if g == nil {
			g = &letterGroup{Reason: n.reason, Merchant: n.merchant, Words: n.words, First: one.LastFailedAt, Example: one.ID}
			groups[n], all = g, append(all, g)
		}
		g.Count++
		g.Last = one.LastFailedAt
	}
	slices.SortFunc(all, func(a, b *letterGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Merchant, b.Merchant), cmp.Compare(a.Words, b.Words))
	})
	return all
}

// particulars are what differs between errors of one kind: quoted text, and words
// with a digit in them.
var particulars = regexp.MustCompile(`"[^"]*"|[\w.:@+*=|-]*\d[\w.:@+*=|-]*`)

func newDLQShow(r *run) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one dead letter with its bytes, and what redrive would do",
		Long: `Show has a dead letter as it lies on the topic: headers and bytes, what operators
did with it, and what dlq redrive would make of it now.`,
		Example: `  refundctl dlq show 0/1234
  refundctl dlq show 0/1234 -o json | jq -r .value`,
		Args: exactly("ID"),
		RunE: func(c *cobra.Command, args []string) error { return r.dlqShow(c.Context(), args[0]) },
	}
}

// shownLetter is the answer of dlq show.
type shownLetter struct {
	*letter
	Key     string            `json:"key"`
	Value   string            `json:"value"`
	Base64  bool              `json:"value_is_base64,omitempty"`
	Headers map[string]string `json:"headers"`
	Redrive string            `json:"redrive"` // what it would do
}

func (r *run) dlqShow(ctx context.Context, id string) error {
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	letters, err := r.letters(ctx, s, letterFilter{ids: []string{id}, state: "all"})
	if err != nil {
		return err
	}
	if len(letters) == 0 {
		return wrong("there is no dead letter %s; refundctl dlq ls shows their ids", id)
	}
	one := letters[0]
	shown := shownLetter{letter: one, Key: string(one.record.Key), Value: string(one.record.Value), Headers: map[string]string{}}
	if !utf8.Valid(one.record.Value) {
		shown.Value, shown.Base64 = base64.StdEncoding.EncodeToString(one.record.Value), true
	}
	for _, h := range one.record.Headers {
		shown.Headers[h.Key] = string(h.Value)
	}
	shown.Redrive = r.redriveWords(ctx, s, one)
	if r.format == out.JSON {
		return out.Object(r.Out, shown)
	}
	lines := []out.Line{
		{Name: "letter", Words: one.ID + ", " + one.State},
		{Name: "refund", Words: one.refund()},
		{Name: "reason", Words: one.words()},
		{Name: "failed", Words: failedWords(one.Attempts, r.clock(one.FirstFailedAt), r.clock(one.LastFailedAt))},
		{Name: "read at", Words: one.Origin},
		{Name: "redrive", Words: shown.Redrive},
		{Name: "key", Words: shown.Key},
	}
	for _, h := range one.record.Headers {
		lines = append(lines, out.Line{Name: "header", Words: h.Key + ": " + string(h.Value)})
	}
	bytes := shown.Value
	if shown.Base64 {
		bytes = "not UTF-8, as Base64: " + bytes
	}
	return out.Block(r.Out, append(lines, out.Line{Name: "bytes", Words: bytes}))
}

func failedWords(attempts int, first, last string) string {
	if attempts <= 1 {
		return "once, " + last
	}
	return fmt.Sprintf("%d times, first %s, last %s", attempts, first, last)
}

// redriveWords says what redrive would do, as far as Redis can be asked.
func (r *run) redriveWords(ctx context.Context, s *system, one *letter) string {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	p, err := s.plan(ctx, one, defaultAttempts)
	switch {
	case err != nil:
		return "not known: " + err.Error()
	case p.redrive:
		return "would be published again: " + p.why
	}
	return "would be left: " + p.why
}
