//go:build unix

package lab

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Alone sends one refund at a time to an idle system and measures, from before the
// request is written until its final event is read, as a publisher that subscribes
// sees it.
func (s *Scene) Alone(ctx context.Context, samples int) (Measure, error) {
	reader, err := kgo.NewClient(kgo.SeedBrokers(s.lab.Kafka.Brokers...), kgo.ConsumeTopics(s.prefix+"status"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(time.Second))
	if err != nil {
		return Measure{}, err
	}
	defer reader.Close()
	if err := s.Start(); err != nil {
		return Measure{}, err
	}
	if err := s.Ready(); err != nil {
		return Measure{}, err
	}
	const unmeasured = 20 // connections, scripts, caches
	var begin sample
	took := make([]time.Duration, 0, samples)
	for i := range samples + unmeasured {
		if i == unmeasured {
			if begin, err = s.sample(ctx); err != nil {
				return Measure{}, err
			}
		}
		bounded, cancel := context.WithTimeout(ctx, readyTime)
		one, err := s.alone(bounded, reader, i)
		cancel()
		if err != nil {
			return Measure{}, err
		}
		if i >= unmeasured {
			took = append(took, one)
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return Measure{}, err
		}
	}
	end, err := s.sample(ctx)
	if err != nil {
		return Measure{}, err
	}
	m := s.between(begin, end)
	slices.Sort(took)
	m.P50, m.P99 = ms(took[len(took)/2]), ms(took[len(took)*99/100])
	return m, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (s *Scene) alone(ctx context.Context, reader *kgo.Client, i int) (time.Duration, error) {
	record := s.lab.record(s.o.Backlog.Topic, Request(i, s.o.Backlog.Merchants))
	began := time.Now()
	s.lab.client.Produce(ctx, record, nil)
	for final := 0; final < s.perRefund; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return 0, fmt.Errorf("%s, refund %d alone: %w: see %s", s.o.Contender, i, err, s.Contender.Log)
		}
		final += fetches.NumRecords()
	}
	return time.Since(began), nil
}
