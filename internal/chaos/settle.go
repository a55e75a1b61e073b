//go:build unix

package chaos

import (
	"context"
	"fmt"
	"io"
	"strings"
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
}

// watch follows the status topic until ctx ends.
func watch(ctx context.Context, client *app.Client) *statuses {
	s := &statuses{newest: map[string]statuslog.Entry{}, changed: time.Now()}
	go func() {
		_ = client.Watch(ctx, func(e statuslog.Entry) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			key := string(e.Key)
			if old, known := s.newest[key]; !known || old.Status.Sequence < e.Status.Sequence {
				if !known || old.Status.Status != e.Status.Status {
					s.changed = time.Now()
				}
				s.newest[key] = e
			}
			return nil
		})
	}()
	return s
}

// open names the refunds without an end, but those whose gateway never ends them.
func (s *statuses) open(all published) (open []string, changed time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range all.keys {
		status := s.newest[key].Status.Status
		if status.Final() || status.Open() && all.endless[key] {
			continue
		}
		if status == refund.StatusNone {
			status = "no status"
		}
		open = append(open, key+" "+string(status))
	}
	return open, s.changed
}

const (
	settleTime = 3 * time.Minute
	settleLook = 250 * time.Millisecond
	// calm is how long nothing may change any more before it is judged: longer
	// than the longest delay and a lease.
	calm = 5*time.Second + claimLease + 2*time.Second
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
			return 0, fmt.Errorf("not settled %s after the last fault: %d requests not taken, %d refunds without an end: %s",
				settleTime, unread, len(open), strings.Join(open[:min(len(open), 10)], ", "))
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
