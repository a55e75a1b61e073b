package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

const (
	commitEvery      = time.Second
	commitUntilAlive = 50 * time.Millisecond  // before the first acknowledgement
	commitInDrain    = 300 * time.Millisecond // heartbeats have stopped: these commits keep the membership
	commitTimeout    = 3 * time.Second
	hardStopGrace    = 2 * time.Second // for works whose ctx has ended
)

// generation is what a session needs of kafka.Generation.
type generation interface {
	Commit(ctx context.Context, offsets map[kafka.TopicPartition]int64) error
	SignOfLife() time.Time
}

// session is the work of one generation.
type session struct {
	c          *Consumer
	gen        generation
	partitions []*partition
	alive      chan struct{}   // closed by the first acknowledged commit
	works      context.Context // of the works: outlives the generation's by the drain
	stopWorks  context.CancelFunc
	started    time.Time
	lastAlarm  time.Time
}

func (c *Consumer) newSession(gen generation, assigned []kafka.Assignment) *session {
	s := &session{c: c, gen: gen, alive: make(chan struct{}), started: time.Now()}
	s.works, s.stopWorks = context.WithCancel(context.Background())
	partitions := map[bool]int{} // of the requests; of delay topics
	for _, a := range assigned {
		partitions[c.delayOf[a.Topic] > 0]++
	}
	windows := map[bool]*window{}
	for delayed, n := range partitions {
		windows[delayed] = newWindow(n, c.cfg.MaxInFlight)
	}
	for _, a := range assigned {
		p := &partition{TopicPartition: a.TopicPartition, delay: c.delayOf[a.Topic], session: s}
		delayed := p.delay > 0
		p.tracker = newTracker(a.Offset, windows[delayed])
		p.end.Store(-1)
		p.source = c.source(a.TopicPartition, a.Offset, fetchOf(partitions[delayed]))
		s.partitions = append(s.partitions, p)
	}
	return s
}

// run works until ctx ends or the group moves on, drains, and commits.
//  1. Feeds read and hand out; commits each second say what is done, and that we live.
//  2. Feeds stop. What waits in lanes is dropped: it is not done, so it is delivered again to the next owner.
//  3. Works under way have DrainTimeout to end; commits go on. Then their ctx ends, and they have two seconds more.
//  4. A last commit. What did not end is not committed.
func (s *session) run(ctx context.Context) error {
	defer s.stopWorks()
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	var feeds sync.WaitGroup
	for _, p := range s.partitions {
		feeds.Go(func() { p.feed(reading) })
	}
	fenced := s.commitUntil(ctx.Done(), nil, commitEvery)
	stopReading()
	feeds.Wait()

	idle := s.c.lanes.drop(s)
	bound := time.NewTimer(s.c.cfg.DrainTimeout)
	defer bound.Stop()
	fenced = fenced || s.commitUntil(idle, bound.C, commitInDrain)
	if fenced { // nothing to commit any more, but answers of gateways under way are worth recording
		select {
		case <-idle:
		case <-bound.C:
		}
	}
	s.stopWorks()
	if !waitIdle(idle, hardStopGrace) {
		s.c.cfg.Log.Error().Str("waits", s.describe(nil)).Msg("works did not end in the drain; they are delivered again")
	}
	if !fenced {
		s.commit()
	}
	return nil
}

// commitUntil commits at this pace until stop closes or bound fires. True when the broker says that the group has moved on.
func (s *session) commitUntil(stop <-chan struct{}, bound <-chan time.Time, every time.Duration) (fenced bool) {
	for {
		if s.commit() {
			return true
		}
		pace := every
		if s.gen.SignOfLife().IsZero() {
			pace = min(pace, commitUntilAlive)
		}
		timer := time.NewTimer(pace)
		select {
		case <-stop:
			timer.Stop()
			return false
		case <-bound:
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}

func waitIdle(idle <-chan struct{}, bound time.Duration) bool {
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-idle:
		return true
	case <-timer.C:
		return false
	}
}

// commit stores all watermarks, moved or not. Trouble is logged and left to the next commit.
func (s *session) commit() (fenced bool) {
	offsets := map[kafka.TopicPartition]int64{}
	for _, p := range s.partitions {
		if mark, known := p.tracker.watermark(); known {
			offsets[p.TopicPartition] = mark
		}
	}
	if len(offsets) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(commitTimeout, s.c.cfg.SessionTimeout/3))
	defer cancel()
	err := s.gen.Commit(ctx, offsets)
	switch {
	case errors.Is(err, kafka.ErrFenced):
		s.c.cfg.Log.Warn().Err(err).Msg("the partitions have gone to others")
		return true
	case err != nil:
		s.c.cfg.Metrics.trouble("commit", err)
		if time.Since(s.lastAlarm) > alarmInterval/6 {
			s.lastAlarm = time.Now()
			s.c.cfg.Log.Error().Err(err).Msg("offsets are not committed; trying again")
		}
	}
	if !s.gen.SignOfLife().IsZero() {
		select {
		case <-s.alive:
		default:
			close(s.alive)
		}
	}
	return false
}

var errJoining = errors.New("joining the group: no partitions yet")

// problems says in words what does not go on.
func (s *session) problems(stuckAfter time.Duration) (problems []error) {
	last := s.gen.SignOfLife()
	if last.IsZero() {
		last = s.started
	}
	if len(s.partitions) > 0 && time.Since(last) > s.c.cfg.SessionTimeout {
		problems = append(problems, fmt.Errorf("the brokers have acknowledged no commit for %s", time.Since(last).Round(time.Second)))
	}
	for _, p := range s.partitions {
		p.mu.Lock()
		trouble, blocked := p.trouble, p.blocked
		p.mu.Unlock()
		if trouble != "" {
			problems = append(problems, fmt.Errorf("partition %s: %s", p.TopicPartition, trouble))
		}
		if blocked != "" {
			problems = append(problems, fmt.Errorf("partition %s: %s", p.TopicPartition, blocked))
			continue
		}
		if offset, since, _, waiting := p.tracker.waiting(); waiting && time.Since(since) > stuckAfter {
			problems = append(problems, fmt.Errorf("partition %s has waited for offset %d for %s: %s",
				p.TopicPartition, offset, time.Since(since).Round(time.Second), s.describe(p)))
		}
	}
	return problems
}
