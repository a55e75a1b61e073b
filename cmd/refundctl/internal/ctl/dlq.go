package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

func newDLQ(r *run) *cobra.Command {
	c := group("dlq", "Look after the dead letters",
		`Dead letters are messages that no worker can take: no JSON, an unknown merchant, a
number used twice. Nothing is ever deleted from their topic; what operators did with
a letter (redriven, dropped) stands on the operators' trail, and a letter that was
handled is shown with --state all alone.

A letter's id is its partition/offset on the dead-letter topic.

Without a command it shows the groups, as dlq groups does.`,
		`  refundctl dlq
  refundctl dlq ls --kind unknown_merchant --since 24h
  refundctl dlq redrive --kind unknown_merchant --reason "merchant added" --yes`,
		newDLQGroups(r), newDLQList(r), newDLQShow(r), newRedrive(r), newDrop(r))
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return groupRun(c, args)
		}
		return r.dlqGroups(c.Context(), letterFilter{})
	}
	return c
}

// States of a letter.
const (
	stateOpen     = "open"
	stateRedriven = "redriven"
	stateDropped  = "dropped"
)

// commands by which letters change their state, on the trail.
const (
	whatRedrive = "dlq redrive"
	whatDrop    = "dlq drop"
)

// letterFilter says which dead letters are meant.
type letterFilter struct {
	merchant, refundNo, since, grep, state string
	kinds, ids                             []string
	limit                                  int
}

var deadReasons = []string{
	string(refund.ReasonUndecodable), string(refund.ReasonInvalid), string(refund.ReasonUnknownMerchant),
	string(refund.ReasonConflict), string(refund.ReasonOrderConflict), string(refund.ReasonInternal),
}

// letterFlags adds the filter's flags to a command.
func (r *run) letterFlags(c *cobra.Command, l *letterFilter) {
	f := c.Flags()
	r.merchantFlag(c, &l.merchant, "only of the merchant `NAME`")
	f.StringSliceVar(&l.kinds, "kind", nil, "only with these dlq-reasons, `KINDS` with commas between: "+strings.Join(deadReasons, ", "))
	f.StringVar(&l.refundNo, "refund", "", "only of the refund with this number `N`")
	f.StringVar(&l.since, "since", "", "only those that failed last at or after this `TIME` (10m, 3d, 2023-06-09)")
	f.StringVar(&l.grep, "grep", "", "only those with this `TEXT` in their bytes or error")
	f.StringSliceVar(&l.ids, "id", nil, "only the letters with these `IDS`, partition/offset")
	f.IntVar(&l.limit, "max", 0, "at most `N`, the first; 0: all")
	fatal(c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(deadReasons, cobra.ShellCompDirectiveNoFileComp)))
}

func (l *letterFilter) check(r *run) (since time.Time, err error) {
	for _, kind := range l.kinds {
		if !slices.Contains(deadReasons, kind) {
			return since, usage("--kind %s: want one of %s", kind, strings.Join(deadReasons, ", "))
		}
	}
	if !slices.Contains([]string{"", stateOpen, stateRedriven, stateDropped, "all"}, l.state) {
		return since, usage("--state %s: want open, redriven, dropped or all", l.state)
	}
	if l.since != "" {
		since, err = r.parseTime("--since", l.since)
	}
	return since, err
}

// stateWord is the state that is meant, for people.
func (l letterFilter) stateWord() string {
	switch l.state {
	case "":
		return stateOpen
	case "all":
		return "such"
	}
	return l.state
}

// filtered says that there may be others.
func (l letterFilter) filtered() string {
	if l.merchant+l.refundNo+l.since+l.grep == "" && len(l.kinds)+len(l.ids) == 0 {
		return ""
	}
	return " are like that"
}

// letters reads the dead letters that are meant, in the order in which they failed.
func (r *run) letters(ctx context.Context, s *system, l letterFilter) ([]*letter, error) {
	since, err := l.check(r)
	if err != nil {
		return nil, err
	}
	states, err := r.letterStates(ctx, s)
	if err != nil {
		return nil, err
	}
	from := kafka.FromFirst()
	if !since.IsZero() {
		from = kafka.FromTime(since)
	}
	progress := r.progress()
	defer progress.Clear()
	var letters []*letter
	read := 0
	_, err = s.Kafka.Scan(ctx, s.Topics.DeadLetters, from, func(record kafka.Record) error {
		if read++; read%1000 == 0 {
			progress.Show("reading %s: %d records", s.Topics.DeadLetters, read)
		}
		one := letterOf(record)
		if one.State = states[one.ID]; one.State == "" {
			one.State = stateOpen
		}
		if l.wants(one) {
			letters = append(letters, one)
		}
		return nil
	})
	slices.SortStableFunc(letters, func(a, b *letter) int { return a.record.Partition - b.record.Partition })
	if l.limit > 0 {
		letters = letters[:min(l.limit, len(letters))]
	}
	return letters, err
}

func (l letterFilter) wants(one *letter) bool {
	state := l.state
	if state == "" {
		state = stateOpen
	}
	text := []byte(l.grep)
	return (state == "all" || one.State == state) && (l.merchant == "" || one.Merchant == l.merchant) && (l.refundNo == "" || one.RefundNo == l.refundNo) &&
		(len(l.kinds) == 0 || slices.Contains(l.kinds, one.Reason)) && (len(l.ids) == 0 || slices.Contains(l.ids, one.ID)) &&
		(l.grep == "" || bytes.Contains(one.record.Value, text) || strings.Contains(one.Error, l.grep))
}

// letterStates reads from the trail what was done with which letter.
func (r *run) letterStates(ctx context.Context, s *system) (map[string]string, error) {
	states := map[string]string{}
	err := s.eachEntry(ctx, kafka.FromFirst(), func(e entry) error {
		if e.changesLetter() {
			states[e.Letter] = map[string]string{whatRedrive: stateRedriven, whatDrop: stateDropped}[e.What]
		}
		return nil
	})
	return states, err
}

func (e entry) changesLetter() bool {
	return e.Letter != "" && e.Phase == does && (e.What == whatRedrive || e.What == whatDrop)
}

// eachEntry shows the trail; a topic that is not there was never written to.
func (s *system) eachEntry(ctx context.Context, from kafka.From, each func(entry) error) error {
	_, err := s.Kafka.Scan(ctx, s.Topics.Audit, from, func(record kafka.Record) error {
		if e, ok := entryOf(record); ok {
			return each(e)
		}
		return nil
	})
	if errors.Is(err, kafka.ErrNoTopic) {
		return nil
	}
	return err
}

// entryOf reads a line of the trail; false for what is none.
func entryOf(record kafka.Record) (entry, bool) {
	var e entry
	if json.Unmarshal(record.Value, &e) != nil || e.What == "" {
		return entry{}, false
	}
	return e, true
}
