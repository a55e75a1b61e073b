package app

import (
	"context"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// statusTopic is the refund.Publisher.
type statusTopic struct {
	producer *kafka.Producer
	topic    string
}

// Publish returns once every in-sync replica has the record's newest event.
func (s *statusTopic) Publish(ctx context.Context, rec refund.Record) error {
	key, value, headers := events.EncodeStatusAs[kafka.Header](rec)
	return s.producer.Write(ctx, kafka.Record{Topic: s.topic, Key: key, Value: value, Headers: headers})
}

// followUps leaves the queries that bridge and rebuild owe, in the delay topics.
type followUps struct{ delayer *consumer.Delayer }

// FollowUp returns once the message is durable. Of several with one number the
// first that is read goes on.
func (f *followUps) FollowUp(ctx context.Context, rec refund.Record, after time.Duration) error {
	value, headers := events.EncodeRequest(rec.Request)
	return f.delayer.Write(ctx, consumer.Delayed{
		Key: []byte(rec.Key().String()), Value: value, Headers: events.As[kafka.Header](headers),
		After: after, Cause: consumer.CauseFollowUp, FollowUp: rec.FollowUp + 1,
	})
}
