package statuslog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// parts are a broker and a Redis: embedded ones, or real ones at KAFKA_BROKERS and REDIS_ADDR, under names of the test's
// own.
type parts struct {
	t        testing.TB
	client   *kafka.Client
	producer *kafka.Producer
	redis    redis.UniversalClient
	prefix   string
	store    *dedupe.Store
	keeper   *Keeper
	chains   *chains
	mu       sync.Mutex
	rebuilt  []Rebuilt
}

func newParts(t testing.TB) *parts {
	t.Helper()
	addr := os.Getenv("REDIS_ADDR")
	if addr == "" {
		embedded := miniredis.NewMiniRedis()
		if err := embedded.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(embedded.Close)
		addr = embedded.Addr()
	}
	p := partsOn(t, []string{addr}, "S1", "S2")
	t.Cleanup(func() { p.wipe() })
	return p
}

// partsOn takes the Redis, or the cluster, at these addresses.
func partsOn(t testing.TB, addrs []string, merchants ...string) *parts {
	t.Helper()
	suffix := strings.ToLower(rand.Text()[:8])
	var brokers []string
	if named := os.Getenv("KAFKA_BROKERS"); named != "" {
		brokers = strings.Split(named, ",")
	} else {
		fake, err := kfake.NewCluster(kfake.Ports(0), kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(fake.Close)
		brokers = fake.ListenAddrs()
	}
	client, err := kafka.Open(kafka.Config{Brokers: brokers, ClientID: "test"})
	if err != nil {
		t.Fatal(err)
	}
	p := &parts{
		t: t, client: client, producer: client.Producer(), chains: &chains{},
		prefix: suffix[:6], // as long as "refund"
		redis:  dedupe.Dial(dedupe.Address{Addrs: addrs}),
	}
	t.Cleanup(func() { _, _, _ = p.producer.Close(), client.Close(), p.redis.Close() })
	status, control := statusTopic+"."+suffix, controlTopic+"."+suffix
	if err := client.EnsureTopics(t.Context(), []kafka.TopicSpec{
		{Name: status, Partitions: 3, Replication: 1, Configs: map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": "604800000"}},
		{Name: control, Partitions: 1, Replication: 1, Configs: map[string]string{"cleanup.policy": "compact"}},
	}); err != nil {
		t.Fatal(err)
	}
	p.store = dedupe.New(p.redis, dedupe.Options{Prefix: p.prefix, Retention: 400 * 24 * time.Hour, FailoverGrace: 15 * time.Second})
	p.keeper = NewKeeper(Config{
		Merchants: merchants, Index: p.store,
		Log: &Log{Reader: client, Topic: status}, Control: &Control{Reader: client, Writer: p.producer, Topic: control},
		FollowUps: p.chains, After: refund.Schedule{10 * time.Second, time.Minute}.After,
		Quiet: 300 * time.Millisecond, Every: time.Second, Logger: zerolog.New(zerolog.NewTestWriter(t)),
		Metrics: Metrics{Rebuilt: func(r Rebuilt) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.rebuilt = append(p.rebuilt, r)
		}},
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { p.keeper.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return p
}

// wipe loses everything that Redis has of this test.
func (p *parts) wipe() {
	ctx := context.Background()
	keys := p.redis.Scan(ctx, 0, p.prefix+":*", 1000).Iterator()
	for keys.Next(ctx) {
		p.redis.Del(ctx, keys.Val())
	}
	if err := keys.Err(); err != nil {
		p.t.Error(err)
	}
}

func (p *parts) open(merchant string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	if err := p.keeper.Ensure(ctx, merchant); err != nil {
		p.t.Fatal(err)
	}
}

// Publish is the refund.Publisher.
func (p *parts) Publish(ctx context.Context, rec refund.Record) error {
	record := statusRecord(rec)
	record.Topic = p.keeper.Log.Topic
	return p.producer.Write(ctx, record)
}

func (p *parts) claim(r refund.Request, token string) refund.Claimed {
	p.t.Helper()
	claimed, err := p.store.Claim(p.t.Context(), claimOf(r, token))
	if err != nil {
		p.t.Fatal(err)
	}
	return claimed
}

// Ten thousand refunds of a wiped Redis, with those of another merchant among them.
func TestTenThousandRefunds(t *testing.T) {
	p := newParts(t)
	p.open("S1")
	p.open("S2")
	refunds, perOrder := 10_000, 10
	if testing.Short() {
		refunds = 1000
		t.Log("-short: a thousand")
	}
	var records []kafka.Record
	put := func(r refund.Request, sequence int64, status refund.Status) {
		rec := refund.Record{Request: r, Order: r.OrderNo, Provider: "eftpay", FirstSeen: time.Now(), Last: refund.Event{
			Sequence: sequence, Status: status, Source: refund.FromWorker, Matched: true, Attempt: 1, OccurredAt: time.Now(), RecordedAt: time.Now(),
		}}
		record := statusRecord(rec)
		record.Topic = p.keeper.Log.Topic
		records = append(records, record)
	}
	nth := func(i int) refund.Request {
		return request("S1", fmt.Sprint("r", i), fmt.Sprint("o", i/perOrder), 50)
	}
	for i := range refunds { // of each order eight succeeded, one failed, one is open
		put(nth(i), 1, refund.StatusPending)
		switch i % perOrder {
		case 8:
			put(nth(i), 2, refund.StatusFailed)
		case 9:
		default:
			put(nth(i), 2, refund.StatusSucceeded)
		}
		put(request("S2", fmt.Sprint("r", i%7), "o", 1), 1, refund.StatusPending)
	}
	for at := 0; at < len(records); at += 1000 {
		if err := p.producer.Write(t.Context(), records[at:min(at+1000, len(records))]...); err != nil {
			t.Fatal(err)
		}
	}

	p.wipe()
	var away *refund.Unavailable
	if _, err := p.store.Claim(t.Context(), claimOf(nth(0), "early")); !errors.As(err, &away) {
		t.Fatalf("a claim before the rebuild: %v", err)
	}
	began := time.Now()
	p.open("S1")
	p.open("S2")
	t.Logf("%d events, %d refunds rebuilt in %v", len(records), refunds, time.Since(began))
	if n := p.chains.count(); n != refunds/perOrder+7 {
		t.Errorf("%d follow-ups, want one for each open refund", n)
	}
	for order := range refunds / perOrder {
		i := order * perOrder
		for k := range perOrder {
			if order%50 != 0 && k > 0 {
				break // of most orders one is enough
			}
			rec, err := p.store.Load(t.Context(), nth(i+k).Key)
			want := refund.StatusSucceeded
			if k == 8 {
				want = refund.StatusFailed
			} else if k == 9 {
				want = refund.StatusPending
			}
			if err != nil || rec.Last.Status != want {
				t.Fatalf("%s: %q, want %q (%v)", nth(i+k).Key, rec.Last.Status, want, err)
			}
		}
		// 450 are held of 1000
		over := request("S1", fmt.Sprint("over", order), fmt.Sprint("o", order), 551)
		if c := p.claim(over, "over"); c.Answer != refund.OverTotal {
			t.Fatalf("order %d has room for 551: %d", order, c.Answer)
		}
		if order%50 != 0 {
			continue
		}
		fits := request("S1", fmt.Sprint("fits", order), fmt.Sprint("o", order), 550)
		if c := p.claim(fits, "fits"); c.Answer != refund.Yours || c.Record.Last.Sequence != 1001 {
			t.Fatalf("order %d has no room for 550: %d, sequence %d", order, c.Answer, c.Record.Last.Sequence)
		}
		if c := p.claim(nth(i+9), "flying"); c.Answer != refund.InDoubt {
			t.Fatalf("%s may have been called: %d", nth(i+9).Key, c.Answer)
		}
	}
}

// The whole path on the real parts: live, wipe, rebuild, go on.
func TestRebuildOnParts(t *testing.T) {
	p := newParts(t)
	p.open("S1")
	recorder := &refund.Recorder{Records: p.store, Publisher: p, Fresh: 5 * time.Second}
	flying := request("S1", "flying", "o1", 600)
	claimed := p.claim(flying, "t1")
	rec, err := recorder.Publish(t.Context(), claimed.Record, nil)
	if err != nil || claimed.Answer != refund.Yours || rec.Last.Sequence != 1 {
		t.Fatalf("%d %+v %v", claimed.Answer, rec.Last, err)
	}

	p.wipe()
	p.open("S1")
	if c := p.claim(request("S1", "next", "o1", 401), "t2"); c.Answer != refund.OverTotal {
		t.Errorf("the intent on the topic holds 600 of 1000: %d", c.Answer)
	}
	again := p.claim(flying, "t3")
	if again.Answer != refund.InDoubt {
		t.Fatalf("%d", again.Answer)
	}
	noted, err := recorder.Note(t.Context(), again.Record, refund.News{Source: refund.FromQuery, Token: "t3", Outcome: refund.Outcome{Class: refund.Succeeded}}, nil)
	if err != nil || noted.Record.Last.Sequence != 1001 {
		t.Errorf("sequence %d, %v", noted.Record.Last.Sequence, err)
	}
	roll, err := p.keeper.Control.Read(t.Context())
	if err != nil || roll.Merchants["S1"].Epoch != 1 {
		t.Errorf("%+v, %v", roll, err)
	}
}

// Watch shows what was there, then what comes, and survives what is no event.
func TestWatch(t *testing.T) {
	p := newParts(t)
	p.open("S1")
	rec := p.claim(request("S1", "r1", "o1", 600), "t1").Record
	junk := kafka.Record{Topic: p.keeper.Log.Topic, Key: []byte("junk"), Value: []byte("{")}
	if err := errors.Join(p.Publish(t.Context(), rec), p.producer.Write(t.Context(), junk)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var good, bad int
	err := p.keeper.Log.Watch(ctx, kafka.FromFirst(), func(e Entry) error {
		if e.Err != nil {
			bad++
		} else if restored, err := e.Restore(); err != nil || e.Status.RefundNo != "r1" || restored.Order != "o1" {
			t.Errorf("%+v, %v", e.Status, err)
		} else {
			good++
		}
		switch {
		case good == 1 && bad == 1:
			return p.Publish(ctx, rec) // comes while we watch
		case good == 2:
			cancel()
		}
		return nil
	})
	if err != nil || good != 2 || bad != 1 {
		t.Errorf("%d events, %d others, %v", good, bad, err)
	}
	n := 0
	if err := p.keeper.Log.Scan(t.Context(), kafka.FromFirst(), func(Entry) error { n++; return nil }); err != nil || n != 3 {
		t.Errorf("%d records, %v", n, err)
	}
}
