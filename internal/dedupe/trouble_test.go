//go:build unix

package dedupe_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

// TestTroubleOfARealServer: whatever keeps a real server from taking a write stops
// every step and is said in words, to readiness too; a step that was refused left
// nothing behind; and once the trouble is over the same client goes on by itself,
// or meets a server that must be rebuilt first.
func TestTroubleOfARealServer(t *testing.T) {
	for _, trouble := range []struct {
		name       string
		args       []string
		begin, end func(*own, *redis.Client)
		want       string
		late       bool // a step may be done although nobody heard of it
		changed    bool // afterwards the server's identity is another
	}{
		{
			name: "a replica", want: "read-only", changed: true,
			begin: func(o *own, c *redis.Client) { o.do(c, "REPLICAOF", "127.0.0.1", strconv.Itoa(freePort(o.t))) },
			end:   func(o *own, c *redis.Client) { o.do(c, "REPLICAOF", "NO", "ONE") },
		},
		{
			name: "cut off from its replicas", want: "fewer replicas",
			begin: func(o *own, _ *redis.Client) { o.set("min-replicas-to-write", "1") },
			end:   func(o *own, _ *redis.Client) { o.set("min-replicas-to-write", "0") },
		},
		{
			name: "full", want: "out of memory", begin: (*own).fill,
			end: func(o *own, _ *redis.Client) { o.set("maxmemory", "0") },
		},
		{
			name: "a disk that takes nothing", want: "cannot save", args: []string{"--dbfilename", "taken"},
			begin: func(o *own, c *redis.Client) { // by another file of that name, which no rename replaces
				if err := os.MkdirAll(filepath.Join(o.dir, "taken", "in use"), 0o700); err != nil {
					o.t.Fatal(err)
				}
				o.set("save", "3600 1000000")
				o.save(c, "err")
			},
			end: func(o *own, c *redis.Client) {
				if err := os.RemoveAll(filepath.Join(o.dir, "taken")); err != nil {
					o.t.Fatal(err)
				}
				o.save(c, "ok")
			},
		},
		{
			name: "frozen", want: "in time", late: true,
			begin: func(o *own, _ *redis.Client) { o.signal(syscall.SIGSTOP) },
			end:   func(o *own, _ *redis.Client) { o.signal(syscall.SIGCONT) },
		},
		{
			name: "killed", want: "cannot be reached", changed: true,
			begin: func(o *own, _ *redis.Client) { o.kill() },
			end:   func(o *own, _ *redis.Client) { o.start() },
		},
		{
			name: "loading", want: "is loading", changed: true,
			args: []string{"--appendonly", "no", "--rdbcompression", "no", "--loading-process-events-interval-bytes", "1024"},
			begin: func(o *own, c *redis.Client) {
				for i := range 300 {
					o.do(c, "SET", fmt.Sprint("ballast", i), strings.Repeat("x", 2000))
				}
				o.do(c, "SAVE")
				o.kill()
				o.args = append(o.args, "--key-load-delay", "100000") // microseconds a key: 30 s
				o.ready = o.launch()
			},
			end: func(o *own, _ *redis.Client) {
				o.set("key-load-delay", "0")
				<-o.ready
			},
		},
	} {
		t.Run(trouble.name, func(t *testing.T) {
			server := startOwn(t, trouble.args...)
			admin := dial(t, server.addr).(*redis.Client)
			client := dedupe.Dial(dedupe.Address{Addrs: []string{server.addr}, Timeout: time.Second})
			t.Cleanup(func() { client.Close() })
			store := dedupe.New(client, dedupe.Options{Prefix: "refund", Retention: time.Hour})
			for _, merchant := range []string{dedupetestMerchant, pacedMerchant} {
				if _, err := store.Begin(t.Context(), merchant, 0); err != nil {
					t.Fatal(err)
				}
			}
			rec := finished(t, store, dedupetestMerchant, "r1", "o1")
			for _, no := range []string{"paced1", "paced2"} { // the second gets a place in the queue
				if _, err := store.Claim(t.Context(), paced(no)); err != nil {
					t.Fatal(err)
				}
			}
			if err := store.Writable(t.Context(), dedupetestMerchant); err != nil {
				t.Fatal(err)
			}

			trouble.begin(server, admin)
			eventually(t, "the server says so", func() bool { // it may not answer at all at first
				err := store.Writable(t.Context(), dedupetestMerchant)
				return err != nil && strings.Contains(err.Error(), trouble.want) && strings.Contains(err.Error(), server.addr)
			})
			for step, err := range writes(t, store, rec) {
				down, ok := errors.AsType[*refund.Unavailable](err)
				_, changed := errors.AsType[*dedupe.ServerChangedError](err)
				if !ok || !strings.Contains(down.Why, trouble.want) || changed {
					t.Errorf("%s: %v", step, err)
				}
			}

			trouble.end(server, admin)
			eventually(t, "it goes on by itself", func() bool {
				_, err := store.Load(t.Context(), rec.Key())
				_, changed := errors.AsType[*dedupe.ServerChangedError](err)
				return changed && trouble.changed || err == nil && !trouble.changed
			})
			eventually(t, "it is ready", func() bool { // other connections than those of the steps, with refusals of their own
				return store.Writable(t.Context(), dedupetestMerchant) == nil
			})
			if trouble.changed {
				reopen(t, store, dedupetestMerchant)
			}
			again, err := store.Load(t.Context(), rec.Key())
			if err != nil || again.Last != rec.Last || again.Published != rec.Published && !trouble.late {
				t.Errorf("%+v, %v", again, err)
			}
			refused, err := store.Load(t.Context(), refund.Key{Merchant: dedupetestMerchant, RefundNo: "r2"})
			if err != nil || refused.Known() && !trouble.late {
				t.Errorf("a step that was refused left %+v, %v", refused, err)
			}
			finished(t, store, dedupetestMerchant, "r3", "o3")
		})
	}
}

