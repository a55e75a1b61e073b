//go:build unix

package statuslog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/realparts"
	"github.com/refundworker/refundworker/internal/refund"
)

// The losses here happen to real servers of the test's own; the events are on whatever Kafka there is.

func ownRedis(t *testing.T, wanted string) (dir string) {
	t.Helper()
	if os.Getenv(wanted) == "" {
		t.Skipf("%s is not set: not run on a real Redis", wanted)
	}
	if missing := realparts.Missing("redis-server", "redis-cli"); missing != "" {
		t.Skip(missing)
	}
	return t.TempDir()
}

func admin(t *testing.T, addr string) *redis.Client {
	c := dedupe.Dial(dedupe.Address{Addrs: []string{addr}}).(*redis.Client)
	t.Cleanup(func() { c.Close() })
	return c
}

// life is what each of these tests puts at stake, of one merchant: an order of 1000 of which 400 are paid back, 300 are
// in a call whose worker is gone, and 100 were refused by the gateway.
func (p *parts) life(merchant string) (done, flying, failed refund.Request) {
	p.t.Helper()
	done, flying, failed = request(merchant, "done", "o1", 400), request(merchant, "flying", "o1", 300), request(merchant, "failed", "o1", 100)
	p.live(done, refund.Succeeded)
	p.live(flying, refund.NoCall)
	p.live(failed, refund.Declined)
	return done, flying, failed
}

// live takes a refund through claim, intent and, where given, the news of its call.
func (p *parts) live(r refund.Request, class refund.Class) {
	p.t.Helper()
	claimed := p.claim(r, "token "+r.RefundNo)
	if claimed.Answer != refund.Yours {
		p.t.Fatalf("claim of %s: %d", r.Key, claimed.Answer)
	}
	recorder := &refund.Recorder{Records: p.store, Publisher: p, Fresh: time.Minute}
	rec, err := recorder.Publish(p.t.Context(), claimed.Record, nil)
	if err == nil && class != refund.NoCall {
		_, err = recorder.Note(p.t.Context(), rec, refund.News{Source: refund.FromWorker, Token: rec.Token, Outcome: refund.Outcome{Class: class}}, nil)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// whole wants a life back: nothing is paid twice, what may have been called is asked about, the order's sum holds, and
// sequences go on in the next epoch.
func (p *parts) whole(merchant string, epoch int64) {
	p.t.Helper()
	done, flying, failed := request(merchant, "done", "o1", 400), request(merchant, "flying", "o1", 300), request(merchant, "failed", "o1", 100)
	for r, want := range map[refund.Request]refund.ClaimAnswer{done: refund.Finished, flying: refund.InDoubt, failed: refund.Finished} {
		if got := p.claim(r, "again "+r.RefundNo); got.Answer != want {
			p.t.Errorf("%s: answer %d, want %d", r.Key, got.Answer, want)
		}
	}
	if got := p.claim(request(merchant, "over", "o1", 301), "t"); got.Answer != refund.OverTotal {
		p.t.Errorf("700 of 1000 are held, and 301 more: %d", got.Answer)
	}
	got := p.claim(request(merchant, "fits", "o1", 300), "t")
	if got.Answer != refund.Yours || got.Record.Last.Sequence != epoch*refund.SequenceBlock+1 {
		p.t.Errorf("300 more: %d, sequence %d", got.Answer, got.Record.Last.Sequence)
	}
	if p.chains.number(flying.Key) == 0 {
		p.t.Errorf("%s has no follow-up", flying.Key)
	}
}

func (p *parts) opened(merchant string) (epochs []int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.rebuilt {
		if r.Merchant == merchant {
			epochs = append(epochs, r.Epoch)
		}
	}
	return epochs
}

func (c *chains) number(key refund.Key) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left[key.String()]
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("not within 30 s: " + what)
		}
	}
}

// A server that comes back without anything is rebuilt, by itself.
func TestRestartedEmpty(t *testing.T) {
	dir := ownRedis(t, "REDIS_ADDR")
	server, err := realparts.StartRedis(dir, "redis")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	p := partsOn(t, []string{server.Addr}, "S1")
	p.open("S1")
	p.life("S1")
	if err := server.Empty(); err != nil {
		t.Fatal(err)
	}
	p.open("S1")
	p.whole("S1", 1)
}

