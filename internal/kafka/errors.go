package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// ErrFenced means that this generation is over: the broker has given its partitions, or will give them, to another.
// Nothing was committed and nothing will be.
var ErrFenced = errors.New("kafka: the group has moved on without this member")

// ErrNoTopic means that the cluster has no such topic (or hides it: without the Describe right a topic looks missing).
var ErrNoTopic = errors.New("topic not found: create it, or check the topic name and the Describe right of this user")

// ErrClosed is the answer of a Producer after Close.
var ErrClosed = errors.New("kafka: closed")

// TooLargeError means that the broker will not take the record however often it is tried: it is larger than the topic's
// max.message.bytes (or the broker's). Nothing was written.
type TooLargeError struct {
	Topic string
	Bytes int // of key, value and headers, before compression
}

// Error says what to change.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("kafka: a record of %d bytes is larger than topic %s takes: raise its max.message.bytes", e.Bytes, e.Topic)
}

// OutOfRangeError means that the partition has no record at Offset any more, or not yet, confirmed at the partition's
// leader: retention deleted what was not read, or the topic was truncated or created anew.
type OutOfRangeError struct {
	TopicPartition
	Offset, First, End int64
}

// Error says what was lost.
func (e *OutOfRangeError) Error() string {
	if e.Offset < e.First {
		return fmt.Sprintf("kafka: %s: offset %d is gone, the log starts at %d: %d records were deleted before they were read",
			e.TopicPartition, e.Offset, e.First, e.First-e.Offset)
	}
	return fmt.Sprintf("kafka: %s: offset %d is past the end %d: the topic was truncated or created anew", e.TopicPartition, e.Offset, e.End)
}

// CorruptError means that bytes of a partition cannot be read: their checksum or form is wrong.
type CorruptError struct {
	TopicPartition
	Offset int64 // of the batch
	Reason string
}

// Error names the place.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("kafka: %s: the batch at offset %d cannot be read: %s", e.TopicPartition, e.Offset, e.Reason)
}

// retriable tells whether trying again may help. What nobody has named is tried again: each caller has a deadline.
func retriable(err error) bool {
	var code kafkago.Error
	if !errors.As(err, &code) {
		return !errors.Is(err, kafkago.MessageSizeTooLarge)
	}
	switch code {
	case kafkago.MessageSizeTooLarge, kafkago.RecordListTooLarge, kafkago.TopicAuthorizationFailed,
		kafkago.GroupAuthorizationFailed, kafkago.ClusterAuthorizationFailed, kafkago.InvalidTopic,
		kafkago.UnsupportedSASLMechanism, kafkago.SASLAuthenticationFailed, kafkago.InvalidRequiredAcks,
		kafkago.UnsupportedVersion, kafkago.UnsupportedForMessageFormat, kafkago.InvalidTimestamp,
		kafkago.PolicyViolation, kafkago.InvalidRecord, kafkago.UnsupportedCompressionType:
		return false
	}
	return true
}

// noTopic tells whether err says that the topic or the partition does not exist.
func noTopic(err error) bool {
	return errors.Is(err, kafkago.UnknownTopicOrPartition) || errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition)
}

// explain turns kafka-go's error into one that tells a person what to do.
func explain(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case noTopic(err):
		return fmt.Errorf("%w (%w)", ErrNoTopic, err)
	case errors.Is(err, kafkago.SASLAuthenticationFailed):
		return fmt.Errorf("the brokers refuse this user: check sasl.username and sasl.password: %w", err)
	case errors.Is(err, kafkago.UnsupportedSASLMechanism):
		return fmt.Errorf("the brokers do not offer this sasl.mechanism: %w", err)
	case errors.Is(err, kafkago.TopicAuthorizationFailed):
		return fmt.Errorf("this user lacks a right on the topic: %w", err)
	case errors.Is(err, kafkago.GroupAuthorizationFailed):
		return fmt.Errorf("this user lacks the Read right on the group: %w", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("the broker closed the connection (restarting, or it expects other tls and sasl settings): %w", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens there: %w", err)
	}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("no answer in time: %w", err)
	}
	return err
}
