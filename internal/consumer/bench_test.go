package consumer

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/refundworker/refundworker/internal/kafka"
)

// BenchmarkConsume is the cost of a message with work that does nothing: fetch, lane, watermark, on the embedded broker.
func BenchmarkConsume(b *testing.B) {
	fake, err := kfake.NewCluster(kfake.Ports(0), kfake.NumBrokers(1), kfake.SeedTopics(6, "requests"), kfake.SeedTopics(1, "delay.1s"))
	if err != nil {
		b.Fatal(err)
	}
	defer fake.Close()
	client, err := kafka.Open(kafka.Config{Brokers: fake.ListenAddrs()})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	producer := client.Producer()
	defer producer.Close()
	for from := 0; from < b.N; from += 1000 {
		var records []kafka.Record
		for i := from; i < min(b.N, from+1000); i++ {
			records = append(records, kafka.Record{Topic: "requests", Key: fmt.Appendf(nil, "order-%d", i%500), Value: make([]byte, 350)})
		}
		if err := producer.Write(context.Background(), records...); err != nil {
			b.Fatal(err)
		}
	}
	var n atomic.Int64
	all := make(chan struct{})
	c, err := New(client, producer, HandlerFunc(func(d Delivery) (string, Work) {
		return string(d.Key), func(context.Context) Verdict {
			if n.Add(1) == int64(b.N) {
				close(all)
			}
			return Done()
		}
	}), Config{Group: "g", Topics: Topics{Requests: "requests", DeadLetters: "dlq", DelayPrefix: "delay."}, Delays: Delays{time.Second}, Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.ResetTimer()
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	<-all
	b.StopTimer()
	stop()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
