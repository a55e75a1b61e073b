package consumer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

const (
	maxPanics     = 3
	panicPause    = 100 * time.Millisecond
	writeTimeout  = 10 * time.Second // for a delay message or a dead letter, each try
	writePause    = 500 * time.Millisecond
	longestPause  = 30 * time.Second
	abandonPause  = time.Second // between looks whether the generation lives on
	alarmInterval = time.Minute // between two log lines about the same trouble
)

// delivering is one delivery on its way from the lane to the watermark: tries of the work, then tries of writing what its
// verdict asks for, until the place is done.
type delivering struct {
	Delivery
	session *session
	part    *partition
	place   *place
	work    Work

	crowded   time.Duration // of the try under way: see Delivery.Crowded
	sentAway  bool          // done by being parked
	panics    int
	verdict   *Verdict  // decided, but not yet carried out
	failures  int       // of carrying it out
	abandoned time.Time // when; zero when it is not
	waits     atomic.Pointer[string]
}

// step is one try. It holds a running place only for as long as it takes.
func (d *delivering) step(crowded time.Duration) (finished bool, rest time.Duration) {
	d.crowded = crowded
	if !d.abandoned.IsZero() && !d.session.gen.SignOfLife().After(d.abandoned) {
		return false, abandonPause
	}
	d.abandoned = time.Time{}
	if d.verdict == nil {
		v, panicked := d.try(d.work)
		if panicked != nil {
			if d.panics++; d.panics < maxPanics {
				d.setWaits(fmt.Sprintf("the next try after panic %d", d.panics))
				return false, panicPause << d.panics
			}
			v = d.poisoned(panicked)
		}
		d.verdict = &v
	}
	return d.carryOut(*d.verdict)
}

// try runs work and turns a panic into an error, so that it hurts one message only.
func (d *delivering) try(work Work) (v Verdict, panicked error) {
	defer func() {
		if p := recover(); p != nil {
			panicked = fmt.Errorf("panic: %v", p)
			d.session.c.cfg.Metrics.delivered(d.Topic, "panic")
			d.session.c.cfg.Log.Error().Str("topic", d.Topic).Int("partition", d.Partition).Int64("offset", d.Offset).
				Int("tries", d.panics+1).Bytes("stack", debug.Stack()).Err(panicked).Msg("a message made the handler panic")
		}
	}()
	d.waits.Store(&itsWork)
	return work(d.session.works), nil
}

// poisoned decides after the last panic.
func (d *delivering) poisoned(cause error) Verdict {
	verdict := Dead(ReasonInternal, fmt.Errorf("%d tries, the last: %w", maxPanics, cause))
	if decide := d.session.c.cfg.Panicked; decide != nil {
		v, panicked := d.try(func(ctx context.Context) Verdict { return decide(ctx, d.Delivery, cause) })
		if panicked == nil {
			return v
		}
	}
	return verdict
}

// carryOut does what the verdict asks for. Where that cannot be done now, it is tried again after a rest, without the
// work, and nothing is committed past it.
func (d *delivering) carryOut(v Verdict) (finished bool, rest time.Duration) {
	var err error
	switch v.kind {
	case kindDone:
	case kindLater:
		err = d.writeLater(v)
	case kindDead:
		err = d.writeDead(v)
	case kindAgain, kindSoon:
		d.count(v)
		d.verdict = nil
		d.setWaits(fmt.Sprintf("its next try: %s", v.why))
		return false, max(v.after, time.Millisecond)
	default:
		d.count(v)
		d.verdict, d.abandoned = nil, time.Now()
		d.setWaits("a sign of life of the group: the work could not be decided")
		return false, abandonPause
	}
	if err != nil {
		return false, d.writeFailed(v, err)
	}
	d.count(v)
	d.sentAway = v.kind == kindLater && v.cause == CauseParked
	d.part.tracker.done(d.place)
	return true, 0
}

func (d *delivering) writeLater(v Verdict) error {
	ctx, cancel := context.WithTimeout(d.session.works, writeTimeout)
	defer cancel()
	c := d.session.c
	head := delayHeaders{origin: d.Origin, firstSeen: d.FirstSeen}
	if v.followUp > 0 && v.followUp == d.FollowUp && v.cause == d.Cause {
		head.place = d.Place() // the same follow-up, elsewhere
	}
	fit, err := c.delayer.write(ctx, Delayed{Key: d.Key, Value: d.Value, Headers: d.Headers, After: v.after, Cause: v.cause, FollowUp: v.followUp}, head)
	if err == nil && c.cfg.Metrics.Delayed != nil {
		c.cfg.Metrics.Delayed(v.cause, fit)
	}
	return err
}

func (d *delivering) writeDead(v Verdict) error {
	ctx, cancel := context.WithTimeout(d.session.works, writeTimeout)
	defer cancel()
	c := d.session.c
	if err := c.writer.Write(ctx, deadLetter(c.cfg.Topics.DeadLetters, d.Delivery, v.reason, v.err, time.Now())); err != nil {
		return err
	}
	if c.cfg.Metrics.DeadLetter != nil {
		c.cfg.Metrics.DeadLetter(v.reason)
	}
	c.cfg.Log.Warn().Str("topic", d.Topic).Int("partition", d.Partition).Int64("offset", d.Offset).
		Str("reason", string(v.reason)).AnErr("cause", v.err).Msg("dead letter")
	return nil
}

// writeFailed alarms and answers how long to wait. A record that is too large will fail until somebody changes the topic.
func (d *delivering) writeFailed(v Verdict, err error) time.Duration {
	pause := min(writePause<<min(d.failures, 10), longestPause)
	var large *kafka.TooLargeError
	if errors.As(err, &large) {
		pause = longestPause
	}
	d.failures++
	d.setWaits(fmt.Sprintf("its verdict %q to be written: %v", v, err))
	if d.session.works.Err() == nil {
		d.session.c.cfg.Metrics.trouble("write", err)
		d.part.alarm(fmt.Sprintf("offset %d cannot be written as %s, nothing is committed past it: %v", d.Offset, v, err), err)
	}
	return pause
}

func (d *delivering) count(v Verdict) { d.session.c.cfg.Metrics.delivered(d.Topic, kindNames[v.kind]) }

// itsWork is what each delivery waits for while its work runs: one text for all.
var itsWork = "its work"

func (d *delivering) setWaits(why string) { d.waits.Store(&why) }

func (m *Metrics) trouble(step string, err error) {
	if m.Trouble != nil {
		m.Trouble(step, err)
	}
}

func (m *Metrics) delivered(topic, verdict string) {
	if m.Delivered != nil {
		m.Delivered(topic, verdict)
	}
}
