//go:build unix

package chaos

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// statuses is what a subscriber knows: of each refund the event with the highest
// sequence.
type statuses struct {
	mu      sync.Mutex
	newest  map[string]statuslog.Entry // by merchant/refund_no
	changed time.Time                  // when an event came that said something new
	last    time.Time                  // when the last event came
	silence time.Duration              // the longest between two of them

	stop context.CancelFunc
	done chan struct{}
	err  error // once done: why it ended by itself
}

// watch follows the status topic until end, or ctx's.
func watch(ctx context.Context, client *app.Client) *statuses {
	s := &statuses{newest: map[string]statuslog.Entry{}, changed: time.Now(), last: time.Now(), done: make(chan struct{})}
	ctx, s.stop = context.WithCancel(ctx)
	go func() {
		defer close(s.done)
		err := client.Watch(ctx, func(e statuslog.Entry) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.silence, s.last = max(s.silence, time.Since(s.last)), time.Now()
			key := string(e.Key)
			if old, known := s.newest[key]; !known || old.Status.Sequence < e.Status.Sequence {
				if !known || old.Status.Status != e.Status.Status {
					s.changed = time.Now()
				}
				s.newest[key] = e
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			s.err = fmt.Errorf("following the status topic: %w", err)
		}
	}()
	return s
}

// end stops watching, and says why it had ended before.
func (s *statuses) end() error {
	s.stop()
	<-s.done
	return s.err
}

// longestSilence is the longest time between two events since it was last asked for.
func (s *statuses) longestSilence() (longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	longest, s.silence = max(s.silence, time.Since(s.last)), 0
	return longest
}

// unended is a refund that has no final status.
type unended struct {
	key    refund.Key
	status refund.Status
}

func (u unended) String() string {
	if u.status == refund.StatusNone {
		return u.key.String() + " no status"
	}
	return u.key.String() + " " + string(u.status)
}

// open names the refunds without an end, but those whose gateway never ends them.
func (s *statuses) open(all published) (open []unended, changed time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range all.keys {
		status := s.newest[key.String()].Status.Status
		if status.Final() || status.Open() && all.endless[key] {
			continue
		}
		open = append(open, unended{key, status})
	}
	return open, s.changed
}

const (
	settleTime = 3 * time.Minute
	settleLook = 250 * time.Millisecond
	// calm is how long nothing may change any more before it is judged: longer
	// than the longest delay and a lease.
	calm = longestDelay + claimLease + 2*time.Second
)

// settle waits until every refund has ended that can, all requests are taken, and
// nothing has changed for a while. It answers how long the first two took.
func (s *System) settle(ctx context.Context, seen *statuses, all published, log io.Writer) (time.Duration, error) {
	began, told := time.Now(), time.Time{}
	client, err := kafka.Open(kafka.Config{Brokers: s.Kafka.Brokers, ClientID: "chaos"})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	tick := time.NewTicker(settleLook)
	defer tick.Stop()
	var took time.Duration
	for {
		open, changed := seen.open(all)
		unread := int64(0)
		if len(open) == 0 {
			if unread, err = unreadRequests(ctx, client, s); err != nil {
				unread = 1 // not known while a coordinator comes back
			}
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(log, "%s settling: %d refunds without an end, %d requests not taken\n", told.Format(clockForm), len(open), unread)
		}
		switch {
		case len(open) > 0 || unread > 0:
			took = 0
		case took == 0:
			took = time.Since(began)
		case time.Since(changed) > calm && time.Since(began)-took > calm:
			return took, nil
		}
		if time.Since(began) > settleTime {
			return 0, fmt.Errorf("not settled %s after the publishing ended: %d requests not taken, %d refunds without an end: %s",
				settleTime, unread, len(open), open[:min(len(open), 10)])
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// unreadRequests counts what the group has not committed.
func unreadRequests(ctx context.Context, client *kafka.Client, s *System) (unread int64, err error) {
	topic := s.Config.Kafka.Topics.Requests
	committed, err := client.Committed(ctx, s.Config.Kafka.Group, topic)
	if err != nil {
		return 0, err
	}
	spans, err := client.Spans(ctx, topic)
	if err != nil {
		return 0, err
	}
	for _, span := range spans {
		unread += span.End - max(span.First, committed[span.Partition])
	}
	return unread, nil
}
