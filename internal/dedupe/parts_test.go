package dedupe_test

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/dedupe/dedupetest"
)

// TestStore runs the suite on an embedded Redis always, on a real one where
// REDIS_ADDR names it, and on a real cluster where REDIS_CLUSTER_ADDRS does
// (commas between). Keys get a prefix of their own and are removed afterwards.
func TestStore(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			client := server.dial(t)
			dedupetest.Run(t, func(t *testing.T) *dedupetest.Part { part, _ := partOf(t, client); return part })
		})
	}
}

var servers = []struct {
	name string
	dial func(testing.TB) redis.UniversalClient
}{
	{"miniredis", func(t testing.TB) redis.UniversalClient { return dial(t, miniredis.RunT(t).Addr()) }},
	{"redis", func(t testing.TB) redis.UniversalClient { return dial(t, fromEnvironment(t, "REDIS_ADDR")) }},
	{"cluster", func(t testing.TB) redis.UniversalClient {
		return dial(t, strings.Split(fromEnvironment(t, "REDIS_CLUSTER_ADDRS"), ",")...)
	}},
}

func fromEnvironment(t testing.TB, name string) string {
	addr := os.Getenv(name)
	if addr == "" {
		t.Skipf("%s is not set: not run on a real Redis", name)
	}
	return addr
}

func dial(t testing.TB, addrs ...string) redis.UniversalClient {
	client := dedupe.Dial(dedupe.Address{Addrs: addrs, Timeout: 20 * time.Second}) // of a machine that has much to do
	t.Cleanup(func() { client.Close() })
	return client
}

// partOf makes an empty Store with a clock of its own on a server that others may
// share.
func partOf(t testing.TB, client redis.UniversalClient) (*dedupetest.Part, *dedupe.Store) {
	ctx := context.Background()
	prefix := "test-" + rand.Text()
	store := dedupe.New(client, dedupe.Options{Prefix: prefix, Retention: dedupetest.Retention})
	store.UseTestClock()
	now := dedupetest.Start
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tick := func() {
		for _, merchant := range dedupetest.Merchants {
			must(client.Set(ctx, store.ClockKey(merchant), now.UnixMicro(), 0).Err())
		}
	}
	tick()
	t.Cleanup(func() { must(remove(ctx, client, prefix)) })
	return &dedupetest.Part{
		Store:   store,
		Advance: func(d time.Duration) { now = now.Add(d); tick() },
		Wipe:    func() { must(remove(ctx, client, prefix)); tick() },
		Failover: func() {
			// What a sentinel and a lock of another server look like.
			for _, merchant := range dedupetest.Merchants {
				for _, key := range []string{store.SentinelKey(merchant), store.LockKey(merchant)} {
					value, err := client.Get(ctx, key).Result()
					if err == redis.Nil {
						continue
					}
					must(err)
					head, _, _ := strings.Cut(value, "|")
					must(client.Set(ctx, key, head+"|another", redis.KeepTTL).Err())
				}
			}
		},
		BreakLock: func(merchant string) { must(client.Del(ctx, store.LockKey(merchant)).Err()) },
	}, store
}

// remove deletes every key with a prefix, on every master.
func remove(ctx context.Context, client redis.UniversalClient, prefix string) error {
	sweep := func(ctx context.Context, c *redis.Client) error {
		keys := c.Scan(ctx, 0, prefix+":*", 1000).Iterator()
		for keys.Next(ctx) {
			if err := c.Del(ctx, keys.Val()).Err(); err != nil {
				return err
			}
		}
		return keys.Err()
	}
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, sweep)
	}
	return sweep(ctx, client.(*redis.Client))
}
