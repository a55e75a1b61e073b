//go:build unix

package dedupe_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/dedupe"
)

// TestStepsLeaveADemotedServer: redis.addrs may name an address that moves to the new master (a service, a virtual address,
// a name) while the old one lives on as a replica and keeps its connections. A step that finds its server read-only has its
// connection closed, so that the next is made to where the address leads now.
func TestStepsLeaveADemotedServer(t *testing.T) {
	was, now := startOwn(t), startOwn(t)
	leads := new(atomic.Pointer[string])
	leads.Store(&was.addr)
	client := dedupe.Dial(dedupe.Address{Addrs: []string{movingAddress(t, leads)}, Timeout: time.Second})
	t.Cleanup(func() { client.Close() })
	store := dedupe.New(client, dedupe.Options{Prefix: "refund", Retention: time.Hour})
	if _, err := store.Begin(t.Context(), dedupetestMerchant, 0); err != nil {
		t.Fatal(err)
	}
	rec := finished(t, store, dedupetestMerchant, "r1", "o1")

	leads.Store(&now.addr)
	admin := dedupe.Dial(dedupe.Address{Addrs: []string{was.addr}})
	t.Cleanup(func() { admin.Close() })
	if err := admin.Do(t.Context(), "REPLICAOF", "127.0.0.1", strconv.Itoa(freePort(t))).Err(); err != nil {
		t.Fatal(err)
	}

	eventually(t, "readiness finds the new master", func() bool { return store.Writable(t.Context(), dedupetestMerchant) == nil })
	told := ""
	eventually(t, "a step reaches it, and meets nothing there yet", func() bool {
		_, err := store.Published(t.Context(), rec.Key(), 9)
		if said := fmt.Sprint(err); said != told {
			told = said
			t.Log(said)
		}
		_, empty := errors.AsType[*dedupe.EpochMissingError](err)
		return empty
	})
}

// movingAddress takes each new connection to where it leads then; those that are there stay.
func movingAddress(t *testing.T, leads *atomic.Pointer[string]) (addr string) {
	t.Helper()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close() })
	go func() {
		for {
			in, err := front.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", *leads.Load())
			if err != nil {
				in.Close()
				continue
			}
			for from, to := range map[net.Conn]net.Conn{in: out, out: in} {
				go func() {
					_, _ = io.Copy(to, from)
					to.Close()
				}()
			}
		}
	}()
	return front.Addr().String()
}
