package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestWriteKeepsEverythingOfARecord(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("roundtrip", 1)
	at := time.UnixMilli(1_700_000_000_123)
	want := []Record{
		{Topic: topic, Key: []byte("k"), Value: []byte("v"), Time: at, Headers: []Header{{Key: "a", Value: []byte("1")}, {Key: "a"}, {Value: []byte{}}}},
		{Topic: topic, Key: nil, Value: []byte{}, Time: at.Add(time.Hour)},
		{Topic: topic, Key: []byte{}, Value: nil, Time: at.Add(-time.Hour)},
	}
	if err := c.producer().Write(within(t, 10*time.Second), want...); err != nil {
		t.Fatal(err)
	}
	f := c.client.Fetcher(TopicPartition{topic, 0}, First, FetchOptions{})
	got, err := f.Fetch(within(t, 10*time.Second))
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d records, %v", len(got), err)
	}
	for i, g := range got {
		w := want[i]
		if g.Offset != int64(i) || !g.Time.Equal(w.Time) || string(g.Key) != string(w.Key) || (g.Key == nil) != (w.Key == nil) ||
			string(g.Value) != string(w.Value) || (g.Value == nil) != (w.Value == nil) || len(g.Headers) != len(w.Headers) {
			t.Errorf("record %d: got %+v, want %+v", i, g, w)
			continue
		}
		for j, h := range g.Headers {
			if h.Key != w.Headers[j].Key || string(h.Value) != string(w.Headers[j].Value) || (h.Value == nil) != (w.Headers[j].Value == nil) {
				t.Errorf("record %d header %d: got %+v, want %+v", i, j, h, w.Headers[j])
			}
		}
	}
}

