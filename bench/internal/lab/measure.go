//go:build unix

package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// Measure is one window of one contender, or the whole of another kind of run.
// Figures that were not taken are zero.
type Measure struct {
	Round     int     `json:"round"`
	Refunds   float64 `json:"refunds"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`

	// CPU in microseconds (user and system) for each refund.
	CPU        float64 `json:"cpu_us"`
	KafkaCPU   float64 `json:"kafka_cpu_us"`
	RedisCPU   float64 `json:"redis_cpu_us"`
	GatewayCPU float64 `json:"gateway_cpu_us"`

	PeakRSS    float64 `json:"peak_rss_mb"`
	RedisBytes float64 `json:"redis_bytes"` // held for each refund
	KafkaBytes float64 `json:"kafka_bytes"` // on disk for each refund, beside its request

	P50 float64 `json:"p50_ms,omitempty"`
	P99 float64 `json:"p99_ms,omitempty"`

	Lost   int `json:"never_paid"`
	Twice  int `json:"paid_twice"`
	Untold int `json:"paid_but_never_told"`

	Load float64 `json:"load"` // the machine's load average
}

// ErrExhausted: the backlog was too small for the window.
var ErrExhausted = errors.New("the backlog was done before the window ended: fill more (-most)")

// sample is everything at one instant.
type sample struct {
	at                               time.Time
	events                           int64
	contender, kafka, redis, gateway Usage
}

func (s *Scene) sample(ctx context.Context) (m sample, err error) {
	if m.events, err = s.lab.ends(ctx, s.prefix+"status"); err != nil {
		return m, err
	}
	m.at = time.Now()
	for pid, to := range map[int]*Usage{s.Contender.Pid(): &m.contender, s.lab.Redis.Pid(): &m.redis, s.gateway.Pid(): &m.gateway} {
		if *to, err = usage(pid); err != nil {
			return m, err
		}
	}
	for _, node := range s.lab.Kafka.Nodes {
		one, err := usage(node.Pid())
		if err != nil {
			return m, err
		}
		m.kafka.CPU += one.CPU
	}
	return m, nil
}

// Window lets the contender work for warm, then measures it for window.
func (s *Scene) Window(ctx context.Context, warm, window time.Duration) (Measure, error) {
	memory, err := s.lab.redisMemory(ctx)
	if err != nil {
		return Measure{}, err
	}
	if err := s.Start(); err != nil {
		return Measure{}, err
	}
	if err := s.await(ctx, 1, readyTime); err != nil {
		return Measure{}, err
	}
	if err := sleep(ctx, warm); err != nil {
		return Measure{}, err
	}
	begin, err := s.sample(ctx)
	if err != nil {
		return Measure{}, err
	}
	if s.o.Contender == "profiled" {
		err = s.profile(ctx, window)
	} else {
		err = sleep(ctx, window)
	}
	if err != nil {
		return Measure{}, err
	}
	end, err := s.sample(ctx)
	if err != nil {
		return Measure{}, err
	}
	if end.events >= int64(s.o.Backlog.Refunds*s.perRefund) {
		return Measure{}, ErrExhausted
	}
	m := s.between(begin, end)
	if m.Refunds == 0 {
		return m, fmt.Errorf("%s did nothing in the window: see %s", s.o.Contender, s.Contender.Log)
	}
	done := float64(end.events) / float64(s.perRefund)
	after, err := s.lab.redisMemory(ctx)
	if err != nil {
		return m, err
	}
	bytes, err := s.lab.topicBytes(ctx, s.prefix)
	if err != nil {
		return m, err
	}
	m.RedisBytes, m.KafkaBytes = float64(after-memory)/done, float64(bytes)/done
	s.Contender.Kill()
	last, err := s.lab.ends(ctx, s.prefix+"status")
	if err != nil {
		return m, err
	}
	return m, s.audit(ctx, int(last)/s.perRefund)
}

func (s *Scene) between(begin, end sample) Measure {
	m := Measure{Refunds: float64(end.events-begin.events) / float64(s.perRefund), Seconds: end.at.Sub(begin.at).Seconds(), Load: Load()}
	if m.Refunds == 0 {
		return m
	}
	m.PerSecond = m.Refunds / m.Seconds
	per := func(b, e Usage) float64 { return float64((e.CPU - b.CPU).Microseconds()) / m.Refunds }
	m.CPU, m.KafkaCPU = per(begin.contender, end.contender), per(begin.kafka, end.kafka)
	m.RedisCPU, m.GatewayCPU = per(begin.redis, end.redis), per(begin.gateway, end.gateway)
	m.PeakRSS = float64(end.contender.PeakRSS) / 1e6
	return m
}

// await waits until so many events are on the status topic.
func (s *Scene) await(ctx context.Context, events int64, within time.Duration) error {
	deadline := time.Now().Add(within)
	for {
		n, err := s.lab.ends(ctx, s.prefix+"status")
		if err != nil || n >= events {
			return err
		}
		select {
		case <-s.Contender.Exited():
			return fmt.Errorf("%s ended: see %s", s.o.Contender, s.Contender.Log)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s has %d events after %s: see %s", s.o.Contender, n, within, s.Contender.Log)
		}
	}
}

// audit holds what was counted against the gateway's books.
func (s *Scene) audit(ctx context.Context, done int) error {
	paid, err := s.books(ctx)
	if err != nil {
		return err
	}
	for no, times := range paid {
		if times > 1 {
			return fmt.Errorf("%s paid %s %d times", s.o.Contender, no, times)
		}
	}
	if len(paid) < done-s.o.InFlight || len(paid) > done+s.o.InFlight {
		return fmt.Errorf("%s: %d refunds by its events, %d by the gateway's books", s.o.Contender, done, len(paid))
	}
	return nil
}

// books answers how often each refund was paid.
func (s *Scene) books(ctx context.Context) (map[string]int, error) {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.lab.at(portControl)+"/ledger", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	paid := map[string]int{}
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		var entry struct {
			Merchant string `json:"merchant"`
			RefundNo string `json:"refund_no"`
		}
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
			return nil, err
		}
		paid[entry.Merchant+"/"+entry.RefundNo]++
	}
	return paid, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Keep leaves the last lines of a log with an error.
func (s *Scene) Keep() string {
	if s.Contender == nil {
		return ""
	}
	text, _ := os.ReadFile(s.Contender.Log)
	return string(text[max(0, len(text)-2000):])
}

// Drain measures a contender from its first refund to its last.
func (s *Scene) Drain(ctx context.Context) (Measure, error) {
	if err := s.Start(); err != nil {
		return Measure{}, err
	}
	if err := s.await(ctx, 1, readyTime); err != nil {
		return Measure{}, err
	}
	begin, err := s.sample(ctx)
	if err != nil {
		return Measure{}, err
	}
	if err := s.await(ctx, int64(s.o.Backlog.Refunds*s.perRefund), 30*time.Minute); err != nil {
		return Measure{}, err
	}
	end, err := s.sample(ctx)
	if err != nil {
		return Measure{}, err
	}
	return s.between(begin, end), s.audit(ctx, s.o.Backlog.Refunds)
}
