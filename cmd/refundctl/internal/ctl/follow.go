package ctl

import (
	"context"
	"errors"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// follower waits for the endings of refunds whose messages are published after it
// was made.
type follower struct {
	system            *system
	statuses, letters kafka.From
}

// follow notes where status topic and dead letters end now.
func (s *system) follow(ctx context.Context) (*follower, error) {
	statuses, err := s.ends(ctx, s.Topics.Status)
	if err != nil {
		return nil, err
	}
	letters, err := s.ends(ctx, s.Topics.DeadLetters)
	return &follower{system: s, statuses: statuses, letters: letters}, err
}

func (s *system) ends(ctx context.Context, topic string) (kafka.From, error) {
	spans, err := s.Kafka.Spans(ctx, topic)
	offsets := map[int]int64{}
	for _, span := range spans {
		offsets[span.Partition] = span.End
	}
	return kafka.FromOffsets(offsets), err
}

// until shows what happens to the wanted refunds until each has ended, or ctx has,
// and answers those that have not. each is told every event of a wanted refund.
func (f *follower) until(ctx context.Context, wanted []refund.Key, each func(happening) error) (open map[refund.Key]bool, err error) {
	open = map[refund.Key]bool{}
	for _, key := range wanted {
		open[key] = true
	}
	if len(open) == 0 {
		return open, nil
	}
	err = f.system.happenings(ctx, f.statuses, f.letters, func(h happening) error {
		if !open[h.key()] {
			return nil
		}
		if h.ended() {
			delete(open, h.key())
		}
		if err := each(h); err != nil {
			return err
		}
		if len(open) == 0 {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return open, err
}
