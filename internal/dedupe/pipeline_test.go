package dedupe_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

// counter counts round trips and the claims in them, and can hold them up or refuse what has several steps.
type counter struct {
	pipelines, claims atomic.Int64
	came, hold        chan struct{} // told of each that is held up; closed where none is
	refuse            error         // of scripts with more than one claim
}

// counts has a counter look at all that the client sends from now on.
func counts(client redis.UniversalClient) *counter {
	c := &counter{came: make(chan struct{}), hold: make(chan struct{})}
	close(c.hold)
	client.AddHook(c)
	return c
}

func (c *counter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "hello" { // go-redis says it to each new connection
			return next(ctx, cmds)
		}
		c.pipelines.Add(1)
		refused := false
		for _, cmd := range cmds {
			claims := 0
			for _, arg := range cmd.Args() {
				if name, ok := arg.(*string); ok && *name == "claim" {
					claims++
				}
			}
			c.claims.Add(int64(claims))
			if claims > 1 && c.refuse != nil {
				refused = true
				cmd.SetErr(c.refuse)
			}
		}
		select {
		case c.came <- struct{}{}:
			<-c.hold
		case <-c.hold:
		}
		if refused {
			return c.refuse
		}
		return next(ctx, cmds)
	}
}

// holdUp lets two steps go that are held up, so that what comes next waits and goes together once release is called.
func (c *counter) holdUp(step func(i int)) (release func()) {
	c.hold = make(chan struct{})
	var held sync.WaitGroup
	for i := range 2 { // one pipeline each
		held.Go(func() { step(i) })
		<-c.came
	}
	return func() {
		close(c.hold)
		held.Wait()
	}
}

// await returns once so many steps wait; nothing tells of that, so it looks again and again.
func await(t *testing.T, store *dedupe.Store, waiting int) {
	for began := time.Now(); store.Waiting() < waiting; time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Errorf("%d steps wait, want %d", store.Waiting(), waiting)
			return
		}
	}
}

// What many ask for at the same time goes in few round trips; whose caller has gone meanwhile is not sent.
func TestManyStepsAreFewRoundTrips(t *testing.T) {
	for _, server := range servers[:2] {
		t.Run(server.name, func(t *testing.T) { manyStepsAreFewRoundTrips(t, server.dial(t)) })
	}
}

func manyStepsAreFewRoundTrips(t *testing.T, client redis.UniversalClient) {
	_, store := partOf(t, client)
	if _, err := store.Begin(t.Context(), dedupetestMerchant, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Claim(t.Context(), claimFor("first", "first")); err != nil { // the script is there, and the epoch known
		t.Fatal(err)
	}
	count := counts(client)
	const many = 400
	var all sync.WaitGroup
	claim := func(ctx context.Context, i int) {
		all.Go(func() {
			got, err := store.Claim(ctx, claimFor(fmt.Sprint("r", i), fmt.Sprint("o", i)))
			if ctx.Err() == nil && (err != nil || got.Answer != refund.Yours || got.Record.Request.RefundNo != fmt.Sprint("r", i)) {
				t.Errorf("%d: %d of %s, %v", i, got.Answer, got.Record.Key(), err)
			}
			if ctx.Err() != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%d ended with %v", i, err)
			}
		})
	}
	release := count.holdUp(func(i int) { claim(t.Context(), i) })
	gone, leave := context.WithCancel(t.Context())
	for i := range many {
		claim(t.Context(), 2+i)
	}
	for i := range 10 {
		claim(gone, 2+many+i)
	}
	await(t, store, many+10)
	leave()
	release()
	all.Wait()
	if count.claims.Load() != 2+many || count.pipelines.Load() > 2+many/64+3 {
		t.Errorf("%d steps in %d pipelines", count.claims.Load(), count.pipelines.Load())
	}
}

// TestStepsOfOneScriptAreTakenEachForItself: what fails, is refused or meets what the step before it has written, does so
// for itself alone.
func TestStepsOfOneScriptAreTakenEachForItself(t *testing.T) {
	for _, server := range servers[:2] {
		t.Run(server.name, func(t *testing.T) { stepsOfOneScript(t, server.dial(t)) })
	}
}

// TestBehindAProxyThatKeepsToSlots: where no script is taken for several merchants, each step goes alone.
func TestBehindAProxyThatKeepsToSlots(t *testing.T) {
	client := servers[0].dial(t)
	store := dedupe.New(client, dedupe.Options{Prefix: "refund", Retention: retention})
	load := func(i int) {
		if _, err := store.Load(t.Context(), refund.Key{Merchant: "M0", RefundNo: fmt.Sprint("none", i)}); err != nil {
			t.Error(err)
		}
	}
	claimAll(t, store, 1, 1)
	count := counts(client)
	count.refuse = proxyError("ERR eval/evalsha command keys must be in same slot")
	release := count.holdUp(load)
	var all sync.WaitGroup
	all.Go(func() { claimAll(t, store, 12, 3) })
	await(t, store, 36)
	release()
	all.Wait()
	if count.claims.Load() != 36 {
		t.Errorf("%d claims were asked for together, want all 36", count.claims.Load())
	}
}

