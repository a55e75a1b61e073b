// Command naive is what a team writes first with kafka-go: a Reader with a GroupID,
// SETNX to dedupe, the call, the publish, the commit. It is tuned by kafka-go's own
// documentation: several goroutines share the Reader, offsets are flushed each
// second (CommitInterval), the Writer does not wait for its batch timeout, and
// acks are all.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"

	"github.com/refundworker/refundworker/bench/internal/contender"
	"github.com/refundworker/refundworker/bench/internal/wire"
)

func main() { contender.Main(run) }

const keepKey = 9600 * time.Hour

func run(ctx context.Context, s contender.Settings) error {
	client := redis.NewClient(&redis.Options{Addr: s.Redis})
	defer client.Close()
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: s.Brokers, GroupID: s.Group, Topic: s.Requests, StartOffset: kafka.FirstOffset,
		MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 500 * time.Millisecond, CommitInterval: time.Second,
		QueueCapacity: max(100, s.InFlight), SessionTimeout: time.Duration(s.Session) * time.Millisecond,
	})
	writer := &kafka.Writer{
		Addr: kafka.TCP(s.Brokers...), Topic: s.Status, RequiredAcks: kafka.RequireAll, BatchTimeout: 2 * time.Millisecond,
		Balancer: kafka.Murmur2Balancer{Consistent: true}, Compression: kafka.Lz4,
	}
	n := &naive{redis: client, writer: writer, gateway: contender.NewGateway(s)}
	var workers sync.WaitGroup
	for range s.InFlight {
		workers.Go(func() {
			for {
				m, err := reader.FetchMessage(ctx)
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						fmt.Fprintln(os.Stderr, err)
					}
					return
				}
				if err := n.refund(context.WithoutCancel(ctx), m); err != nil {
					fmt.Fprintln(os.Stderr, err)
					continue
				}
				if err := reader.CommitMessages(context.WithoutCancel(ctx), m); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			}
		})
	}
	workers.Wait()
	return errors.Join(reader.Close(), writer.Close())
}

type naive struct {
	redis   *redis.Client
	writer  *kafka.Writer
	gateway *contender.Gateway
}

func (n *naive) refund(ctx context.Context, m kafka.Message) error {
	request, err := wire.ReadRequest(string(m.Value))
	if err != nil {
		return err
	}
	first, err := n.redis.SetNX(ctx, "refund:"+request.Merchant+":"+request.RefundNo, 1, keepKey).Result()
	if err != nil {
		return err
	}
	if !first {
		return nil // a duplicate
	}
	if err := n.gateway.Refund(ctx, request); err != nil {
		return err
	}
	event := wire.Event{Request: request, Sequence: 1, Status: "SUCCEEDED", Source: "worker", At: time.Now()}
	out := kafka.Message{Key: event.Key(), Value: event.Value()}
	for _, h := range event.Headers() {
		out.Headers = append(out.Headers, kafka.Header{Key: h.Name, Value: h.Value})
	}
	return n.writer.WriteMessages(ctx, out)
}
