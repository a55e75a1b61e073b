package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// transactional writes one transaction of the given values to partition 0 and commits or aborts it.
func transactional(t *testing.T, client *kgo.Client, topic string, commit bool, values ...string) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		t.Fatal(err)
	}
}

func TestAbortedRecordsAreNeverSeen(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("transactions", 1)
	upstream := c.kgo(kgo.TransactionalID("upstream."+c.suffix), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	plain := c.kgo()
	var want []string
	for i := range 20 {
		v := numbered(fmt.Sprintf("t%d.", i), 1+i%4)
		commit := i%3 != 0
		transactional(t, upstream, topic, commit, v...)
		if commit {
			want = append(want, v...)
		}
		v = numbered(fmt.Sprintf("p%d.", i), i%3)
		for _, one := range v {
			if err := plain.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(one)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, v...)
	}
	for _, maxBytes := range []int{1, 200, 1 << 20} {
		f := c.client.Fetcher(TopicPartition{topic, 0}, First, FetchOptions{MaxBytes: maxBytes})
		if got := values(t, f, len(want)); !slices.Equal(got, want) {
			t.Errorf("with %d bytes a fetch: got %v, want %v", maxBytes, got, want)
		}
	}
}

// Behind what is delivered the offset must pass markers and aborted records too, or lag would never end.
func TestTheOffsetPassesWhatIsNotDelivered(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("passing", 1)
	upstream := c.kgo(kgo.TransactionalID("upstream." + c.suffix))
	transactional(t, upstream, topic, true, "a")
	transactional(t, upstream, topic, false, "b", "c")
	f := c.client.Fetcher(TopicPartition{topic, 0}, First, FetchOptions{MaxWait: 50 * time.Millisecond})
	if got := values(t, f, 1); got[0] != "a" {
		t.Fatalf("got %v", got)
	}
	ctx := within(t, 20*time.Second)
	for f.Offset() < 5 { // a, commit, b, c, abort
		if records, err := f.Fetch(ctx); err != nil || len(records) > 0 {
			t.Fatalf("got %d records, %v, at offset %d", len(records), err, f.Offset())
		}
	}
	if f.Offset() != 5 || f.End() != 5 {
		t.Fatalf("offset %d, end %d", f.Offset(), f.End())
	}
}

func TestAnOpenTransactionHoldsBackWhatFollows(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("open", 1)
	upstream := c.kgo(kgo.TransactionalID("upstream." + c.suffix))
	plain := c.kgo()
	ctx := within(t, 20*time.Second)
	must(t, plain.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("before")}).FirstErr())
	must(t, upstream.BeginTransaction())
	must(t, upstream.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("within")}).FirstErr())
	must(t, plain.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("after")}).FirstErr())
	f := c.client.Fetcher(TopicPartition{topic, 0}, First, FetchOptions{MaxWait: 50 * time.Millisecond})
	if got := values(t, f, 1); !slices.Equal(got, []string{"before"}) {
		t.Fatalf("got %v", got)
	}
	for range 3 {
		if records, err := f.Fetch(ctx); err != nil || len(records) > 0 || f.Offset() != 1 {
			t.Fatalf("got %d records, %v, offset %d while the transaction is open", len(records), err, f.Offset())
		}
	}
	must(t, upstream.EndTransaction(ctx, kgo.TryCommit))
	if got := values(t, f, 2); !slices.Equal(got, []string{"within", "after"}) {
		t.Fatalf("got %v", got)
	}
}

// Random interleavings of three transactional producers and a plain one, under each codec and limit, against what the
// producers know.
func TestRandomTransactions(t *testing.T) {
	c := newCluster(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	topic := c.topic("random", 1)
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(), kgo.SnappyCompression(), kgo.GzipCompression()}
	type upstream struct {
		client *kgo.Client
		open   bool
		sent   []int64
	}
	var producers []*upstream
	for i := range 3 {
		producers = append(producers, &upstream{client: c.kgo(kgo.TransactionalID(fmt.Sprintf("u%d.%s", i, c.suffix)), kgo.ProducerBatchCompression(codecs[i]))})
	}
	plain := c.kgo(kgo.ProducerBatchCompression(codecs[3+random.IntN(2)]))
	ctx := within(t, 60*time.Second)
	var want []int64
	for step := range 300 {
		value := fmt.Appendf(nil, "%d %s", step, make([]byte, random.IntN(300)))
		i := random.IntN(len(producers) + 1)
		if i == len(producers) {
			r, err := plain.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value}).First()
			must(t, err)
			want = append(want, r.Offset)
			continue
		}
		u := producers[i]
		switch {
		case !u.open:
			must(t, u.client.BeginTransaction())
			u.open = true
			fallthrough
		case random.IntN(3) > 0:
			r, err := u.client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value}).First()
			must(t, err)
			u.sent = append(u.sent, r.Offset)
		default:
			commit := random.IntN(2) == 0
			must(t, u.client.EndTransaction(ctx, kgo.TransactionEndTry(commit)))
			if commit {
				want = append(want, u.sent...)
			}
			u.open, u.sent = false, nil
		}
	}
	for _, u := range producers {
		if u.open {
			must(t, u.client.EndTransaction(ctx, kgo.TryAbort))
		}
	}
	slices.Sort(want)
	for _, maxBytes := range []int{1, 1000, 1 << 20} {
		f := c.client.Fetcher(TopicPartition{topic, 0}, First, FetchOptions{MaxBytes: maxBytes, MaxWait: 50 * time.Millisecond})
		var got []int64
		for f.Offset() <= want[len(want)-1] { // a transaction's end is there some time after its producer was told
			records, err := f.Fetch(ctx)
			must(t, err)
			for _, r := range records {
				got = append(got, r.Offset)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("with %d bytes a fetch: got %d records %v, want %d %v", maxBytes, len(got), got, len(want), want)
		}
	}
}

