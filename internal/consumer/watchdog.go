package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const describedLanes = 5

// Ready is nil while the consumer is a member of its group and each of its partitions goes on. Else it says in words which
// does not, and what each of its lanes waits for. A member whose heartbeats go on while its works hang looks healthy to
// Kafka: only this tells.
func (c *Consumer) Ready() error {
	c.mu.Lock()
	s, since, joinTrouble := c.session, c.withoutSession, c.joinTrouble
	c.mu.Unlock()
	if s == nil {
		switch {
		case joinTrouble != nil:
			return fmt.Errorf("not a member of group %s: %w", c.cfg.Group, joinTrouble)
		case c.joined.Load() && time.Since(since) < c.cfg.StuckAfter:
			return nil // between two generations
		}
		return fmt.Errorf("group %s: %w", c.cfg.Group, errJoining)
	}
	return errors.Join(s.problems(c.cfg.StuckAfter)...)
}

// watch logs what Ready says while it is an error: at once when it changes, then each minute.
func (c *Consumer) watch(ctx context.Context) {
	var last string
	var logged time.Time
	for waitFor(ctx, min(c.cfg.StuckAfter/4, 10*time.Second)) {
		err := c.Ready()
		switch {
		case err == nil && last != "":
			c.cfg.Log.Info().Msg("all partitions go on again")
			last = ""
		case err != nil && (last == "" || time.Since(logged) > alarmInterval):
			c.cfg.Log.Error().Err(err).Msg("not ready")
			last, logged = err.Error(), time.Now()
		}
	}
}

// describe tells of the lanes with deliveries of p, or of all of this session where p is nil: what each waits for.
func (s *session) describe(p *partition) string {
	views := s.c.lanes.views(func(t *task) bool { return t.of.session == s && (p == nil || t.of.part == p) })
	slices.SortFunc(views, func(a, b laneView) int { return a.since.Compare(b.since) })
	var out strings.Builder
	for i, v := range views {
		if i == describedLanes {
			fmt.Fprintf(&out, "; and %d lanes more", len(views)-i)
			break
		}
		if i > 0 {
			out.WriteString("; ")
		}
		out.WriteString(v.String())
	}
	return cmp.Or(out.String(), "no lane has it")
}

// String is like: lane "shop/o1": offset 12 of refund.requests/3 runs for 2m1s, waits for its work, 30 behind it.
func (v laneView) String() string {
	d := v.head.of
	state := "waits for a running place"
	waits := ""
	if w := d.waits.Load(); w != nil {
		waits = ", waits for " + *w
	}
	switch {
	case v.busy:
		state = fmt.Sprintf("runs for %s%s", time.Since(v.since).Round(time.Second), waits)
	case v.resting:
		state = fmt.Sprintf("rests for %s more%s", time.Until(v.until).Round(time.Second), waits)
	}
	behind := ""
	if v.queued > 0 {
		behind = fmt.Sprintf(", %d behind it", v.queued)
	}
	return fmt.Sprintf("lane %q: offset %d of %s %s%s", v.name, d.Offset, d.part.TopicPartition, state, behind)
}
