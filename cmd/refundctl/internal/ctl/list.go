package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// listing is what list is told.
type listing struct {
	merchant, since, olderThan, code string
	statuses                         []string
	open                             bool
	limit                            int
}

func newList(r *run) *cobra.Command {
	var l listing
	c := &cobra.Command{
		Use:   "list",
		Short: "List refunds by their newest status, the oldest first",
		Long: `List reads the status topic and shows refunds by the newest event of each: those
that are open, or with certain statuses, by age. The age of a refund is counted
from when its request was first read.

refundctl show says what happens next to one of them.`,
		Example: `  refundctl list --open --older-than 1h
  refundctl list --status REVIEW --merchant S0003469
  refundctl list --status FAILED --since 24h --code 51 -o json
  refundctl list --open --limit 0 -o json | jq -s 'group_by(.merchant)[] | {m: .[0].merchant, n: length}'`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return r.list(c.Context(), l) },
	}
	f := c.Flags()
	r.merchantFlag(c, &l.merchant, "only of the merchant `NAME`")
	f.BoolVar(&l.open, "open", false, "only those that are not final: WAITING, PENDING, UNKNOWN, REVIEW")
	f.StringSliceVar(&l.statuses, "status", nil, "only these `STATUSES`, with commas between")
	f.StringVar(&l.code, "code", "", "only with this error `CODE`")
	f.StringVar(&l.olderThan, "older-than", "", "only those first read longer ago than this `DURATION` (90s, 1h, 3d)")
	f.StringVar(&l.since, "since", "", "only those whose newest event is from this `TIME` on (10m, 3d, 2023-06-09)")
	f.IntVar(&l.limit, "limit", 100, "at most `N`, the oldest; 0: all")
	fatal(c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(allStatuses[:len(allStatuses)-1], cobra.ShellCompDirectiveNoFileComp)))
	return c
}

// listed is one refund of the list.
type listed struct {
	status    events.Status
	firstSeen time.Time
	age       time.Duration
	raw       json.RawMessage
}

// MarshalJSON implements json.Marshaler: the newest event as it is, and its age.
func (l listed) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Merchant  string          `json:"merchant"`
		RefundNo  string          `json:"refund_no"`
		Status    string          `json:"status"`
		AgeMS     int64           `json:"age_ms"`
		FirstSeen time.Time       `json:"first_seen"`
		Event     json.RawMessage `json:"event"`
	}{l.status.Merchant, l.status.RefundNo, string(l.status.Status), l.age.Milliseconds(), l.firstSeen, l.raw})
}

func (r *run) list(ctx context.Context, l listing) error {
	older := time.Duration(0)
	if l.olderThan != "" {
		var err error
		if older, err = parseDuration(l.olderThan); err != nil {
			return usage("--older-than: %w", err)
		}
	}
	for i, status := range l.statuses {
		l.statuses[i] = strings.ToUpper(status)
		if !slices.Contains(allStatuses[:len(allStatuses)-1], l.statuses[i]) {
			return usage("--status %s: want one of %s", status, strings.Join(allStatuses[:len(allStatuses)-1], ", "))
		}
	}
	var since time.Time
	if l.since != "" {
		var err error
		if since, err = r.parseTime("--since", l.since); err != nil {
			return err
		}
	}
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	if l.merchant != "" {
		if _, err := s.account(l.merchant); err != nil {
			return err
		}
	}
	newest, unreadable, err := r.newest(ctx, s, since, func(st events.Status) bool {
		return (l.merchant == "" || st.Merchant == l.merchant) && !(l.open && st.Final) && (l.code == "" || st.Code == l.code) &&
			(len(l.statuses) == 0 || slices.Contains(l.statuses, string(st.Status)))
	})
	if err != nil {
		return err
	}
	now := r.Now()
	var rows []listed
	for _, one := range newest {
		if one.age = now.Sub(one.firstSeen); one.age >= older && !one.status.RecordedAt.Before(since) {
			rows = append(rows, one)
		}
	}
	slices.SortFunc(rows, func(a, b listed) int {
		if c := a.firstSeen.Compare(b.firstSeen); c != 0 {
			return c
		}
		return strings.Compare(a.status.Key.String(), b.status.Key.String())
	})
	total := len(rows)
	if l.limit > 0 {
		rows = rows[:min(l.limit, total)]
	}
	if err := out.NewRows(r.Out, r.format, r.listColumns()).All(rows); err != nil {
		return err
	}
	r.none(total, "no refund is like that")
	if left := total - len(rows); left > 0 {
		fmt.Fprintf(r.Err, "%d more; --limit 0 shows all\n", left)
	}
	if unreadable > 0 {
		return wrong("%d records of %s cannot be read; refundctl watch --from beginning shows them", unreadable, s.Topics.Status)
	}
	return nil
}

// newest answers each refund's newest event that is wanted. Of what is not wanted
// it keeps the sequence alone, so that an older event that lies behind it (see the
// audit's stale_last) does not count.
func (r *run) newest(ctx context.Context, s *system, since time.Time, wanted func(events.Status) bool) (map[refund.Key]listed, int, error) {
	progress := r.progress()
	defer progress.Clear()
	from := kafka.FromFirst()
	if !since.IsZero() {
		from = kafka.FromTime(since)
	}
	seed := maphash.MakeSeed()
	newest, past, unreadable, read := map[refund.Key]listed{}, map[uint64]int64{}, 0, 0
	err := s.Log.Scan(ctx, from, func(e statuslog.Entry) error {
		if read++; read%1000 == 0 {
			progress.Show("reading %s: %d records, %d refunds so far", s.Topics.Status, read, len(newest))
		}
		if e.Err != nil {
			if e.Value != nil {
				unreadable++
			}
			return nil
		}
		name := maphash.Bytes(seed, e.Key)
		if held, there := newest[e.Status.Key]; past[name] >= e.Status.Sequence || there && held.status.Sequence >= e.Status.Sequence {
			return nil
		}
		if !wanted(e.Status) {
			delete(newest, e.Status.Key)
			past[name] = e.Status.Sequence
			return nil
		}
		one := listed{status: e.Status, firstSeen: e.Status.RecordedAt, raw: bytes.Clone(e.Value)}
		if rec, err := e.Restore(); err == nil && !rec.FirstSeen.IsZero() {
			one.firstSeen = rec.FirstSeen
		}
		newest[e.Status.Key] = one
		return nil
	})
	return newest, unreadable, err
}

func (r *run) listColumns() []out.Column[listed] {
	return []out.Column[listed]{
		{Name: "age", Cell: func(l listed) string { return age(l.age) }},
		{Name: "merchant", Cell: func(l listed) string { return l.status.Merchant }},
		{Name: "refund_no", Cell: func(l listed) string { return l.status.RefundNo }},
		{Name: "status", Cell: func(l listed) string { return string(l.status.Status) }},
		{Name: "since", Cell: func(l listed) string { return r.clock(l.status.RecordedAt) }},
		{Name: "amount", Cell: func(l listed) string { return amountOf(l.status.Amount) }},
		{Name: "attempt", Cell: func(l listed) string { return number(int64(l.status.Attempt)) }},
		{Name: "order", Wide: true, Cell: func(l listed) string { return l.status.OrderNo }},
		{Name: "payment", Wide: true, Cell: func(l listed) string { return l.status.TransactionID }},
		{Name: "gateway's number", Wide: true, Cell: func(l listed) string { return l.status.ProviderRefundID }},
		{Name: "why", Cell: func(l listed) string { return statusWords(l.status) }},
	}
}
