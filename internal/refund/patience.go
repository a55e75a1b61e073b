package refund

import (
	"context"
	"errors"
	"time"
)

// Between two tries of a step: twice as long each time.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// lastWords is how long after the drain's bound the answer of a call is still
// recorded: losing it costs a query, not money.
const lastWords = 2 * time.Second

// persist repeats a step until it succeeds, ctx ends, or the delivery has lapsed.
func (r *Recorder) persist(ctx context.Context, name string, step func() error) error {
	for wait := firstPause; ; wait = min(2*wait, lastPause) {
		err := step()
		if err == nil || errors.Is(err, ErrLapsed) || errors.Is(err, ErrForgotten) {
			return err
		}
		if r.Trouble != nil {
			r.Trouble(name, err)
		}
		if pause(ctx, wait) != nil {
			return err
		}
	}
}

// pause waits, or ends with ctx. Package statuslog has the same, for the domain
// exports no clockwork.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
