package refund

import (
	"context"
	"errors"
	"time"
)

// Alive answers when the broker last confirmed that this process may speak for
// the delivery that it handles (our monotonic clock), and the zero time once it
// may not. The bridge, which owns no partition, uses none.
type Alive func() time.Time

// ErrLapsed: the delivery is not this process's any more. What was learned is
// recorded; the next owner publishes it.
var ErrLapsed = errors.New("the delivery belongs to another owner now")

// ErrForgotten: the store has lost the refund, which was never announced, so there
// is nothing to publish. The work begins anew.
var ErrForgotten = errors.New("the store has lost this refund before its first event was published")

// Noted is what became of a piece of news.
type Noted struct {
	Record Record // as it is now
	Ask    bool   // a query is owed: leave a follow-up before acknowledging
	Resend bool   // proved: the gateway has no such refund
}

// Recorder takes news to the store and to the status topic: decide, record,
// publish, published. Worker and bridge share it.
type Recorder struct {
	Records   Records
	Publisher Publisher
	// Fresh is half a session timeout. An event is published only within it of
	// both the script that answered it and the last sign of life, and a publish
	// ends within it, so an event never appears long after it was true.
	Fresh time.Duration
	// Observe is told each new event once it is recorded. It may be nil.
	Observe func(Record)
	// Trouble is told each failed try of a step that is tried again: it is logged
	// and counted there, nowhere else. It may be nil.
	Trouble func(step string, err error)
}

// Note applies news to the record (as loaded or claimed) and returns once the
// record's newest event is durable on the status topic. News that change nothing
// publish the stored event again, same id, where a callback repeats itself or the
// event is not known to be there. A store or a topic that cannot be reached is
// tried again until ctx ends. An error (ctx's, ErrLapsed, ErrForgotten) says that
// nothing may be acknowledged.
//
// A crash between record and publish is safe: whoever is redelivered, calls back
// again or follows up finds the stored event and publishes it.
func (r *Recorder) Note(ctx context.Context, rec Record, news News, alive Alive) (Noted, error) {
	noted := Noted{Record: rec}
	err := r.note(ctx, &noted, &news, alive)
	return noted, err
}

// note is Note, of the record that is in noted.
func (r *Recorder) note(ctx context.Context, noted *Noted, news *News, alive Alive) error {
	if err := r.record(ctx, noted, news); err != nil || noted.Resend {
		return err
	}
	if !noted.Record.Known() {
		return ErrForgotten
	}
	there := max(noted.Record.Published, news.Announced)
	switch newest := noted.Record.Last.Sequence; {
	case news.Source == FromCallback, news.Repeat, there < newest,
		news.Announced > 0 && news.Announced < newest: // the intent may have landed behind what overtook it
		return r.publish(ctx, &noted.Record, alive)
	case noted.Record.Published < newest: // announced by this very delivery, and nothing has come since
		return r.published(ctx, &noted.Record, alive)
	}
	return nil
}

// record decides and compares-and-sets until nobody came between.
func (r *Recorder) record(ctx context.Context, noted *Noted, news *News) error {
	for {
		d := decide(&noted.Record, news, time.Now())
		endLease := ""
		if news.Token != "" && noted.Record.Token == news.Token && !d.Resend && !news.KeepLease {
			endLease = news.Token // the call, or the query, has returned
		}
		if !d.Write && endLease == "" {
			noted.Ask, noted.Resend = d.Ask, d.Resend
			return nil
		}
		var stored Record
		won, err := r.store(ctx, &d.Record, endLease, &stored)
		if err != nil {
			return err
		}
		if won {
			if d.Event && r.Observe != nil {
				r.Observe(stored)
			}
			noted.Record, noted.Ask, noted.Resend = stored, d.Ask, d.Resend
			return nil
		}
		onward(&noted.Record, &stored)
	}
}

// store is one compare-and-set, tried until it is answered. The answer of a call is
// recorded also when the drain's bound has passed: the last tries begin then. The
// one that was cut off may have been taken; the same again is answered as it was.
func (r *Recorder) store(ctx context.Context, next *Record, endLease string, stored *Record) (won bool, err error) {
	try := func(ctx context.Context) error {
		return r.persist(ctx, "record", func() (err error) {
			*stored, won, err = r.Records.Record(ctx, *next, endLease)
			return err
		})
	}
	if ctx.Err() == nil {
		if err = try(ctx); err == nil || ctx.Err() == nil {
			return won, err
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	err = try(last)
	return won, err
}

// onward makes of the record the one to decide on after somebody came between: what
// is stored now. A refund that the store has lost before it was ever announced
// begins anew, as what its request or its callback made of it.
func onward(rec, stored *Record) {
	if !stored.Known() {
		stored.Request, stored.Provider, stored.Order, stored.FirstSeen = rec.Request, rec.Provider, rec.Order, rec.FirstSeen
		stored.Holding = HoldsNothing
	}
	*rec = *stored
}

// Publish writes the record's newest event to the status topic, and again for as
// long as the store has moved on meanwhile: the last record of a key there is its
// highest sequence.
func (r *Recorder) Publish(ctx context.Context, rec Record, alive Alive) (Record, error) {
	err := r.publish(ctx, &rec, alive)
	return rec, err
}

// publish leaves in rec what is stored after it.
func (r *Recorder) publish(ctx context.Context, rec *Record, alive Alive) error {
	if err := r.announce(ctx, rec, alive); err != nil {
		return err
	}
	return r.published(ctx, rec, alive)
}

// published tells the store what is on the topic, and publishes what it has moved
// on to.
func (r *Recorder) published(ctx context.Context, rec *Record, alive Alive) error {
	for {
		sent := rec.Last.Sequence
		err := r.persist(ctx, "published", func() error {
			now, err := r.Records.Published(ctx, rec.Key(), sent)
			if err == nil {
				*rec = now
			}
			return err
		})
		if err != nil || rec.Last.Sequence <= sent {
			return err
		}
		if err := r.announce(ctx, rec, alive); err != nil {
			return err
		}
	}
}

// announce publishes the newest event once, and leaves the record as it was
// published: read again where it had grown too old.
func (r *Recorder) announce(ctx context.Context, rec *Record, alive Alive) error {
	return r.persist(ctx, "publish", func() error {
		if err := r.fresh(ctx, rec, alive); err != nil {
			return err
		}
		bounded, cancel := context.WithTimeout(ctx, r.Fresh)
		defer cancel()
		return r.Publisher.Publish(bounded, *rec)
	})
}

// fresh waits for a sign of life that is young enough, and asks the store again
// where its answer is not.
func (r *Recorder) fresh(ctx context.Context, rec *Record, alive Alive) error {
	for {
		if alive != nil {
			sign := alive()
			if sign.IsZero() {
				return ErrLapsed
			}
			if time.Since(sign) >= r.Fresh {
				if err := pause(ctx, firstPause); err != nil {
					return err
				}
				continue
			}
		}
		if time.Since(rec.Seen) < r.Fresh {
			return nil
		}
		again, err := r.Records.Load(ctx, rec.Key())
		if err != nil {
			return err
		}
		if !again.Known() {
			return ErrForgotten
		}
		*rec = again
	}
}
