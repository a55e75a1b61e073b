package ctl

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
)

func newOffsets(r *run) *cobra.Command {
	var due bool
	show := &cobra.Command{
		Use:   "show",
		Short: "Show how far the workers' group has come in each partition",
		Long: `Show has the committed offset, the end, and what lies between for the request topic
and each delay topic. On a delay topic most of what lies between waits for its time:
--due reads it and counts what could run already.`,
		Example: `  refundctl offsets show
  refundctl offsets show --due -o json`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return r.offsetsShow(c.Context(), due) },
	}
	show.Flags().BoolVar(&due, "due", false, "count what is due on delay topics")
	return group("offsets", "Show and move the workers' offsets", "Offsets looks after the committed offsets of kafka.group.",
		"  refundctl offsets show", show, newOffsetsSet(r))
}

// offset is one partition of the answer.
type offset struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	First     int64  `json:"first"`
	Committed int64  `json:"committed"` // -1: none, so the group begins at the first
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"`
	Due       *int   `json:"due,omitempty"`       // of a delay topic: could run now
	OldestMS  int64  `json:"oldest_ms,omitempty"` // how long the oldest of them is due
}

func (r *run) offsetsShow(ctx context.Context, due bool) error {
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	var all []*offset
	for i, topic := range append([]string{s.Topics.Requests}, s.delayTopics()...) {
		rows, err := s.offsets(ctx, topic)
		if err != nil {
			return err
		}
		if due && i > 0 {
			if err := r.countDue(ctx, s, rows, s.Delays[i-1]); err != nil {
				return err
			}
		}
		all = append(all, rows...)
	}
	columns := []out.Column[*offset]{
		{Name: "topic", Cell: func(o *offset) string { return o.Topic }},
		{Name: "partition", Cell: func(o *offset) string { return fmt.Sprint(o.Partition) }},
		{Name: "first", Wide: true, Cell: func(o *offset) string { return fmt.Sprint(o.First) }},
		{Name: "committed", Cell: func(o *offset) string {
			if o.Committed < 0 {
				return "none"
			}
			return fmt.Sprint(o.Committed)
		}},
		{Name: "end", Cell: func(o *offset) string { return fmt.Sprint(o.End) }},
		{Name: "lag", Cell: func(o *offset) string { return fmt.Sprint(o.Lag) }},
	}
	if due {
		columns = append(columns,
			out.Column[*offset]{Name: "due", Cell: func(o *offset) string {
				if o.Due == nil {
					return ""
				}
				return fmt.Sprint(*o.Due)
			}},
			out.Column[*offset]{Name: "oldest", Cell: func(o *offset) string {
				if o.OldestMS == 0 {
					return ""
				}
				return age(time.Duration(o.OldestMS) * time.Millisecond)
			}})
	}
	return out.NewRows(r.Out, r.format, columns).All(all)
}

func (s *system) offsets(ctx context.Context, topic string) (rows []*offset, err error) {
	committed, err := s.Kafka.Committed(ctx, s.Config.Kafka.Group, topic)
	if err != nil {
		return nil, err
	}
	spans, err := s.Kafka.Spans(ctx, topic)
	for _, span := range spans {
		o := &offset{Topic: topic, Partition: span.Partition, First: span.First, Committed: -1, End: span.End}
		at, there := committed[span.Partition]
		if there {
			o.Committed = at
		}
		o.Lag = max(0, span.End-max(span.First, at))
		rows = append(rows, o)
	}
	return rows, err
}

// countDue reads what was not taken of a delay topic.
func (r *run) countDue(ctx context.Context, s *system, rows []*offset, delay time.Duration) error {
	from := map[int]int64{}
	for _, o := range rows {
		o.Due = new(int)
		from[o.Partition] = max(o.Committed, o.First)
	}
	now := r.Now()
	_, err := s.Kafka.Scan(ctx, rows[0].Topic, kafka.FromOffsets(from), func(record kafka.Record) error {
		w, _ := consumer.ReadWaiting(record, delay) // its time can be read in any case
		if late := now.Sub(w.Due); late >= 0 {
			o := rows[record.Partition]
			*o.Due++
			o.OldestMS = max(o.OldestMS, late.Milliseconds())
		}
		return nil
	})
	return err
}

// moving is what offsets set is told.
type moving struct {
	topic, to, reason string
	partitions        []int
	yes, skip         bool
}

func newOffsetsSet(r *run) *cobra.Command {
	var m moving
	c := &cobra.Command{
		Use:   "set --topic TOPIC --to PLACE --reason TEXT",
		Short: "Move the workers' offsets; all workers must be stopped",
		Long: `Set moves the committed offsets of the workers' group, which must have no members:
stop all workers first. PLACE is beginning, end, a time (10m, 3d, 2023-06-09), or an
offset.

Backwards is safe: what is read again is known by its number, and no money moves
twice. Forwards skips messages that nobody will ever read: requests that get no
status, follow-ups that are never made. That needs --skip as well.

Without --yes it only shows what it would do.`,
		Example: `  refundctl offsets set --topic refund.requests --to 2h --reason "read the last two hours again" --yes
  refundctl offsets set --topic refund.requests --partition 3 --to 1200 --reason "..." --yes`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return r.offsetsSet(c.Context(), m) },
	}
	f := c.Flags()
	f.StringVar(&m.topic, "topic", "", "`TOPIC`: the requests', or one of the delay topics")
	f.IntSliceVar(&m.partitions, "partition", nil, "only these `PARTITIONS`, with commas between")
	f.StringVar(&m.to, "to", "", "`PLACE`: beginning, end, a time, or an offset")
	f.StringVar(&m.reason, "reason", "", "why, for the trail: `TEXT` (required)")
	f.BoolVar(&m.skip, "skip", false, "also where messages are skipped that nobody will ever read")
	f.BoolVar(&m.yes, "yes", false, "do it")
	return c
}