func TestOutOfRangeIsATypedError(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("range", 1)
	p := c.producer()
	must(t, p.Write(within(t, 10*time.Second), Record{Topic: topic, Value: []byte("v")}))
	f := c.client.Fetcher(TopicPartition{topic, 0}, 99, FetchOptions{})
	_, err := f.Fetch(within(t, 20*time.Second))
	var gone *OutOfRangeError
	if !errors.As(err, &gone) || gone.Offset != 99 || gone.First != 0 || gone.End != 1 {
		t.Fatalf("got %v", err)
	}
	if f.Offset() != 99 {
		t.Fatalf("the offset moved to %d by itself", f.Offset())
	}
	f.SeekTo(gone.First)
	if got := values(t, f, 1); got[0] != "v" {
		t.Fatalf("got %v", got)
	}
}

// A broker that lags says "out of range" of an offset that the leader has: that must not be believed.
func TestOutOfRangeOfALaggingBrokerIsNotBelieved(t *testing.T) {
	c := newCluster(t)
	c.onlyFake("a broker that is wrong")
	topic := c.topic("lagging", 1)
	must(t, c.producer().Write(within(t, 10*time.Second), Record{Topic: topic, Value: []byte("v")}))
	c.fake.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		return fetchError(req, kerr.OffsetOutOfRange.Code), nil, true // once
	})
	if got := values(t, c.client.Fetcher(TopicPartition{topic, 0}, 0, FetchOptions{}), 1); got[0] != "v" {
		t.Fatalf("got %v", got)
	}
}

func TestFetchRidesOutAMovingLeader(t *testing.T) {
	c := newCluster(t)
	c.onlyFake("injecting errors")
	topic := c.topic("moving", 1)
	must(t, c.producer().Write(within(t, 10*time.Second), Record{Topic: topic, Value: []byte("v")}))
	answers := []func(req kmsg.Request) (kmsg.Response, error){
		func(req kmsg.Request) (kmsg.Response, error) {
			return fetchError(req, kerr.NotLeaderForPartition.Code), nil
		},
		func(kmsg.Request) (kmsg.Response, error) { return nil, errors.New("close the connection") },
		func(req kmsg.Request) (kmsg.Response, error) {
			return fetchError(req, kerr.UnknownTopicOrPartition.Code), nil
		},
	}
	c.fake.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if len(answers) == 0 {
			return nil, nil, false
		}
		c.fake.KeepControl()
		res, err := answers[0](req)
		answers = answers[1:]
		return res, err, true
	})
	if got := values(t, c.client.Fetcher(TopicPartition{topic, 0}, 0, FetchOptions{}), 1); got[0] != "v" {
		t.Fatalf("got %v", got)
	}
	if len(answers) != 0 {
		t.Fatalf("%d troubles were never met", len(answers))
	}
}

func fetchError(req kmsg.Request, code int16) kmsg.Response {
	res := req.ResponseKind().(*kmsg.FetchResponse)
	for _, topic := range req.(*kmsg.FetchRequest).Topics {
		t := kmsg.NewFetchResponseTopic()
		t.Topic, t.TopicID = topic.Topic, topic.TopicID
		for _, partition := range topic.Partitions {
			p := kmsg.NewFetchResponseTopicPartition()
			p.Partition, p.ErrorCode, p.HighWatermark, p.LastStableOffset = partition.Partition, code, -1, -1
			t.Partitions = append(t.Partitions, p)
		}
		res.Topics = append(res.Topics, t)
	}
	return res
}

// A frozen broker holds the connection and says nothing: only the deadline of the request ends that.
func TestAFrozenBrokerIsLeftByItsDeadline(t *testing.T) {
	c := newCluster(t)
	c.onlyFake("freezing a broker")
	topic := c.topic("frozen", 1)
	must(t, c.producer().Write(within(t, 10*time.Second), Record{Topic: topic, Value: []byte("v")}))
	thaw, froze := make(chan struct{}), atomic.Bool{}
	c.fake.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		if froze.Swap(true) {
			return nil, nil, false
		}
		c.fake.SleepControl(func() { <-thaw })
		return nil, errors.New("too late"), true
	})
	defer close(thaw)
	start := time.Now()
	got := values(t, c.client.Fetcher(TopicPartition{topic, 0}, 0, FetchOptions{MaxWait: 100 * time.Millisecond}), 1)
	if took := time.Since(start); got[0] != "v" || took < answerMargin || took > answerMargin+4*time.Second {
		t.Fatalf("got %v after %s", got, took)
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("waiting", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	f := c.client.Fetcher(TopicPartition{topic, 0}, First, FetchOptions{MaxWait: 10 * time.Second})
	if _, err := f.Fetch(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Fatalf("got %v after %s", err, time.Since(start))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
