package dedupe_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

// TestTroubleIsUnavailable: whatever Redis says in trouble is *refund.Unavailable
// in words, and nothing is assumed.
func TestTroubleIsUnavailable(t *testing.T) {
	server := miniredis.RunT(t)
	store := dedupe.New(dial(t, server.Addr()), dedupe.Options{Prefix: "refund", Retention: time.Hour})
	if _, err := store.Begin(t.Context(), "M", 0); err != nil {
		t.Fatal(err)
	}
	rec := finished(t, store, "M", "r1", "o1")
	for said, want := range map[string]string{
		"READONLY You can't write against a read only replica.":                           "read-only",
		"LOADING Redis is loading the dataset in memory":                                  "loading",
		"OOM command not allowed when used memory > 'maxmemory'.":                         "out of memory",
		"CLUSTERDOWN The cluster is down":                                                 "cluster is down",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'": "no link to its master",
		"BUSY Redis is busy running a script.":                                            "busy",
		"MISCONF Redis is configured to save RDB snapshots":                               "cannot save",
		"NOREPLICAS Not enough good replicas to write.":                                   "fewer replicas",
		"NOAUTH Authentication required.":                                                 "wants a password",
		"NOPERM this user has no permissions to run the 'evalsha' command":                "may not run",
		"ERR Error running script (call to f_6b1b): @user_script:13: @user_script: 13: -OOM command not allowed when used memory > 'maxmemory'.": "out of memory",
		"ERR Error running script (call to f_6b1b): @user_script:13: @user_script: 13: -READONLY You can't write against a read only replica.":   "read-only",
		"ERR max number of clients reached":                       "most clients",
		"TRYAGAIN Multiple keys request during rehashing of slot": "moving this slot",
	} {
		server.SetError(said)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := store.Published(ctx, rec.Key(), 9)
		cancel()
		if down, ok := errors.AsType[*refund.Unavailable](err); !ok || !strings.Contains(down.Why, want) {
			t.Errorf("%s: %v", said, err)
		}
	}
	for _, ours := range []string{
		"ERR user_script:1: Script attempted to access nonexistent global variable",
		"ERR Error running script (call to f_6b1b): @user_script:13: user_script:13: attempt to compare nil with number",
	} {
		server.SetError(ours)
		_, err := store.Load(t.Context(), rec.Key())
		if _, ok := errors.AsType[*refund.Unavailable](err); ok || err == nil {
			t.Errorf("a defect of ours passes for an outage: %v", err)
		}
	}
	server.SetError("")
	if again, err := store.Load(t.Context(), rec.Key()); err != nil || again.Published != rec.Published {
		t.Errorf("afterwards: %+v, %v", again, err)
	}
}

// TestAServerThatIsSilent: the deadline of the context counts, and the words say
// what happened.
func TestAServerThatIsSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	store := dedupe.New(dial(t, l.Addr().String()), dedupe.Options{Prefix: "refund", Retention: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err = store.Load(ctx, refund.Key{Merchant: "M", RefundNo: "r1"})
	if down, ok := errors.AsType[*refund.Unavailable](err); !ok || !strings.Contains(down.Why, "in time") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = store.Load(ctx, refund.Key{Merchant: "M", RefundNo: "r1"})
	if _, ok := errors.AsType[*refund.Unavailable](err); !ok || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestScriptsAreSentAgain: a server that forgot the scripts gets them in full.
func TestScriptsAreSentAgain(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			client := server.dial(t)
			part, store := partOf(t, client)
			if _, err := part.Store.Begin(t.Context(), dedupetestMerchant, 0); err != nil {
				t.Fatal(err)
			}
			flush := func(ctx context.Context, c *redis.Client) error { return c.ScriptFlush(ctx).Err() }
			for _, no := range []string{"r1", "r2"} {
				var err error
				if cluster, ok := client.(*redis.ClusterClient); ok {
					err = cluster.ForEachMaster(t.Context(), flush)
				} else {
					err = flush(t.Context(), client.(*redis.Client))
				}
				if err != nil {
					t.Fatal(err)
				}
				finished(t, store, dedupetestMerchant, no, "o1")
			}
		})
	}
}

