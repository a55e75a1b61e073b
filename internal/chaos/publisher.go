//go:build unix

package chaos

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/refundworker/refundworker/internal/app"
)

// publisher sends what the shop makes. Each message is written until it is
// acknowledged, so that nothing is missing on the topic for its own reasons.
type publisher struct {
	shop   *shop
	client *app.Client
	books  Books
	rate   float64 // orders a second
}

const (
	publishers   = 16
	publishPause = 50 * time.Millisecond
)

// run makes orders until making ends, and returns once everything that is due is
// acknowledged, or ctx has ended.
func (p *publisher) run(ctx context.Context, making <-chan struct{}) error {
	began := time.Now()
	work := make(chan message)
	failed := make(chan error, publishers)
	var senders sync.WaitGroup
	for range publishers {
		senders.Go(func() {
			for m := range work {
				if err := p.publish(ctx, m); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	err := p.feed(ctx, making, began, work, failed)
	close(work)
	senders.Wait()
	select {
	case late := <-failed:
		return late
	default:
		return err
	}
}

// feed hands messages out when they are due; once the making has ended, at once.
func (p *publisher) feed(ctx context.Context, making <-chan struct{}, began time.Time, work chan<- message, failed <-chan error) error {
	var queue schedule
	tick := time.NewTicker(publishPause)
	defer tick.Stop()
	for made := 0; ; {
		now, open := time.Since(began), true
		select {
		case <-making:
			open = false
		default:
		}
		for ; open && float64(made) < now.Seconds()*p.rate; made++ {
			for _, m := range p.shop.order(now) {
				heap.Push(&queue, m)
			}
		}
		for len(queue) > 0 && (!open || queue[0].due <= now) {
			select {
			case work <- queue[0]:
				heap.Pop(&queue)
			case err := <-failed:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if !open {
			return nil
		}
		select {
		case <-tick.C:
		case <-making:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// publish tells the gateway its script, then writes until it is acknowledged. What
// was not acknowledged may be there twice: one repeat more.
func (p *publisher) publish(ctx context.Context, m message) error {
	if m.script != nil {
		if err := p.books.Command(ctx, map[string]any{"scripts": map[string]any{m.no: m.script}}); err != nil {
			return fmt.Errorf("telling the gateway its script of %s: %w", m.no, err)
		}
	}
	for {
		bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := p.client.Publish(bounded, []byte(m.key), m.body)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("publishing %s: %w", m.no, err)
		}
	}
}

// schedule is a heap of messages by their time.
type schedule []message

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due < s[j].due }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(m any)        { *s = append(*s, m.(message)) }
func (s *schedule) Pop() any {
	old := *s
	last := old[len(old)-1]
	*s = old[:len(old)-1]
	return last
}
