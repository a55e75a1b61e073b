package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

const (
	fetchMost    = 32 << 10  // bytes of one fetch, packed: some two hundred requests, no further ahead than is worked on
	fetchAll     = 512 << 10 // of all partitions together, as each holds one: of requests until there is room, of a delay topic until it is due
	fetchLeast   = 4 << 10   // of one among many partitions
	troublePause = time.Second
	rangePause   = 30 * time.Second
	roomLook     = 50 * time.Millisecond
	longestSleep = time.Minute // a step of the wall clock is noticed within this time
)

// fetchOf is how much one of so many partitions reads at a time.
func fetchOf(partitions int) int { return min(max(fetchAll/partitions, fetchLeast), fetchMost) }

// source is what a partition needs of kafka.Fetcher.
type source interface {
	Resolve(ctx context.Context) error
	Fetch(ctx context.Context) ([]kafka.Record, error)
	Offset() int64
	End() int64
	SeekTo(offset int64)
}

// partition is one assigned partition during one generation: its feed reads, waits until messages are due and there is
// room, and hands them to the lanes; its tracker knows what may be committed.
type partition struct {
	kafka.TopicPartition
	delay   time.Duration // of its topic; 0 for the requests
	session *session
	source  source
	tracker *tracker
	end     atomic.Int64 // the last stable offset as of the last fetch; -1 unknown

	noneAway time.Time // the feed's: when it last found that none of its messages could be turned away

	mu        sync.Mutex
	trouble   string // why it cannot be read, now
	blocked   string // what stopped it, for as long as this generation lasts
	lastAlarm time.Time
	leftOut   int       // alarms since then
	nextDue   time.Time // of the message that the feed holds
}

// feed runs until ctx ends.
func (p *partition) feed(ctx context.Context) {
	for {
		err := p.source.Resolve(ctx)
		if err == nil {
			break
		}
		if !p.readFailed(ctx, err) {
			return
		}
	}
	p.tracker.read(p.source.Offset())
	select {
	case <-p.session.alive: // nothing is handed out before the broker has said that the partition is ours
	case <-ctx.Done():
		return
	}
	for {
		records, err := p.source.Fetch(ctx)
		if err != nil {
			if !p.readFailed(ctx, err) {
				return
			}
			continue
		}
		p.end.Store(p.source.End())
		p.setTrouble("")
		for i, r := range records {
			if !p.take(ctx, r) {
				return
			}
			records[i] = kafka.Record{} // else it stays in memory until the last of them has found room, done or not
		}
		p.tracker.read(p.source.Offset())
	}
}

// take waits until the record is due and fits, and hands it over. False when ctx ended first.
func (p *partition) take(ctx context.Context, r kafka.Record) bool {
	// Nobody wrote it later than now: a writer's clock that is ahead must not hold up those behind it.
	due := earlier(r.Time, time.Now()).Add(p.delay)
	if p.delay > 0 {
		p.setNextDue(due)
		defer p.setNextDue(time.Time{})
		if !waitUntil(ctx, due) {
			return false
		}
	}
	if !p.awaitRoom(ctx) {
		return false
	}
	p.deliver(r, due)
	return true
}

// awaitRoom waits until one more delivery fits. Where a share's limit is what keeps it from fitting, some of that share's
// are asked to go away.
func (p *partition) awaitRoom(ctx context.Context) bool {
	for room := p.tracker.room(); room != nil; room = p.tracker.room() {
		if now := time.Now(); now.Sub(p.noneAway) >= roomLook &&
			!p.session.c.lanes.turnAway(func(t *task) bool { return t.of.part == p }) {
			p.noneAway = now // all shares were looked at: not again for each message
		}
		look := time.NewTimer(roomLook)
		select {
		case <-room:
		case <-look.C:
		case <-ctx.Done():
		}
		look.Stop()
		if ctx.Err() != nil {
			return false
		}
	}
	return ctx.Err() == nil
}

