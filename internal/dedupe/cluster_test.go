//go:build unix

package dedupe_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/realparts"
	"github.com/refundworker/refundworker/internal/refund"
)

// ownCluster is a cluster of three masters that a test may break.
type ownCluster struct {
	*testing.T
	nodes  []*realparts.Redis
	admins []*redis.Client
	client *redis.ClusterClient
	store  *dedupe.Store
}

func startOwnCluster(t *testing.T) *ownCluster {
	t.Helper()
	fromEnvironment(t, "REDIS_CLUSTER_ADDRS") // only where real clusters are wanted
	if missing := realparts.Missing("redis-server", "redis-cli"); missing != "" {
		t.Skip(missing)
	}
	nodes, err := realparts.StartRedisCluster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &ownCluster{T: t, nodes: nodes}
	var addrs []string
	for _, node := range nodes {
		t.Cleanup(node.Kill)
		addrs = append(addrs, node.Addr)
		c.admins = append(c.admins, dial(t, node.Addr).(*redis.Client))
	}
	c.client = dial(t, addrs...).(*redis.ClusterClient)
	c.store = dedupe.New(c.client, dedupe.Options{Prefix: "refund", Retention: time.Hour})
	return c
}

// serve begins a merchant for each master, named S0, S1, S2, with a finished
// refund each.
func (c *ownCluster) serve() (records []refund.Record) {
	c.Helper()
	for i, node := range c.nodes {
		merchant := ""
		for n := 0; merchant == ""; n++ {
			if name := fmt.Sprintf("S%d-%d", i, n); c.owner(name) == node.Addr {
				merchant = name
			}
		}
		if _, err := c.store.Begin(c.Context(), merchant, 3); err != nil {
			c.Fatal(err)
		}
		records = append(records, finished(c, c.store, merchant, "r1", "o1"))
	}
	return records
}

// owner is the address of the master that keeps a merchant.
func (c *ownCluster) owner(merchant string) string {
	c.Helper()
	node, err := c.client.MasterForKey(c.Context(), c.store.SentinelKey(merchant))
	if err != nil {
		c.Fatal(err)
	}
	return node.Options().Addr
}

func (c *ownCluster) do(i int, command ...any) any {
	c.Helper()
	answer, err := c.admins[i].Do(context.Background(), command...).Result()
	if err != nil {
		c.Fatalf("%v at %s: %v", command, c.nodes[i].Addr, err)
	}
	return answer
}

