package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// From says where in a topic to begin.
type From struct {
	at      time.Time
	offsets map[int]int64
	other   int64 // First or End, for partitions without an offset
}

// FromFirst begins at the oldest record of each partition.
func FromFirst() From { return From{other: First} }

// FromEnd begins behind the last record of each partition: only what is written from now on.
func FromEnd() From { return From{other: End} }

// FromTime begins in each partition at the first record whose timestamp is at or after t.
func FromTime(t time.Time) From { return From{at: t, other: First} }

// FromOffsets begins at these offsets, partitions that are not named at their oldest record.
func FromOffsets(offsets map[int]int64) From { return From{offsets: maps.Clone(offsets), other: First} }

// Scan reads the committed records of all partitions of a topic from the given place up to what was there (the last
// stable offset) when it was called, and answers where each partition's reading ended: FromOffsets of that goes on
// without a gap. each is called by one goroutine at a time, in order within a partition, for any order between
// partitions; its error ends the scan. Trouble with the brokers is waited out until ctx ends; what cannot get better
// (ErrNoTopic, OutOfRangeError of a given offset, CorruptError) is returned.
func (c *Client) Scan(ctx context.Context, topic string, from From, each func(Record) error) (map[int]int64, error) {
	leaders, err := c.leadersWithin(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("kafka: scanning %s: %w", topic, explain(err))
	}
	ends := make(map[int]int64, len(leaders))
	for i := range leaders {
		if ends[i], err = c.offsetWithin(ctx, TopicPartition{topic, i}, End); err != nil {
			return nil, fmt.Errorf("kafka: scanning %s/%d: %w", topic, i, explain(err))
		}
	}
	return c.read(ctx, topic, from, ends, each)
}

// Tail reads like Scan and goes on until ctx ends, then returns nil. New partitions of the topic are found when it is
// called anew.
func (c *Client) Tail(ctx context.Context, topic string, from From, each func(Record) error) error {
	leaders, err := c.leadersWithin(ctx, topic)
	if err == nil {
		ends := make(map[int]int64, len(leaders))
		for i := range leaders {
			ends[i] = never
		}
		_, err = c.read(ctx, topic, from, ends, each)
	}
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kafka: tailing %s: %w", topic, explain(err))
	}
	return nil
}

const never = int64(1<<63 - 1)

// read runs one fetch loop a partition up to ends.
func (c *Client) read(ctx context.Context, topic string, from From, ends map[int]int64, each func(Record) error) (map[int]int64, error) {
	var mu sync.Mutex // around each, stopped and reached
	stopped := false  // each has returned an error: it is not called again
	reached := make(map[int]int64, len(ends))
	all, ctx := errgroup.WithContext(ctx)
	for partition, end := range ends {
		tp := TopicPartition{topic, partition}
		all.Go(func() error {
			begin, err := c.begin(ctx, tp, from)
			if err != nil {
				return err
			}
			f := c.Fetcher(tp, begin, FetchOptions{})
			for f.Offset() < end {
				records, err := f.Fetch(ctx)
				if err = c.bearable(ctx, f, from, err); err != nil {
					return err
				}
				mu.Lock()
				for _, r := range records {
					if stopped {
						break
					}
					if r.Offset >= end {
						break // of the same batch, but later than this scan
					}
					if err := each(r); err != nil {
						stopped = true
						mu.Unlock()
						return err
					}
				}
				mu.Unlock()
			}
			mu.Lock()
			reached[partition] = max(begin, min(end, f.Offset()))
			mu.Unlock()
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	return reached, nil
}

// begin is the offset to begin at. Never End or First: a scan's loop compares.
func (c *Client) begin(ctx context.Context, tp TopicPartition, from From) (int64, error) {
	if offset, given := from.offsets[tp.Partition]; given && offset >= 0 {
		return offset, nil
	}
	if !from.at.IsZero() {
		return c.offsetWithin(ctx, tp, from.at.UnixMilli())
	}
	return c.offsetWithin(ctx, tp, from.other)
}

// bearable decides on an error of a scan's Fetch: nil means go on.
func (c *Client) bearable(ctx context.Context, f *Fetcher, from From, err error) error {
	var gone *OutOfRangeError
	var corrupt *CorruptError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil, errors.As(err, &corrupt), noTopic(err), !retriable(err):
		return err
	case errors.As(err, &gone):
		if _, given := from.offsets[f.tp.Partition]; given || gone.Offset > gone.End {
			return err
		}
		f.SeekTo(gone.First) // retention went past a scan that asked for all there is: it is all there is
		return nil
	}
	return nil
}