// deliver queues the record in its lane.
func (p *partition) deliver(r kafka.Record, due time.Time) {
	d := &delivering{session: p.session, part: p, place: p.tracker.add(r.Offset, recordSize(r), due)}
	d.Delivery = Delivery{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value,
		Headers: r.Headers, Time: r.Time, FirstSeen: time.Now(), Alive: p.session.gen.SignOfLife}
	d.Origin = d.Place()
	d.Crowded = func() time.Duration { return d.crowded }
	var head delayHeaders
	if p.delay > 0 {
		head = readDelayHeaders(r.Headers)
		if head.version > knownVersion {
			// Its place is never done, so it stays for a newer worker, and this partition's watermark stays before it.
			p.block(fmt.Sprintf("offset %d has %s %d, this worker knows %d: it is left for a newer worker, and nothing is committed past it",
				r.Offset, headerVersion, head.version, knownVersion))
			return
		}
		d.Cause, d.FollowUp = CauseRetry, head.followUp // retry: somebody put a message here by hand, without our headers
		if head.version > 0 {
			d.Cause, d.Origin, d.FirstSeen, d.Moved = head.cause, head.origin, head.firstSeen, head.place
		}
	}
	var lane Lane
	if head.err != nil {
		d.work = func(context.Context) Verdict { return Dead(ReasonUndecodable, head.err) }
	} else {
		lane, d.work = p.route(&d.Delivery)
	}
	p.session.c.lanes.add(lane, &task{owner: p.session, early: p.delay > 0, step: d.step, of: d})
}

// route asks the Handler. If that panics, it is asked again where panics of works are counted.
func (p *partition) route(d *Delivery) (lane Lane, work Work) {
	handler := p.session.c.handler
	defer func() {
		if recover() != nil {
			lane, work = Lane{}, func(ctx context.Context) Verdict {
				_, again := handler.Route(d)
				return again(ctx)
			}
		}
	}()
	return handler.Route(d)
}

// readFailed notes why the partition cannot be read, and waits a little. False when ctx ended.
func (p *partition) readFailed(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	p.session.c.cfg.Metrics.trouble("fetch", err)
	var gone *kafka.OutOfRangeError
	if !errors.As(err, &gone) {
		p.setTrouble(err.Error())
		p.alarm("cannot be read", err)
		return waitFor(ctx, troublePause)
	}
	if p.session.c.cfg.OnOutOfRange != OutOfRangeEarliest {
		p.setTrouble(gone.Error() + "; decide what to do, then set the group's offset or on_out_of_range: earliest")
		p.alarm("stopped", err)
		return waitFor(ctx, rangePause)
	}
	p.alarm("goes on at the oldest record there is", err)
	for {
		freed := p.tracker.changes()
		if p.tracker.restart(gone.First) {
			p.source.SeekTo(gone.First)
			return true
		}
		select { // what was read before is under way
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

// alarm logs, at most once a minute and partition, and how many times it did not.
func (p *partition) alarm(what string, err error) {
	p.mu.Lock()
	quiet, leftOut := !p.lastAlarm.IsZero() && time.Since(p.lastAlarm) < alarmInterval, p.leftOut
	if quiet {
		p.leftOut++
	} else {
		p.lastAlarm, p.leftOut = time.Now(), 0
	}
	p.mu.Unlock()
	if !quiet {
		p.session.c.cfg.Log.Error().Str("topic", p.Topic).Int("partition", p.Partition).Int("left_out", leftOut).Err(err).Msg("partition: " + what)
	}
}

func (p *partition) setTrouble(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = why
}

func (p *partition) block(why string) {
	p.mu.Lock()
	p.blocked = why
	p.mu.Unlock()
	p.alarm(why, nil)
}

func (p *partition) setNextDue(due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nextDue = due
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// waitUntil wakes exactly at the instant, or, when the wall clock is set meanwhile, within a minute of it.
func waitUntil(ctx context.Context, at time.Time) bool {
	for wait := time.Until(at); wait > 0; wait = time.Until(at) {
		if !waitFor(ctx, min(wait, longestSleep)) {
			return false
		}
	}
	return ctx.Err() == nil
}

func waitFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// recordSize is about what a record keeps in memory.
func recordSize(r kafka.Record) int {
	n := 256 + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += 40 + len(h.Key) + len(h.Value)
	}
	return n
}