// TestAllKeysOfAMerchantAreInOneSlot: whatever a merchant's life leaves behind is
// in the slot of its name, so that each step is one script on one server.
func TestAllKeysOfAMerchantAreInOneSlot(t *testing.T) {
	client := dial(t, strings.Split(fromEnvironment(t, "REDIS_CLUSTER_ADDRS"), ",")...).(*redis.ClusterClient)
	part, store := partOf(t, client)
	slots := map[int64]string{}
	for _, merchant := range []string{"S0003469", "shop-th.2_x"} {
		if _, err := part.Store.Begin(t.Context(), merchant, 0); err != nil {
			t.Fatal(err)
		}
		finished(t, store, merchant, "a{b}c", "o}{1")
		for range 2 { // the second gets a place in the queue
			c := claimFor("r2", "o2")
			c.Request.Merchant, c.Limits.Rate = merchant, 1
			if _, err := store.Claim(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(store.Note(t.Context(), merchant, "0:1"), store.Writable(t.Context(), merchant)); err != nil {
			t.Fatal(err)
		}
		keys := 0
		if err := client.ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error {
			for it := c.Scan(ctx, 0, "*{"+merchant+"}*", 1000).Iterator(); it.Next(ctx); keys++ {
				slot, err := c.ClusterKeySlot(ctx, it.Val()).Result()
				if err != nil {
					return err
				}
				slots[slot] = merchant
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if keys < 7 { // sentinel, clock, record, order, rate, offsets, probe
			t.Errorf("%d keys of %s", keys, merchant)
		}
	}
	if len(slots) != 2 {
		t.Errorf("the keys of two merchants are in the slots %v", slots)
	}
}

// TestASlotThatMoves: while a merchant's slot moves to another master, each step is
// either done where all its keys still are or refused (TRYAGAIN, ASK); afterwards
// (MOVED) the merchant's server is another one, and not believed before a rebuild.
func TestASlotThatMoves(t *testing.T) {
	c := startOwnCluster(t)
	records := c.serve()
	merchant, from, to := records[0].Request.Merchant, 0, 1
	slot := c.do(from, "CLUSTER", "KEYSLOT", c.store.SentinelKey(merchant))
	ids := []any{c.do(from, "CLUSTER", "MYID"), c.do(to, "CLUSTER", "MYID")}
	move := func(keys ...string) {
		host, port, _ := net.SplitHostPort(c.nodes[to].Addr)
		command := []any{"MIGRATE", host, port, "", 0, 5000, "KEYS"}
		for _, key := range keys {
			command = append(command, key)
		}
		c.do(from, command...)
	}
	moving := func(when string) {
		t.Helper()
		claim := claimFor("r2", "o2")
		claim.Request.Merchant = merchant
		_, err := c.store.Claim(t.Context(), claim)
		down, ok := errors.AsType[*refund.Unavailable](err)
		_, gone := errors.AsType[*dedupe.EpochMissingError](err)
		if !ok || gone || !strings.Contains(down.Why, "moving this slot") {
			t.Fatalf("%s: a claim: %v", when, err)
		}
		if _, err := c.store.Lock(t.Context(), merchant, time.Minute); err == nil {
			t.Fatalf("%s: a rebuild began", when)
		}
	}
	changed := func(when string, err error) {
		t.Helper()
		if server, ok := errors.AsType[*dedupe.ServerChangedError](err); !ok || server.Epoch != 3 {
			t.Fatalf("%s: %v", when, err)
		}
	}

	c.do(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
	c.do(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
	moving("before any key has moved")
	if again, err := c.store.Load(t.Context(), records[0].Key()); err != nil || again.Last != records[0].Last {
		t.Fatalf("what is still there: %+v, %v", again, err)
	}
	move(c.store.SentinelKey(merchant))
	moving("in the middle")
	_, err := c.store.Epoch(t.Context(), merchant) // goes after the sentinel: ASK
	changed("in the middle", err)

	move(c.keysIn(from, slot)...)
	for i := range c.nodes {
		c.do(i, "CLUSTER", "SETSLOT", slot, "NODE", ids[1])
	}
	_, err = c.store.Load(t.Context(), records[0].Key())
	changed("afterwards", err)
	reopen(t, c.store, merchant)
	if again, err := c.store.Load(t.Context(), records[0].Key()); err != nil || again.Last != records[0].Last || again.Epoch != 7 {
		t.Fatalf("%+v, %v", again, err)
	}
	finished(t, c.store, merchant, "r3", "o3")
	eventually(t, "the client knows where it is", func() bool { return c.owner(merchant) == c.nodes[to].Addr })
	for _, rec := range records[1:] { // the others have seen nothing of it
		finished(t, c.store, rec.Request.Merchant, "r3", "o3")
	}

	alone := dedupe.New(dial(t, c.nodes[from].Addr), dedupe.Options{Prefix: "refund", Retention: time.Hour})
	_, err = alone.Load(t.Context(), records[0].Key())
	if down, ok := errors.AsType[*refund.Unavailable](err); !ok || !strings.Contains(down.Why, "is one address given for a cluster?") {
		t.Errorf("one address of a cluster: %v", err)
	}
}

// keysIn are the keys of a slot.
func (c *ownCluster) keysIn(i int, slot any) (keys []string) {
	for _, key := range c.do(i, "CLUSTER", "GETKEYSINSLOT", slot, 100).([]any) {
		keys = append(keys, key.(string))
	}
	return keys
}

// TestAMasterIsGone: with full coverage required all stops, else only that
// master's merchants do; and Advice says so.
func TestAMasterIsGone(t *testing.T) {
	c := startOwnCluster(t)
	records := c.serve()
	advice, err := c.store.Advice(t.Context())
	if err != nil || !slices.ContainsFunc(advice, func(line string) bool { return strings.Contains(line, "cluster-require-full-coverage") }) {
		t.Errorf("%q, %v", advice, err)
	}
	c.nodes[2].Kill()
	refusedWith := func(i int, words string) bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := c.store.Load(ctx, records[i].Key())
		down, ok := errors.AsType[*refund.Unavailable](err)
		return ok && strings.Contains(down.Why, words)
	}
	eventually(t, "the cluster is down", func() bool { return refusedWith(0, "cluster is down") && refusedWith(1, "cluster is down") })
	if err := c.store.Writable(t.Context(), records[1].Request.Merchant); err == nil || !strings.Contains(err.Error(), "cluster is down") {
		t.Errorf("readiness: %v", err)
	}
	for i := range 2 {
		c.do(i, "CONFIG", "SET", "cluster-require-full-coverage", "no")
	}
	eventually(t, "the others go on", func() bool { return !refusedWith(0, "") && !refusedWith(1, "") })
	for _, rec := range records[:2] {
		finished(t, c.store, rec.Request.Merchant, "r2", "o2")
	}
	if !refusedWith(2, "") {
		t.Error("the lost master's merchant is served")
	}
	var merchants []string
	for _, rec := range records {
		merchants = append(merchants, rec.Request.Merchant)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // as long as a readiness check has
	defer cancel()
	if err := c.store.Writable(ctx, merchants...); err != nil {
		t.Errorf("who serves two of three is not ready: %v", err)
	}
	if err := c.store.Writable(ctx, merchants[2]); err == nil || !strings.Contains(err.Error(), c.nodes[2].Addr) {
		t.Errorf("who serves nobody is ready: %v", err)
	}
}
