// Command floor is the least that a correct system must do for each refund, and no
// logic: fetch, one Lua call, the intent with acks=all, one signed HTTP call, one
// Lua call, the outcome with acks=all, and the watermark. It is tuned by hand: what
// is not needed by these steps is not there, what can be batched is. It knows no
// retry, no breaker, no rate, no lanes, no rebuild: do not use it for money.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/refundworker/refundworker/bench/internal/contender"
	"github.com/refundworker/refundworker/bench/internal/wire"
)

func main() { contender.Main(run) }

// claim dedupes by the record and reserves the amount at the order.
var claim = rueidis.NewLuaScript(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local held = tonumber(redis.call('GET', KEYS[2]) or '0') + tonumber(ARGV[1])
if held > tonumber(ARGV[2]) then return -1 end
redis.call('SET', KEYS[2], held)
redis.call('SET', KEYS[1], ARGV[3])
return 1`)

// record takes the outcome; the reservation becomes what was paid.
var record = rueidis.NewLuaScript(`
if not redis.call('GET', KEYS[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

const retention = "34560000000"

type floor struct {
	settings contender.Settings
	kafka    *kgo.Client
	redis    rueidis.Client
	gateway  *contender.Gateway
	marks    *watermarks
	slots    chan struct{}
	work     sync.WaitGroup
}

func run(ctx context.Context, s contender.Settings) error {
	redis, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Redis}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		return err
	}
	defer redis.Close()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(s.Brokers...), kgo.ConsumerGroup(s.Group), kgo.ConsumeTopics(s.Requests), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(time.Duration(s.Session)*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxPartitionBytes(256<<10), kgo.FetchMaxWait(500*time.Millisecond),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.DefaultProduceTopic(s.Status),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	f := &floor{settings: s, kafka: client, redis: redis, gateway: contender.NewGateway(s), marks: newWatermarks(s.Requests),
		slots: make(chan struct{}, s.InFlight)}
	committing, stop := context.WithCancel(context.Background())
	var commits sync.WaitGroup
	commits.Go(func() { f.commitEverySecond(committing) })
	f.consume(ctx)
	f.work.Wait()
	stop()
	commits.Wait()
	return f.marks.commit(context.WithoutCancel(ctx), client)
}

func (f *floor) consume(ctx context.Context) {
	for {
		// One fetch's records at a time are in memory beside those in flight.
		fetches := f.kafka.PollRecords(ctx, f.settings.InFlight)
		if ctx.Err() != nil {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			fmt.Fprintf(os.Stderr, "fetch %s/%d: %v\n", topic, partition, err)
		})
		for iter := fetches.RecordIter(); !iter.Done(); {
			r := iter.Next()
			place := f.marks.add(r.Partition, r.Offset)
			f.slots <- struct{}{}
			f.work.Go(func() {
				defer func() { <-f.slots }()
				if err := f.refund(r); err != nil {
					fmt.Fprintln(os.Stderr, err) // the watermark stays before it
					return
				}
				f.marks.done(r.Partition, place)
			})
		}
	}
}

// refund is the whole of it.
func (f *floor) refund(r *kgo.Record) error {
	ctx := context.Background()
	request, err := wire.ReadRequest(string(r.Value))
	if err != nil {
		return err
	}
	keys := [2]string{"{" + request.Merchant + "}:" + request.RefundNo, "{" + request.Merchant + "}:o:" + request.OrderNo}
	stored := request.OrderNo + "|" + request.Amount + "|" + request.OrderAmount + "|" + request.Currency + "|" + request.Method + "|" +
		request.Wallet + "|" + request.Terminal
	won, err := claim.Exec(ctx, f.redis, keys[:], []string{minor(request.Amount), minor(request.OrderAmount), "P|" + stored}).AsInt64()
	if err != nil || won != 1 {
		return fmt.Errorf("claim of %s: %d %w", request.RefundNo, won, err)
	}
	if err := f.publish(ctx, wire.Event{Request: request, Sequence: 1, Status: "PENDING", Source: "worker", At: time.Now()}); err != nil {
		return err
	}
	if err := f.gateway.Refund(ctx, request); err != nil {
		return err
	}
	if err := record.Exec(ctx, f.redis, keys[:1], []string{"S|" + stored, retention}).Error(); err != nil {
		return err
	}
	return f.publish(ctx, wire.Event{Request: request, Sequence: 2, Status: "SUCCEEDED", Source: "worker", At: time.Now()})
}

func minor(amount string) string { return strconv.FormatInt(wire.Minor(amount), 10) }

func (f *floor) publish(ctx context.Context, e wire.Event) error {
	headers := e.Headers()
	r := &kgo.Record{Key: e.Key(), Value: e.Value(), Timestamp: e.At, Headers: make([]kgo.RecordHeader, len(headers))}
	for i, h := range headers {
		r.Headers[i] = kgo.RecordHeader{Key: h.Name, Value: h.Value}
	}
	written := make(chan error, 1)
	f.kafka.Produce(ctx, r, func(_ *kgo.Record, err error) { written <- err })
	return <-written
}

func (f *floor) commitEverySecond(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := f.marks.commit(ctx, f.kafka); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, err)
			}
		case <-ctx.Done():
			return
		}
	}
}
