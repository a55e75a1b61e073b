package explorer

import (
	"context"
	"slices"
	"time"
)

// member is a process in one generation of the group.
type member struct {
	proc   *process
	joined time.Time
	ended  time.Time // when the group went on without it; zero: it has not
	parts  map[topicPartition]*progress
	ctx    context.Context // of its works
	cancel context.CancelFunc
}

// progress is one partition of a member: where it reads on, and what it has handed out, oldest first.
type progress struct {
	position int64
	out      []*handed
}

type handed struct {
	offset int64
	done   bool
}

// watermark is the offset before which everything is done.
func (p *progress) watermark() int64 {
	for _, h := range p.out {
		if !h.done {
			return h.offset
		}
	}
	return p.position
}

// rebalance begins a generation: the partitions go to these processes in turn, begun at the shift. Whoever had them
// before finds out at its next commit.
func (w *world) rebalance(shift int, procs ...*process) {
	procs = slices.DeleteFunc(procs, func(p *process) bool { return p == nil || p.dead.Load() })
	w.assign(func(i int) *process {
		if len(procs) == 0 {
			return nil
		}
		return procs[(i+shift)%len(procs)]
	})
}

// assign begins a generation in which the i-th partition is owner's.
func (w *world) assign(owner func(i int) *process) {
	b := w.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for _, tp := range b.consumed {
		if m := b.owners[tp]; m != nil && m.ended.IsZero() {
			m.ended = now
			w.drain(m)
		}
	}
	members := map[*process]*member{}
	for i, tp := range b.consumed {
		p := owner(i)
		if p == nil || p.dead.Load() {
			b.owners[tp] = nil
			continue
		}
		if members[p] == nil {
			m := &member{proc: p, joined: now, parts: map[topicPartition]*progress{}}
			m.ctx, m.cancel = context.WithCancel(p.ctx)
			members[p], p.member = m, m
		}
		members[p].parts[tp] = &progress{position: b.partitions[tp].committed}
		b.owners[tp] = members[p]
	}
}

// drain bounds the works of a generation that is over, from when its process can know: a frozen one drains once it is awake.
func (w *world) drain(m *member) {
	wait := drain + max(0, time.Until(m.proc.frozenUntil()))
	w.at(wait, m.proc.name+" drained", func() {
		if m.proc.frozenUntil().After(time.Now()) {
			w.drain(m)
			return
		}
		m.cancel()
	})
}

// leave takes the process's partitions away without giving them to anybody yet.
func (w *world) leave(p *process) {
	b := w.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, tp := range b.consumed {
		if m := b.owners[tp]; m != nil && m.proc == p {
			if m.ended.IsZero() {
				m.ended = time.Now()
				w.drain(m)
			}
			b.owners[tp] = nil
		}
	}
}

// alive is refund.Alive: the last commit that the broker has acknowledged, one each second; zero once one was fenced.
func (m *member) alive(ctx context.Context) time.Time {
	m.proc.thaw(ctx)
	b := m.proc.world.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	tick := m.lastTick(time.Now())
	if !m.ended.IsZero() && !tick.Before(m.ended) {
		return time.Time{}
	}
	return tick
}

// lastTick is the last whole second of the generation at which the process ran and the broker answered.
func (m *member) lastTick(now time.Time) time.Time {
	tick := m.joined.Add(now.Sub(m.joined).Truncate(time.Second))
	for _, gap := range slices.Backward(m.proc.gaps) {
		if !tick.Before(gap.from) && tick.Before(gap.to) {
			tick = m.joined.Add(gap.from.Sub(m.joined).Truncate(time.Second))
			if tick.Equal(gap.from) {
				tick = tick.Add(-time.Second)
			}
		}
	}
	return tick
}

// knowsItEnded says whether the process has learned that the generation is over.
func (m *member) knowsItEnded(ctx context.Context) bool { return m.alive(ctx).IsZero() }

// commit stores the watermark of a partition, where the generation is still the group's.
func (w *world) commit(m *member, tp topicPartition) bool {
	b := w.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if !m.ended.IsZero() || b.outage.After(time.Now()) {
		return false
	}
	l := b.partitions[tp]
	l.committed = max(l.committed, m.parts[tp].watermark())
	return true
}

// feed hands one message out that is due and whose owner runs.
func (w *world) feed() bool {
	b, now := w.broker, time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outage.After(now) {
		return false
	}
	for _, tp := range b.consumed {
		m := b.owners[tp]
		if m == nil || m.proc.dead.Load() || m.proc.frozenUntil().After(now) {
			continue
		}
		l, part := b.partitions[tp], m.parts[tp]
		if part.position >= int64(len(l.records)) {
			continue
		}
		r := l.records[part.position]
		if l.delay > 0 && r.Time.Add(l.delay).After(now) {
			continue
		}
		part.position++
		h := &handed{offset: r.Offset}
		part.out = append(part.out, h)
		w.deliver(m, tp, r, h)
		return true
	}
	return false
}
