package dedupe_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

func TestCheckLetsGoodServersThrough(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			store := dedupe.New(server.dial(t), dedupe.Options{Prefix: "refund", Retention: time.Hour})
			if err := store.Check(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := store.Advice(t.Context()); err != nil {
				t.Error(err)
			}
			id, err := store.Identity(t.Context(), "M")
			if err != nil || (len(id) == 40) != (server.name != "miniredis") {
				t.Errorf("identity %q, %v", id, err)
			}
		})
	}
}

// own is a redis-server of the test's own, which it may break.
type own struct {
	t     *testing.T
	addr  string
	dir   string
	args  []string
	cmd   *exec.Cmd
	ready <-chan struct{}
}

func startOwn(t *testing.T, args ...string) *own {
	t.Helper()
	fromEnvironment(t, "REDIS_ADDR") // only where real servers are wanted
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("no redis-server in PATH: not run")
	}
	port, dir := strconv.Itoa(freePort(t)), t.TempDir()
	o := &own{t: t, addr: "127.0.0.1:" + port, dir: dir, args: append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
	}, args...)}
	o.start()
	t.Cleanup(o.kill)
	return o
}

func (o *own) start() {
	o.t.Helper()
	select {
	case <-o.launch():
	case <-time.After(30 * time.Second):
		o.t.Fatal("redis-server is not ready after 30 s")
	}
}

// launch starts it and answers a channel that is closed once it has loaded its data.
func (o *own) launch() <-chan struct{} {
	o.t.Helper()
	o.cmd = exec.Command("redis-server", o.args...)
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		o.t.Fatal(err)
	}
	if err := o.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		buffer, seen, told := make([]byte, 4096), "", false
		for {
			n, err := out.Read(buffer)
			seen += string(buffer[:n])
			if !told && strings.Contains(seen, "Ready to accept connections") {
				close(ready)
				told = true
			}
			if err != nil {
				return
			}
		}
	}()
	return ready
}

func (o *own) kill() {
	if o.cmd != nil {
		o.cmd.Process.Kill()
		o.cmd.Wait()
		o.cmd = nil
	}
}

func (o *own) set(name, value string) {
	o.t.Helper()
	if err := dial(o.t, o.addr).(*redis.Client).ConfigSet(context.Background(), name, value).Err(); err != nil {
		o.t.Fatal(err)
	}
}

// TestARestartIsNoticed: a real server that is killed and started again on its
// own files has all that was written, and is not believed all the same: with
// appendfsync everysec it would have lost a second.
func TestARestartIsNoticed(t *testing.T) {
	server := startOwn(t)
	store := dedupe.New(dial(t, server.addr), dedupe.Options{Prefix: "refund", Retention: time.Hour})
	ctx := t.Context()
	if _, err := store.Begin(ctx, "M", 4); err != nil {
		t.Fatal(err)
	}
	rec := finished(t, store, "M", "r1", "o1")

	server.kill()
	_, err := store.Load(ctx, rec.Key())
	if down, ok := errors.AsType[*refund.Unavailable](err); !ok || down.Why == "" {
		t.Fatalf("down: %v", err)
	}
	server.start()
	_, err = store.Load(ctx, rec.Key())
	if changed, ok := errors.AsType[*dedupe.ServerChangedError](err); !ok || changed.Epoch != 4 {
		t.Fatalf("restarted: %v", err)
	}
	token, err := store.Lock(ctx, "M", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Finish(ctx, "M", token, 5); err != nil {
		t.Fatal(err)
	}
	again, err := store.Load(ctx, rec.Key())
	if err != nil || again.Last != rec.Last || again.Epoch != 5 {
		t.Fatalf("%+v, %v", again, err)
	}
}

// TestAPromotionIsNoticed: the connection stays, the process stays, all data
// stays, and yet it has been a replica meanwhile.
func TestAPromotionIsNoticed(t *testing.T) {
	client := dial(t, startOwn(t).addr).(*redis.Client)
	store := dedupe.New(client, dedupe.Options{Prefix: "refund", Retention: time.Hour})
	ctx := t.Context()
	if _, err := store.Begin(ctx, "M", 0); err != nil {
		t.Fatal(err)
	}
	rec := finished(t, store, "M", "r1", "o1")
	if err := client.Do(ctx, "REPLICAOF", "127.0.0.1", strconv.Itoa(freePort(t))).Err(); err != nil {
		t.Fatal(err)
	}
	_, err := store.Published(ctx, rec.Key(), 9)
	if down, ok := errors.AsType[*refund.Unavailable](err); !ok || !strings.Contains(down.Why, "read-only") {
		t.Fatalf("a replica: %v", err)
	}
	if err := client.Do(ctx, "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	_, err = store.Load(ctx, rec.Key())
	if _, ok := errors.AsType[*dedupe.ServerChangedError](err); !ok {
		t.Fatalf("promoted: %v", err)
	}
}

func TestCheckRefuses(t *testing.T) {
	server := startOwn(t)
	store := dedupe.New(dial(t, server.addr), dedupe.Options{Prefix: "refund", Retention: time.Hour, FailoverGrace: 15 * time.Second})
	refused := func(want string) {
		t.Helper()
		if err := store.Check(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	server.set("maxmemory-policy", "allkeys-lru")
	refused(`maxmemory-policy is "allkeys-lru" and must be noeviction`)
	if _, err := store.Lock(t.Context(), "M", time.Minute); err == nil || !strings.Contains(err.Error(), "must be noeviction") {
		t.Errorf("a server that took the place of a checked one is not: %v", err)
	}
	server.set("maxmemory-policy", "noeviction")
	if err := store.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := store.Lock(t.Context(), "M", time.Minute); err != nil {
		t.Error(err)
	}
	server.set("appendonly", "no")
	if advice, err := store.Advice(t.Context()); err != nil || len(advice) != 2 || !strings.Contains(advice[0], "appendonly is off") {
		t.Errorf("%q, %v", advice, err)
	}

	host, port, _ := net.SplitHostPort(server.addr)
	replica := startOwn(t, "--replicaof", host, port)
	eventually(t, "the replica is known", func() bool {
		err := store.Check(t.Context())
		return err != nil && strings.Contains(err.Error(), "set min-replicas-to-write 1")
	})
	server.set("min-replicas-to-write", "1")
	server.set("min-replicas-max-lag", "60")
	refused("longer than redis.failover_grace (15s)")
	server.set("min-replicas-max-lag", "10")
	if err := store.Check(t.Context()); err != nil {
		t.Error(err)
	}
	store = dedupe.New(dial(t, replica.addr), dedupe.Options{Prefix: "refund", Retention: time.Hour})
	refused("is a replica: give the address of its master")

	member := startOwn(t, "--cluster-enabled", "yes", "--cluster-config-file", filepath.Join(t.TempDir(), "nodes.conf"), "--cluster-port", strconv.Itoa(freePort(t)))
	store = dedupe.New(dial(t, member.addr), dedupe.Options{Prefix: "refund", Retention: time.Hour})
	refused("give several addresses of it")
}

// freePort is below those that the system gives to connections.
func freePort(t *testing.T) int {
	for range 100 {
		port := 20000 + rand.IntN(10000)
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port between 20000 and 30000")
	return 0
}

// eventually waits for what a server of its own does in its own time.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(15 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("not within 15 s: " + what)
		}
	}
}