// The Java client's partitioner, which franz-go's sticky key partitioner copies, is the reference.
func TestKeysGoWhereTheJavaClientPutsThem(t *testing.T) {
	c := newCluster(t)
	const partitions = 7
	topic := c.topic("keys", partitions)
	java := kgo.StickyKeyPartitioner(nil).ForTopic(topic)
	p := c.producer()
	for i := range 50 {
		key := fmt.Appendf(nil, "S0003469/order-%d", i)
		got, _, err := p.place(t.Context(), Record{Topic: topic, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		if want := java.Partition(&kgo.Record{Key: key}, partitions); got.Partition != want {
			t.Errorf("%s goes to %d, the Java client puts it to %d", key, got.Partition, want)
		}
	}
}

func TestConcurrentWritesAreAllThereOnce(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("concurrent", 3)
	p := c.producer()
	ctx := within(t, 30*time.Second)
	var callers sync.WaitGroup
	want := numbered("v", 400)
	for _, v := range want {
		callers.Go(func() {
			if err := p.Write(ctx, Record{Topic: topic, Key: []byte(v), Value: []byte(v)}); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	var got []string
	if _, err := c.client.Scan(ctx, topic, FromFirst(), func(r Record) error { got = append(got, string(r.Value)); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("%d records, want each of %d once", len(got), len(want))
	}
}

func TestOrderWithinAKeyIsTheOrderOfTheWrites(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("order", 1)
	p := c.producer()
	want := numbered("v", 200)
	for _, v := range want {
		if err := p.Write(within(t, 10*time.Second), Record{Topic: topic, Key: []byte("k"), Value: []byte(v)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := values(t, c.client.Fetcher(TopicPartition{topic, 0}, First, FetchOptions{}), len(want)); !slices.Equal(got, want) {
		t.Fatalf("got %v", got)
	}
}

func TestWriteRidesOutTemporaryErrors(t *testing.T) {
	c := newCluster(t)
	c.onlyFake("injecting errors")
	topic := c.topic("temporary", 1)
	left := 3
	c.fake.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if left == 0 {
			return nil, nil, false
		}
		c.fake.KeepControl()
		left--
		if left == 2 {
			return nil, errors.New("close the connection: the client sees EOF"), true
		}
		return produceError(req, kerr.NotEnoughReplicas.Code), nil, true
	})
	if err := c.producer().Write(within(t, 10*time.Second), Record{Topic: topic, Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if left != 0 {
		t.Fatalf("%d errors were never met", left)
	}
}

func produceError(req kmsg.Request, code int16) kmsg.Response {
	res := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range req.(*kmsg.ProduceRequest).Topics {
		t := kmsg.NewProduceResponseTopic()
		t.Topic, t.TopicID = topic.Topic, topic.TopicID
		for _, partition := range topic.Partitions {
			p := kmsg.NewProduceResponseTopicPartition()
			p.Partition, p.ErrorCode = partition.Partition, code
			t.Partitions = append(t.Partitions, p)
		}
		res.Topics = append(res.Topics, t)
	}
	return res
}

// One record that is too large must not take those with it that were batched together with it.
func TestATooLargeRecordFailsAlone(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("large", 1, "max.message.bytes", "2000")
	p := c.producer()
	noise := make([]byte, 3000) // does not compress
	for i := range noise {
		noise[i] = byte(i*i>>3 ^ i*7919>>5)
	}
	records := []Record{{Topic: topic, Value: []byte("before")}, {Topic: topic, Value: noise}, {Topic: topic, Value: []byte("after")}}
	err := p.Write(within(t, 10*time.Second), records...)
	var large *TooLargeError
	if !errors.As(err, &large) || large.Topic != topic || large.Bytes < len(noise) {
		t.Fatalf("got %v", err)
	}
	got := values(t, c.client.Fetcher(TopicPartition{topic, 0}, First, FetchOptions{}), 2)
	if !slices.Equal(got, []string{"before", "after"}) {
		t.Fatalf("got %q", got)
	}
}

// A topic's limit is on packed batches: a record that fits only when it is packed well is packed well.
func TestARecordThatIsTooLargeIsPackedBetter(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("packed", 1, "max.message.bytes", "100000")
	digits := make([]byte, 180_000) // no repetitions: lz4 gains nothing, an entropy coder half
	random := rand.New(rand.NewPCG(1, 2))
	for i := range digits {
		digits[i] = byte('0' + random.IntN(10))
	}
	must(t, c.producer().Write(within(t, 10*time.Second), Record{Topic: topic, Value: digits}))
	if got := values(t, c.client.Fetcher(TopicPartition{topic, 0}, First, FetchOptions{}), 1); got[0] != string(digits) {
		t.Fatalf("%d bytes came back", len(got[0]))
	}
}

func TestWriteEndsWithItsContextAndSaysWhy(t *testing.T) {
	c := newCluster(t)
	c.onlyFake("a broker that always refuses")
	topic := c.topic("refusing", 1)
	attempts := make(chan struct{}, 1000)
	c.fake.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.fake.KeepControl()
		attempts <- struct{}{}
		return produceError(req, kerr.NotEnoughReplicas.Code), nil, true
	})
	p := c.producer()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := p.Write(ctx, Record{Topic: topic, Value: []byte("v")})
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, kafkago.NotEnoughReplicas) {
		t.Fatalf("got %v", err)
	}
	// No attempt begins for a record whose caller has gone: Close, which waits for the sender, ends at once.
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	n := len(attempts)
	if n == 0 {
		t.Fatal("no attempt was made")
	}
	if err := p.Write(t.Context(), Record{Topic: topic}); !errors.Is(err, ErrClosed) {
		t.Fatalf("after Close: %v", err)
	}
}

func TestWriteToATopicThatIsNotThere(t *testing.T) {
	c := newCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err := c.producer().Write(ctx, Record{Topic: "nowhere." + c.suffix, Value: []byte("v")})
	if !errors.Is(err, ErrNoTopic) {
		t.Fatalf("got %v", err)
	}
}

// BenchmarkWriteIdle is what one caller alone waits for: about a round trip, as nothing lingers.
func BenchmarkWriteIdle(b *testing.B) {
	c := newCluster(b)
	topic := c.topic("bench", 1)
	p := c.producer()
	for b.Loop() {
		if err := p.Write(context.Background(), Record{Topic: topic, Key: []byte("k"), Value: make([]byte, 350)}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWriteMany is the cost of a record when many callers write at the same time.
func BenchmarkWriteMany(b *testing.B) {
	c := newCluster(b)
	topic := c.topic("bench", 12)
	p := c.producer()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		key := fmt.Append(nil, rand.Uint64())
		for pb.Next() {
			if err := p.Write(context.Background(), Record{Topic: topic, Key: key, Value: make([]byte, 350)}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
