// Command watermill does the work on watermill and watermill-kafka with the
// middlewares of its documentation: poison queue, deduplicator, circuit breaker and
// retry around a handler that calls the gateway and publishes.
//
// It is tuned by that documentation: the deduplicator has a repository in Redis
// (its own, in memory, is told not to be for several processes) and SHA-256 keys
// (its Adler-32 default collides), publishing waits for all replicas, sarama speaks
// the broker's version and reads from the oldest offset. watermill-kafka has one
// message of a partition under way at a time: more partitions are its way to more.
package main

import (
	"context"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker"

	"github.com/refundworker/refundworker/bench/internal/contender"
	"github.com/refundworker/refundworker/bench/internal/wire"
)

func main() { contender.Main(run) }

const keepKey = 9600 * time.Hour

func run(ctx context.Context, s contender.Settings) error {
	logger := watermill.NewStdLogger(false, false)
	client := redis.NewClient(&redis.Options{Addr: s.Redis})
	defer client.Close()

	reading := wkafka.DefaultSaramaSubscriberConfig()
	reading.Version = sarama.V3_6_0_0
	reading.Consumer.Offsets.Initial = sarama.OffsetOldest
	reading.Consumer.Group.Session.Timeout = time.Duration(s.Session) * time.Millisecond
	reading.Consumer.Group.Heartbeat.Interval = reading.Consumer.Group.Session.Timeout / 3
	reading.Consumer.IsolationLevel = sarama.ReadCommitted
	marshaler := wkafka.NewWithPartitioningMarshaler(func(_ string, m *message.Message) (string, error) { return m.Metadata.Get("key"), nil })
	subscriber, err := wkafka.NewSubscriber(wkafka.SubscriberConfig{
		Brokers: s.Brokers, Unmarshaler: marshaler, OverwriteSaramaConfig: reading, ConsumerGroup: s.Group,
	}, logger)
	if err != nil {
		return err
	}
	writing := wkafka.DefaultSaramaSyncPublisherConfig()
	writing.Version = sarama.V3_6_0_0
	writing.Producer.RequiredAcks = sarama.WaitForAll
	writing.Producer.Compression = sarama.CompressionLZ4
	publisher, err := wkafka.NewPublisher(wkafka.PublisherConfig{Brokers: s.Brokers, Marshaler: marshaler, OverwriteSaramaConfig: writing}, logger)
	if err != nil {
		return err
	}
	poison, err := middleware.PoisonQueue(publisher, s.Poison)
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{}, logger)
	if err != nil {
		return err
	}
	seen := middleware.Deduplicator{KeyFactory: middleware.NewMessageHasherSHA256(1 << 20), Repository: repository{client}, Timeout: time.Minute}
	router.AddMiddleware(
		poison,
		seen.Middleware,
		middleware.NewCircuitBreaker(gobreaker.Settings{Name: "gateway"}).Middleware,
		middleware.Retry{MaxRetries: 3, InitialInterval: 100 * time.Millisecond, Multiplier: 2, MaxInterval: time.Second, Logger: logger}.Middleware,
		middleware.Recoverer,
	)
	gateway := contender.NewGateway(s)
	router.AddHandler("refunds", s.Requests, subscriber, s.Status, publisher, func(m *message.Message) ([]*message.Message, error) {
		request, err := wire.ReadRequest(string(m.Payload))
		if err != nil {
			return nil, err
		}
		if err := gateway.Refund(m.Context(), request); err != nil {
			return nil, err
		}
		event := wire.Event{Request: request, Sequence: 1, Status: "SUCCEEDED", Source: "worker", At: time.Now()}
		out := message.NewMessage(watermill.NewUUID(), event.Value())
		out.Metadata.Set("key", string(event.Key()))
		for _, h := range event.Headers() {
			out.Metadata.Set(h.Name, string(h.Value))
		}
		return message.Messages{out}, nil
	})
	return router.Run(ctx)
}

// repository marks a key in Redis, and says whether it was marked before.
type repository struct{ redis *redis.Client }

func (r repository) IsDuplicate(ctx context.Context, key string) (bool, error) {
	first, err := r.redis.SetNX(ctx, "refund:"+key, 1, keepKey).Result()
	return !first, err
}
