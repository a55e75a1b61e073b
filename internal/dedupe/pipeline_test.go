package dedupe_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/refund"
)

// counter counts round trips, and can hold them up.
type counter struct {
	pipelines, commands atomic.Int64
	hold                chan struct{} // nil: at once
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
		c.commands.Add(int64(len(cmds)))
		if c.hold != nil {
			<-c.hold
		}
		return next(ctx, cmds)
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
	count := &counter{hold: make(chan struct{})}
	client.AddHook(count)
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
	for i := range 2 { // one pipeline each, held up
		claim(t.Context(), i)
		for count.pipelines.Load() <= int64(i) {
			time.Sleep(time.Millisecond)
		}
	}
	gone, leave := context.WithCancel(t.Context())
	for i := range many {
		claim(t.Context(), 2+i)
	}
	for i := range 10 {
		claim(gone, 2+many+i)
	}
	for store.Waiting() < many+10 {
		time.Sleep(time.Millisecond)
	}
	leave()
	close(count.hold)
	all.Wait()
	if count.commands.Load() != 2+many || count.pipelines.Load() > 2+many/64+3 {
		t.Errorf("%d steps in %d pipelines", count.commands.Load(), count.pipelines.Load())
	}
}
