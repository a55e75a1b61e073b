package dedupe_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

// lossy passes bytes to a server and back; once, when told, it takes the server's
// reply and breaks the connection instead.
type lossy struct {
	net.Listener
	lose atomic.Bool
	lost atomic.Int64
}

func newLossy(t *testing.T, server string) *lossy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &lossy{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(client, server)
		}
	}()
	return p
}

func (p *lossy) serve(client net.Conn, server string) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	go io.Copy(upstream, client)
	buffer := make([]byte, 64<<10)
	for {
		n, err := upstream.Read(buffer)
		if err != nil {
			return
		}
		if p.lose.CompareAndSwap(true, false) {
			p.lost.Add(1)
			return // the server has done its step; nobody hears of it
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// TestALostReplyIsHarmless: the step is sent again over a new connection, and
// gets the answer of the first.
func TestALostReplyIsHarmless(t *testing.T) {
	proxy := newLossy(t, miniredis.RunT(t).Addr())
	store := dedupe.New(dial(t, proxy.Addr().String()), dedupe.Options{Prefix: "refund", Retention: time.Hour})
	ctx := t.Context()
	if _, err := store.Begin(ctx, dedupetestMerchant, 0); err != nil {
		t.Fatal(err)
	}
	// Each script is known to the server before its reply is lost.
	done := finished(t, store, dedupetestMerchant, "r0", "o0")
	if got, err := store.Resend(ctx, done, "t", time.Minute); err != nil || got.Answer != refund.NotYours {
		t.Fatal(got.Answer, err)
	}

	proxy.lose.Store(true)
	got, err := store.Claim(ctx, claimFor("r1", "o1"))
	if err != nil || got.Answer != refund.Yours || got.Record.Version != 1 || got.Record.Attempt != 1 {
		t.Fatalf("claim: %+v, %v", got, err)
	}
	next := got.Record
	next.Last.Sequence, next.Last.Status = 2, refund.StatusUnknown
	proxy.lose.Store(true)
	rec, ok, err := store.Record(ctx, next, next.Token)
	if err != nil || !ok || rec.Version != 2 {
		t.Fatalf("record: %t, %+v, %v", ok, rec, err)
	}
	proxy.lose.Store(true)
	asked, err := store.Claim(ctx, claimFor("r1", "o1"))
	if err != nil || asked.Answer != refund.InDoubt || asked.Record.Version != 3 {
		t.Fatalf("query: %+v, %v", asked, err)
	}
	proxy.lose.Store(true)
	sent, err := store.Resend(ctx, asked.Record, asked.Record.Token, time.Minute)
	if err != nil || sent.Answer != refund.Yours || sent.Record.Attempt != 2 {
		t.Fatalf("resend: %+v, %v", sent, err)
	}
	proxy.lose.Store(true)
	if rec, err = store.Published(ctx, rec.Key(), 2); err != nil || rec.Published != 2 || rec.Version != 4 {
		t.Fatalf("published: %+v, %v", rec, err)
	}
	if lost := proxy.lost.Load(); lost != 5 {
		t.Errorf("%d replies were lost, want 5", lost)
	}
}