type proxyError string

func (e proxyError) Error() string { return string(e) }
func (e proxyError) RedisError()   {}

func stepsOfOneScript(t *testing.T, client redis.UniversalClient) {
	ctx := t.Context()
	prefix := "test-" + rand.Text()
	t.Cleanup(func() { _ = remove(context.Background(), client, prefix) })
	options := dedupe.Options{Prefix: prefix, Retention: retention}
	store, another := dedupe.New(client, options), dedupe.New(client, options)
	for _, merchant := range []string{"A", "B", "C"} {
		if _, err := store.Begin(ctx, merchant, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := another.Begin(ctx, "B", 3); err != nil { // of this and the next the store does not know
		t.Fatal(err)
	}
	if err := another.Forget(ctx, "C"); err != nil {
		t.Fatal(err)
	}
	claim := func(merchant, no, order string) refund.Claim {
		c := claimFor(no, order)
		c.Request.Merchant, c.Request.Amount = merchant, c.Request.OrderAmount
		return c
	}
	damaged := refund.Key{Merchant: "A", RefundNo: "damaged"}
	if err := client.Set(ctx, store.RecordKey("A", "damaged"), "1|2", 0).Err(); err != nil {
		t.Fatal(err)
	}
	load := func(i int) {
		if _, err := store.Load(ctx, refund.Key{Merchant: "A", RefundNo: fmt.Sprint("none", i)}); err != nil {
			t.Error(err)
		}
	}
	load(0) // the script is there
	release := counts(client).holdUp(load)

	var all sync.WaitGroup
	steps := 0
	take := func(step func()) {
		all.Go(step)
		steps++
		await(t, store, steps) // so that they stand in this order
	}
	claims := func(c refund.Claim, want refund.ClaimAnswer) {
		take(func() {
			got, err := store.Claim(ctx, c)
			if err != nil || got.Answer != want || want == refund.Yours && got.Record.Request != c.Request {
				t.Errorf("%s: %d, %v, want %d", c.Request.Key, got.Answer, err, want)
			}
		})
	}
	claims(claim("A", "r1", "o1"), refund.Yours)
	take(func() {
		if _, err := store.Published(ctx, damaged, 2); err == nil || !strings.Contains(err.Error(), "is damaged") {
			t.Errorf("a damaged record: %v", err)
		}
	})
	take(func() {
		_, err := store.Claim(ctx, claim("C", "r1", "o1"))
		if missing, ok := errors.AsType[*dedupe.EpochMissingError](err); !ok || missing.Merchant != "C" {
			t.Errorf("a merchant that is not served: %v", err)
		}
	})
	claims(claim("A", "r2", "o1"), refund.OverTotal)
	claims(claim("A", "r1", "o1"), refund.Running)
	claims(claim("B", "r1", "o1"), refund.Yours)
	claims(claim("A", "r3", "o3"), refund.Yours)
	release()
	all.Wait()
	if rec, err := store.Load(ctx, refund.Key{Merchant: "B", RefundNo: "r1"}); err != nil || rec.Epoch != 3 || rec.Last.Sequence != 3001 {
		t.Errorf("under the epoch that had moved: %+v, %v", rec, err)
	}
}

// TestStepsOfManyMerchantsInACluster: a script has one slot.
func TestStepsOfManyMerchantsInACluster(t *testing.T) {
	client, prefix := servers[2].dial(t), "test-"+rand.Text()
	t.Cleanup(func() { _ = remove(context.Background(), client, prefix) })
	store := dedupe.New(client, dedupe.Options{Prefix: prefix, Retention: retention})
	claimAll(t, store, 12, 30)
}

// claimAll claims so many refunds of so many merchants, that are new, at once.
func claimAll(t *testing.T, store *dedupe.Store, merchants, refunds int) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	for m := range merchants {
		merchant := fmt.Sprint("M", m)
		if _, err := store.Begin(t.Context(), merchant, 0); err != nil {
			t.Error(err)
			return
		}
		for i := range refunds {
			all.Go(func() {
				c := claimFor(fmt.Sprintf("r%d-%d", refunds, i), fmt.Sprintf("o%d-%d", refunds, i))
				c.Request.Merchant = merchant
				got, err := store.Claim(t.Context(), c)
				if err != nil || got.Answer != refund.Yours || got.Record.Request != c.Request {
					t.Errorf("%s: %d, %v", c.Request.Key, got.Answer, err)
				}
			})
		}
	}
}
