package statuslog

import (
	"context"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// Reader is what is needed of kafka.Client.
type Reader interface {
	Scan(ctx context.Context, topic string, from kafka.From, each func(kafka.Record) error) (map[int]int64, error)
	Tail(ctx context.Context, topic string, from kafka.From, each func(kafka.Record) error) error
	Spans(ctx context.Context, topic string) ([]kafka.Span, error)
}

// Writer is what is needed of kafka.Producer: nil means that every in-sync replica has all records.
type Writer interface {
	Write(ctx context.Context, records ...kafka.Record) error
}

// Log is the status topic.
type Log struct {
	Reader Reader
	Topic  string
}

// Entry is one record of the status topic.
type Entry struct {
	kafka.Record
	Status events.Status
	Err    error // the record is no status event: Status is empty
}

// Restore builds the refund's record that the event is of: see events.RestoreRecord.
func (e Entry) Restore() (refund.Record, error) { return restore(e.Record) }

// Scan shows what was there when it was called, in order within a partition, which is in order of a refund. An error of
// each ends it.
func (l *Log) Scan(ctx context.Context, from kafka.From, each func(Entry) error) error {
	_, err := l.Reader.Scan(ctx, l.Topic, from, func(r kafka.Record) error { return each(entry(r)) })
	return err
}

// Watch shows the same and goes on with what is written from then on, until ctx ends, then returns nil.
func (l *Log) Watch(ctx context.Context, from kafka.From, each func(Entry) error) error {
	return l.Reader.Tail(ctx, l.Topic, from, func(r kafka.Record) error { return each(entry(r)) })
}

func entry(r kafka.Record) Entry {
	status, err := events.DecodeStatus(r.Value, events.As[events.Header](r.Headers))
	return Entry{Record: r, Status: status, Err: err}
}