// writes tries each step that writes.
func writes(t *testing.T, store *dedupe.Store, rec refund.Record) map[string]error {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, claim := store.Claim(ctx, claimFor("r2", "o2"))
	_, queued := store.Claim(ctx, paced("paced3"))
	_, published := store.Published(ctx, rec.Key(), 9)
	rec.Doubt = true
	_, _, record := store.Record(ctx, rec, "")
	return map[string]error{"claim": claim, "queued": queued, "published": published, "record": record, "note": store.Note(ctx, dedupetestMerchant, "0:1")}
}

const pacedMerchant = "paced"

// paced is a claim of a merchant that is called once a second.
func paced(no string) refund.Claim {
	c := claimFor(no, no)
	c.Request.Merchant, c.Limits.Rate = pacedMerchant, 1
	return c
}

// reopen ends a rebuild that had nothing to bring back.
func reopen(t *testing.T, store *dedupe.Store, merchant string) {
	t.Helper()
	token, err := store.Lock(t.Context(), merchant, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Finish(t.Context(), merchant, token, 7); err != nil {
		t.Fatal(err)
	}
}

func (o *own) do(c *redis.Client, command ...any) {
	o.t.Helper()
	if err := c.Do(context.Background(), command...).Err(); err != nil {
		o.t.Fatalf("%v: %v", command, err)
	}
}

func (o *own) signal(s os.Signal) {
	o.t.Helper()
	if err := o.cmd.Process.Signal(s); err != nil {
		o.t.Fatal(err)
	}
}

// fill writes until a limit a little above what is used is reached, and puts it a little lower: right at a limit one
// step finds room and the next does not.
func (o *own) fill(c *redis.Client) {
	o.t.Helper()
	o.set("maxmemory", strconv.Itoa(int(number(o.t, c, "memory", "used_memory"))+1<<20))
	for i, refused := 0, 0; refused < 10; i++ {
		size := 10_000
		if refused > 0 {
			size = 10
		}
		err := c.Set(context.Background(), fmt.Sprint("ballast", i), strings.Repeat("x", size), 0).Err()
		switch {
		case err != nil && strings.HasPrefix(err.Error(), "OOM"):
			refused++
		case err != nil || i > 10_000:
			o.t.Fatal(i, err)
		}
	}
	o.set("maxmemory", strconv.Itoa(int(number(o.t, c, "memory", "used_memory"))-200_000))
}

// save writes a snapshot and waits for how that went.
func (o *own) save(c *redis.Client, how string) {
	o.t.Helper()
	o.do(c, "BGSAVE")
	eventually(o.t, "a snapshot ends: "+how, func() bool {
		return strings.Contains(c.Info(context.Background(), "persistence").Val(), "rdb_last_bgsave_status:"+how)
	})
}

// number reads one of what INFO tells.
func number(t testing.TB, c *redis.Client, section, name string) float64 {
	t.Helper()
	text, err := c.Info(context.Background(), section).Result()
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(text, "\n"+name+":")
	value, _, _ := strings.Cut(after, "\r\n")
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Fatalf("%s of INFO %s: %v", name, section, err)
	}
	return n
}
