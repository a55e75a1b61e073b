//go:build unix

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// KillNine kills the contender with half of the refunds done, starts it again, and
// once nothing moves any more holds the gateway's books against the requests: who
// was never paid, who was paid twice, and who was paid without anybody being told.
func (s *Scene) KillNine(ctx context.Context) (Measure, error) {
	if err := s.Start(); err != nil {
		return Measure{}, err
	}
	if err := s.await(ctx, int64(s.o.Backlog.Refunds*s.perRefund/2), readyTime); err != nil {
		return Measure{}, err
	}
	s.Contender.Kill()
	if err := s.Start(); err != nil {
		return Measure{}, err
	}
	if err := s.settled(ctx); err != nil {
		return Measure{}, err
	}
	paid, err := s.books(ctx)
	if err != nil {
		return Measure{}, err
	}
	told, err := s.told(ctx)
	if err != nil {
		return Measure{}, err
	}
	m := Measure{Refunds: float64(s.o.Backlog.Refunds), Load: Load()}
	for i := range s.o.Backlog.Refunds {
		switch key := Request(i, s.o.Backlog.Merchants).Key.String(); {
		case paid[key] == 0:
			m.Lost++
		case paid[key] > 1:
			m.Twice++
		case !told[key]:
			m.Untold++
		}
	}
	return m, nil
}

const (
	quietOnceTaken = 8 * time.Second  // longer than any lease and delay of these runs
	quietFor       = 40 * time.Second // longer than any session timeout too
	settleBound    = 3 * time.Minute
)

// settled waits until all refunds have a final event, or nothing has moved for long.
func (s *Scene) settled(ctx context.Context) error {
	bound := time.Now().Add(settleBound)
	last, since := int64(-1), time.Now()
	for {
		told, err := s.told(ctx)
		if err != nil || len(told) == s.o.Backlog.Refunds {
			return err
		}
		n, err := s.lab.ends(ctx, s.prefix+"status")
		if err != nil {
			return err
		}
		if n != last {
			last, since = n, time.Now()
		}
		taken, err := s.taken(ctx)
		if err != nil {
			return err
		}
		if quiet := time.Since(since); quiet > quietFor || taken && quiet > quietOnceTaken {
			return nil
		}
		if time.Now().After(bound) {
			return fmt.Errorf("%s still publishes after %s: see %s", s.o.Contender, settleBound, s.Contender.Log)
		}
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

// taken tells whether the group has committed all requests.
func (s *Scene) taken(ctx context.Context) (bool, error) {
	committed, err := s.lab.admin.FetchOffsets(ctx, s.prefix+"group")
	if err != nil {
		return false, err
	}
	var sum int64
	committed.Each(func(o kadm.OffsetResponse) {
		if o.Topic == s.o.Backlog.Topic {
			sum += max(0, o.At)
		}
	})
	return sum == int64(s.o.Backlog.Refunds), nil
}

// told reads the status topic: which refunds have a final event.
func (s *Scene) told(ctx context.Context) (map[string]bool, error) {
	until, err := s.lab.ends(ctx, s.prefix+"status")
	if err != nil {
		return nil, err
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(s.lab.Kafka.Brokers...), kgo.ConsumeTopics(s.prefix+"status"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	told := map[string]bool{}
	for read := int64(0); read < until; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		for iter := fetches.RecordIter(); !iter.Done(); read++ {
			r := iter.Next()
			var event struct {
				Final bool `json:"final"`
			}
			if err := json.Unmarshal(r.Value, &event); err != nil {
				return nil, err
			}
			if event.Final {
				told[string(r.Key)] = true
			}
		}
	}
	return told, nil
}