// Of a cluster of three masters one is lost and comes back empty: its merchant is rebuilt, the others neither wait nor
// begin a new epoch.
func TestAMasterIsLost(t *testing.T) {
	dir := ownRedis(t, "REDIS_CLUSTER_ADDRS")
	nodes, err := realparts.StartRedisCluster(dir)
	if err != nil {
		t.Fatal(err)
	}
	var addrs []string
	for _, node := range nodes {
		t.Cleanup(node.Kill)
		addrs = append(addrs, node.Addr)
		if err := admin(t, node.Addr).ConfigSet(t.Context(), "cluster-require-full-coverage", "no").Err(); err != nil {
			t.Fatal(err)
		}
	}
	merchants := oneForEach(t, nodes, addrs)
	p := partsOn(t, addrs, merchants...)
	for _, merchant := range merchants {
		p.open(merchant)
		p.life(merchant)
	}

	const lost = 2
	nodes[lost].Kill()
	if err := os.RemoveAll(filepath.Join(dir, nodes[lost].Name, "appendonlydir")); err != nil {
		t.Fatal(err)
	}
	served := func(i int, no string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := p.store.Claim(ctx, claimOf(request(merchants[i], no, no, 1), "t"))
		return err
	}
	for i := range 2 {
		eventually(t, "the others are served while it is gone", func() bool { return served(i, "meanwhile") == nil })
	}
	var away *refund.Unavailable
	if err := served(lost, "early"); !errors.As(err, &away) {
		t.Fatalf("a claim at a master that is gone: %v", err)
	}
	if err := errors.Join(nodes[lost].Start(), nodes[lost].Await(func() bool { return realparts.Listening(nodes[lost].Addr) }, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	p.open(merchants[lost])
	p.whole(merchants[lost], 1)
	for i := range 2 {
		p.untouched(merchants[i])
	}
	for i, want := range [][]int64{{0}, {0}, {0, 1}} {
		if got := p.opened(merchants[i]); !slices.Equal(got, want) {
			t.Errorf("%s was opened with the epochs %v, want %v", merchants[i], got, want)
		}
	}
}

// untouched wants that a merchant has lost nothing and met no rebuild.
func (p *parts) untouched(merchant string) {
	p.t.Helper()
	rec, err := p.store.Load(p.t.Context(), request(merchant, "flying", "o1", 300).Key)
	if err != nil || rec.Epoch != 0 || rec.Token == "" || p.chains.number(rec.Key()) != 0 {
		p.t.Errorf("%+v, %v", rec, err)
	}
}

// oneForEach finds a merchant for each master.
func oneForEach(t *testing.T, nodes []*realparts.Redis, addrs []string) []string {
	t.Helper()
	client := dedupe.Dial(dedupe.Address{Addrs: addrs}).(*redis.ClusterClient)
	defer client.Close()
	names := make([]string, len(nodes))
	for n := 0; slices.Contains(names, ""); n++ {
		name := fmt.Sprint("S", n)
		master, err := client.MasterForKey(t.Context(), "{"+name+"}")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(nodes, func(node *realparts.Redis) bool { return node.Addr == master.Options().Addr })
		if i < 0 {
			t.Fatalf("nobody is at %s", master.Options().Addr)
		}
		names[i] = name
	}
	return names
}

// A replica is promoted without the last writes of its primary, which goes on for a while: what was lost is on the topic
// behind the offsets that the replica has a note of, or was never called.
func TestFailedOverWithoutItsLastWrites(t *testing.T) {
	dir := ownRedis(t, "REDIS_ADDR")
	primary, err := realparts.StartRedis(dir, "primary")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(primary.Kill)
	host, port, _ := net.SplitHostPort(primary.Addr)
	replica, err := realparts.StartRedis(dir, "replica", "--replicaof", host, port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(replica.Kill)
	ctx, atPrimary, atReplica := t.Context(), admin(t, primary.Addr), admin(t, replica.Addr)
	writesAlone := func(may string) {
		t.Helper()
		if err := atPrimary.ConfigSet(ctx, "min-replicas-to-write", may).Err(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the replica follows", func() bool {
		return strings.Contains(atReplica.Info(ctx, "replication").Val(), "master_link_status:up")
	})
	writesAlone("1")
	way := newSwitch(t, primary.Addr)
	p := partsOn(t, []string{way.Addr().String()}, "S1")
	p.open("S1")
	done := request("S1", "before", "o0", 1)
	p.live(done, refund.Succeeded)
	eventually(t, "the note is at the replica too, with all before it", func() bool {
		note, err := p.store.Noted(ctx, "S1")
		n, _ := atPrimary.Wait(ctx, 1, time.Second).Result()
		return err == nil && n == 1 && strings.Contains(note, ":2")
	})
	if err := atReplica.Do(ctx, "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	writesAlone("0") // it has not noticed yet
	p.life("S1")
	unannounced := request("S1", "unannounced", "o2", 1000)
	p.claim(unannounced, "t") // its intent was never published: it was never called
	way.to(replica.Addr)

	_, err = p.store.Load(ctx, done.Key)
	var changed *dedupe.ServerChangedError
	if !errors.As(err, &changed) || changed.Epoch != 0 {
		t.Fatalf("not noticed: %v", err)
	}
	p.open("S1")
	if got := p.claim(done, "t"); got.Answer != refund.Finished {
		t.Errorf("kept by the failover: %d", got.Answer)
	}
	p.whole("S1", 1)
	if got := p.claim(unannounced, "t2"); got.Answer != refund.Yours || got.Record.Last.Sequence != refund.SequenceBlock+1 || got.Record.Attempt != 1 {
		t.Errorf("never called: %+v", got)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := p.rebuilt[len(p.rebuilt)-1]; last.Restored != 3 {
		t.Errorf("%+v: what the note covers was read again", last)
	}
}

// switchable passes connections on to one server, and to another from then on.
type switchable struct {
	net.Listener
	mu     sync.Mutex
	target string
	open   []net.Conn
}

func newSwitch(t *testing.T, target string) *switchable {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &switchable{Listener: l, target: target}
	t.Cleanup(func() { l.Close(); s.to("") })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go s.pass(from)
		}
	}()
	return s
}

func (s *switchable) pass(from net.Conn) {
	defer from.Close()
	s.mu.Lock()
	to, err := net.Dial("tcp", s.target)
	if err != nil {
		s.mu.Unlock()
		return
	}
	s.open = append(s.open, from, to)
	s.mu.Unlock()
	defer to.Close()
	go func() { _, _ = io.Copy(to, from); to.Close() }()
	_, _ = io.Copy(from, to)
}

// to breaks all connections; new ones go to another server.
func (s *switchable) to(target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target = target
	for _, c := range s.open {
		c.Close()
	}
	s.open = nil
}
