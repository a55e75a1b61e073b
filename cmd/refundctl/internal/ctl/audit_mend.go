package ctl

import (
	"context"
	"fmt"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// mend publishes the newest event of each key again: the stored one where Redis has
// it, else the one of the highest sequence that the topic has, byte for byte.
func (r *run) mend(ctx context.Context, s *system, stale []refund.Key) error {
	if len(stale) == 0 {
		fmt.Fprintln(r.Err, "nothing to mend: no key is stale")
		return nil
	}
	highest, err := s.highest(ctx, stale)
	if err != nil {
		return err
	}
	task, err := r.begin(ctx, s, entry{What: "audit --mend", Detail: fmt.Sprintf("%d keys", len(stale))})
	if err != nil {
		return err
	}
	mended := 0
	for _, key := range stale {
		if err = s.publishNewest(ctx, key, highest[key]); err != nil {
			break
		}
		if err = task.line(ctx, entry{Merchant: key.Merchant, RefundNo: key.RefundNo}); err != nil {
			break
		}
		mended++
	}
	fmt.Fprintf(r.Err, "mended %d of %d stale keys\n", mended, len(stale))
	if written := task.end(ctx, err, "mended %d of %d", mended, len(stale)); err == nil {
		err = written
	}
	return err
}

// highest finds the records of the highest sequences.
func (s *system) highest(ctx context.Context, stale []refund.Key) (map[refund.Key]kafka.Record, error) {
	wanted := map[string]refund.Key{}
	for _, key := range stale {
		wanted[key.String()] = key
	}
	sequence, records := map[refund.Key]int64{}, map[refund.Key]kafka.Record{}
	_, err := s.Kafka.Scan(ctx, s.Topics.Status, kafka.FromFirst(), func(r kafka.Record) error {
		key, is := wanted[string(r.Key)]
		if !is || r.Value == nil {
			return nil
		}
		status, err := events.DecodeStatus(r.Value, events.As[events.Header](r.Headers))
		if err == nil && status.Sequence >= sequence[key] {
			sequence[key], records[key] = status.Sequence, r
		}
		return nil
	})
	return records, err
}

// publishNewest publishes what Redis has, if that is as new as the topic's, and
// else the topic's own.
func (s *system) publishNewest(ctx context.Context, key refund.Key, highest kafka.Record) error {
	status, err := events.DecodeStatus(highest.Value, events.As[events.Header](highest.Headers))
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	rec, err := s.Store.Load(ctx, key)
	if err == nil && rec.Known() && rec.Last.Sequence >= status.Sequence {
		_, err = s.Recorder.Publish(ctx, rec, nil)
		return err
	}
	return s.Producer.Write(ctx, kafka.Record{Topic: s.Topics.Status, Key: highest.Key, Value: highest.Value, Headers: highest.Headers})
}