// move is one partition that is moved.
type move struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	From      int64  `json:"from"`
	To        int64  `json:"to"`
	Again     int64  `json:"again"` // messages read again
	Skipped   int64  `json:"skipped"`
}

func (r *run) offsetsSet(ctx context.Context, m moving) error {
	switch {
	case m.topic == "" || m.to == "":
		return usage("--topic and --to are needed")
	case strings.TrimSpace(m.reason) == "":
		return usage("--reason TEXT is missing: the trail says why")
	}
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	if topics := append([]string{s.Topics.Requests}, s.delayTopics()...); !slices.Contains(topics, m.topic) {
		return usage("--topic %s: the workers read %s", m.topic, strings.Join(topics, ", "))
	}
	moves, err := r.moves(ctx, s, m)
	if err != nil {
		return err
	}
	if err := out.NewRows(r.Out, r.format, []out.Column[move]{
		{Name: "topic", Cell: func(v move) string { return v.Topic }},
		{Name: "partition", Cell: func(v move) string { return fmt.Sprint(v.Partition) }},
		{Name: "from", Cell: func(v move) string { return fmt.Sprint(v.From) }},
		{Name: "to", Cell: func(v move) string { return fmt.Sprint(v.To) }},
		{Name: "read again", Cell: func(v move) string { return fmt.Sprint(v.Again) }},
		{Name: "skipped", Cell: func(v move) string { return fmt.Sprint(v.Skipped) }},
	}).All(moves); err != nil {
		return err
	}
	offsets := map[int]int64{}
	var skipped int64
	for _, one := range moves {
		offsets[one.Partition] = one.To
		skipped += one.Skipped
	}
	switch {
	case !m.yes:
		fmt.Fprintln(r.Err, "nothing was moved; --yes does it")
		return nil
	case skipped > 0 && !m.skip:
		return usage("%d messages would be skipped, which nobody would ever read; --skip says that this is meant", skipped)
	}
	task, err := r.begin(ctx, s, entry{What: "offsets set", Why: m.reason, Detail: fmt.Sprintf("%s to %s: %v", m.topic, m.to, moves)})
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	err = s.Kafka.SetCommitted(bounded, s.Config.Kafka.Group, m.topic, offsets)
	if errors.Is(err, kafka.ErrMembers) {
		err = wrong("nothing was moved: group %s has members: stop all workers first, and wait for kafka.session_timeout (%s)", s.Config.Kafka.Group, s.Config.Kafka.SessionTimeout)
	}
	if written := task.end(ctx, err, "%d partitions", len(offsets)); err == nil {
		err = written
	}
	return err
}

func (r *run) moves(ctx context.Context, s *system, m moving) ([]move, error) {
	rows, err := s.offsets(ctx, m.topic)
	if err != nil {
		return nil, err
	}
	to, err := r.target(ctx, s, m)
	if err != nil {
		return nil, err
	}
	for _, p := range m.partitions {
		if p < 0 || p >= len(rows) {
			return nil, usage("--partition %d: %s has partitions 0 to %d", p, m.topic, len(rows)-1)
		}
	}
	var moves []move
	for _, o := range rows {
		if len(m.partitions) > 0 && !slices.Contains(m.partitions, o.Partition) {
			continue
		}
		from, end := max(o.Committed, o.First), min(max(to(o), o.First), o.End)
		moves = append(moves, move{Topic: m.topic, Partition: o.Partition, From: from, To: end, Again: max(0, from-end), Skipped: max(0, end-from)})
	}
	return moves, nil
}

// target is where a partition goes.
func (r *run) target(ctx context.Context, s *system, m moving) (func(*offset) int64, error) {
	if n, err := strconv.ParseInt(m.to, 10, 64); err == nil && n >= 0 {
		if len(m.partitions) != 1 {
			return nil, usage("--to %d: an offset is of one --partition", n)
		}
		return func(*offset) int64 { return n }, nil
	}
	switch m.to {
	case "beginning":
		return func(o *offset) int64 { return o.First }, nil
	case "end":
		return func(o *offset) int64 { return o.End }, nil
	}
	t, err := r.parseTime("--to", m.to)
	if err != nil {
		return nil, err
	}
	at, err := s.Kafka.OffsetsAt(ctx, m.topic, t)
	if err != nil {
		return nil, err
	}
	at = maps.Clone(at)
	return func(o *offset) int64 { return at[o.Partition] }, nil
}
