package explorer

import (
	"context"
	"fmt"
	"time"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// statusPort is a process's refund.Publisher.
type statusPort struct{ proc *process }

// Publish writes the event where the producer's time is not over. A step that fails behind it was written all the same.
func (s statusPort) Publish(ctx context.Context, rec refund.Record) error {
	w, key := s.proc.world, rec.Key().String()
	told := s.proc.enter(ctx, "publish", before, key)
	if told.fail || w.broker.away() {
		return errBrokerAway
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && told.ghost > 0 {
		// The record is on its way for long, but it is written within the producer's time, whatever its caller hears.
		told.ghost = min(told.ghost, time.Until(deadline))
		s.proc.wrote(ctx, key)
		w.ghosts(told, func() { w.write(ctx, rec) })
		<-ctx.Done()
		return ctx.Err()
	}
	elections := len(w.broker.cuts)
	at := w.write(ctx, rec)
	s.proc.wrote(ctx, key)
	if s.proc.pass(ctx, "publish", after, key) {
		return errBrokerAway
	}
	if !w.defect.leaderAlone && !w.broker.replicated(at, elections) {
		return errBrokerAway
	}
	return nil
}

// write puts the record's newest event onto the status topic's leader, and answers its offset.
func (w *world) write(ctx context.Context, rec refund.Record) int64 {
	key, value, headers := events.EncodeStatus(rec)
	if rec.Last.Sequence > w.newest[string(key)].Sequence {
		w.newest[string(key)] = rec.Last
	}
	at := w.broker.append(topicPartition{Topic: statusTopic}, kafka.Record{Key: key, Value: value, Headers: events.As[kafka.Header](headers)})
	w.notef(ctx, "status %d: %s %s%s", at, rec.Request.RefundNo, rec.Last.Status, sequenceWords(rec))
	return at
}

// followUpPort leaves follow-ups for bridge and keeper.
type followUpPort struct{ proc *process }

func (f followUpPort) FollowUp(ctx context.Context, rec refund.Record, wait time.Duration) error {
	key := rec.Key().String()
	if f.proc.pass(ctx, "follow-up", before, key) || f.proc.world.broker.away() || ctx.Err() != nil {
		return errBrokerAway
	}
	r := followUpRecord(rec, wait)
	f.proc.world.broker.append(topicPartition{Topic: r.Topic}, r)
	if f.proc.pass(ctx, "follow-up", after, key) {
		return errBrokerAway
	}
	return nil
}

func sequenceWords(r refund.Record) string {
	return fmt.Sprintf(" seq %d attempt %d/%d version %d token %q", r.Last.Sequence, r.Last.Attempt, r.Attempt, r.Version, r.Token)
}