// TestForeignValues: what is not of our form is an error that names the refund,
// not a new refund.
func TestForeignValues(t *testing.T) {
	server := miniredis.RunT(t)
	store := dedupe.New(dial(t, server.Addr()), dedupe.Options{Prefix: "refund", Retention: time.Hour})
	if _, err := store.Begin(t.Context(), "M", 0); err != nil {
		t.Fatal(err)
	}
	rec := finished(t, store, "M", "r1", "o1")
	key := store.RecordKey("M", "r1")
	whole, err := server.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	for value, says := range map[string]string{
		"2" + whole[1:]: "in form", "x": "in form",
		"1|2": "is damaged", whole[:len(whole)-1]: "is damaged", strings.Replace(whole, "|S|", "|??|", 1): "is damaged",
	} {
		if err := server.Set(key, value); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Load(t.Context(), rec.Key()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q was read as %+v, %v", value, got, err)
		}
	}
	for value, says := range map[string]string{"2" + whole[1:]: "is of form 2,", "2|": "is of form 2,", "1|2": "is damaged"} {
		if err := server.Set(key, value); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Published(t.Context(), rec.Key(), 9); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("a script at %q: %v", value, err)
		}
	}
}

const dedupetestMerchant = "S0003469"

// TestHowLongThingsAreKept: open refunds and orders that hold something reserved
// for ever; final refunds for the retention, their order for longer.
func TestHowLongThingsAreKept(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			client := server.dial(t)
			_, store := partOf(t, client)
			ctx := t.Context()
			if _, err := store.Begin(ctx, dedupetestMerchant, 0); err != nil {
				t.Fatal(err)
			}
			left := func(key string) time.Duration {
				t.Helper()
				d, err := client.PTTL(ctx, key).Result()
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			record, order := store.RecordKey(dedupetestMerchant, "r1"), store.OrderKey(dedupetestMerchant, "o1")
			claimed, err := store.Claim(ctx, claimFor("r1", "o1"))
			if err != nil {
				t.Fatal(err)
			}
			if left(record) >= 0 || left(order) >= 0 {
				t.Errorf("an open refund expires in %v, its order in %v", left(record), left(order))
			}
			next := claimed.Record
			next.Last.Sequence++
			next.Last.Status, next.Holding = refund.StatusSucceeded, refund.HoldsSucceeded
			done, _, err := store.Record(ctx, next, next.Token)
			if err != nil {
				t.Fatal(err)
			}
			check := func(what string) {
				t.Helper()
				r, o := left(record), left(order)
				if r < retention-time.Minute || r > retention || o < retention+23*time.Hour {
					t.Errorf("%s: a final refund expires in %v, its order in %v", what, r, o)
				}
			}
			check("final")
			if _, err := store.Published(ctx, done.Key(), 2); err != nil {
				t.Fatal(err)
			}
			check("published")
			done.Doubt = true
			if _, _, err := store.Record(ctx, done, ""); err != nil {
				t.Fatal(err)
			}
			if got, err := store.Claim(ctx, claimFor("r1", "o1")); err != nil || got.Answer != refund.InDoubt {
				t.Fatal(got.Answer, err)
			}
			check("asked about")
			if got, err := store.Claim(ctx, claimFor("r2", "o1")); err != nil || got.Answer != refund.Yours {
				t.Fatal(got.Answer, err)
			}
			rejected := refund.Record{
				Request: claimFor("r3", "o3").Request, Order: "o3", Holding: refund.HoldsNothing,
				Last: refund.Event{Sequence: 1, Status: refund.StatusRejected, Source: refund.FromWorker, Matched: true},
			}
			if _, ok, err := store.Record(ctx, rejected, ""); err != nil || !ok {
				t.Fatal(ok, err)
			}
			if n := client.Exists(ctx, store.OrderKey(dedupetestMerchant, "o3")).Val(); n != 0 {
				t.Error("a refund that holds nothing made a key for its order")
			}
			if left(order) >= 0 {
				t.Errorf("an order with something reserved expires in %v", left(order))
			}
		})
	}
}
