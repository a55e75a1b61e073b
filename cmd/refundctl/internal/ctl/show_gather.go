package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// gathering reads all topics for one refund number, which several merchants may
// have.
type gathering struct {
	run                *run
	system             *system
	merchant, refundNo string
	from               kafka.From

	mu    sync.Mutex
	views map[string]*view // by merchant; empty where a dead letter names none
	read  int
}

// sinceFrom is where to begin: the beginning where nothing is said.
func (r *run) sinceFrom(since string) (kafka.From, error) {
	if since == "" {
		return kafka.FromFirst(), nil
	}
	t, err := r.parseTime("--since", since)
	return kafka.FromTime(t), err
}

// gather reads what was committed first and the statuses last, so that a message
// that moves on meanwhile is seen where it was or where it is.
func (g *gathering) gather(ctx context.Context) error {
	progress := g.run.progress()
	defer progress.Clear()
	s := g.system
	taken := map[string]map[int]int64{}
	for _, topic := range append([]string{s.Topics.Requests}, s.delayTopics()...) {
		committed, err := s.Kafka.Committed(ctx, s.Config.Kafka.Group, topic)
		if err != nil {
			return err
		}
		taken[topic] = committed
	}
	scan := func(topic string, from kafka.From, each func(kafka.Record) error) func() error {
		return func() error {
			_, err := s.Kafka.Scan(ctx, topic, from, func(record kafka.Record) error {
				g.mu.Lock()
				defer g.mu.Unlock()
				g.read++
				progress.Show("reading: %d records, now %s", g.read, topic)
				return each(record)
			})
			return err
		}
	}
	var first errgroup.Group
	first.Go(scan(s.Topics.DeadLetters, g.from, g.letter))
	first.Go(scan(s.Topics.Requests, g.from, func(record kafka.Record) error { return g.request(record, taken[s.Topics.Requests]) }))
	for i, topic := range s.delayTopics() {
		first.Go(scan(topic, kafka.FromOffsets(taken[topic]), func(record kafka.Record) error { return g.wait(record, s.Delays[i]) }))
	}
	first.Go(func() error { // a topic that is not there was never written to
		if err := scan(s.Topics.Audit, g.from, g.operator)(); !errors.Is(err, kafka.ErrNoTopic) {
			return err
		}
		return nil
	})
	if err := first.Wait(); err != nil {
		return err
	}
	if err := scan(s.Topics.Status, g.from, g.status)(); err != nil {
		return err
	}
	return g.records(ctx)
}

func (s *system) delayTopics() []string {
	topics := make([]string, len(s.Delays))
	for i, delay := range s.Delays {
		topics[i] = s.Topics.Delay(delay)
	}
	return topics
}

// view finds or begins a merchant's; nil where it is not looked for.
func (g *gathering) view(merchant string) *view {
	if g.merchant != "" && merchant != g.merchant {
		return nil
	}
	v := g.views[merchant]
	if v == nil {
		v = &view{Merchant: merchant, RefundNo: g.refundNo, Requests: []asked{}, Timeline: []event{}, Waits: []waiting{}, DeadLetters: []*letter{}, Operators: []entry{}}
		g.views[merchant] = v
	}
	return v
}

// mayName is whether a message could be about the refund: most are not, and
// decoding costs more than looking.
func (g *gathering) mayName(value []byte) bool {
	return bytes.Contains(value, []byte(g.refundNo)) || bytes.Contains(value, []byte(`\u`)) || bytes.Contains(value, []byte("data_base64"))
}

func (g *gathering) request(r kafka.Record, taken map[int]int64) error {
	if !g.mayName(r.Value) {
		return nil
	}
	request, err := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers))
	if err != nil || request.RefundNo != g.refundNo {
		return nil // what cannot be read is a dead letter, or will be
	}
	v := g.view(request.Merchant)
	if v == nil {
		return nil
	}
	one := asked{Place: place(r), Time: r.Time, Taken: r.Offset < taken[r.Partition], request: request}
	if !one.Taken {
		one.Behind = r.Offset - taken[r.Partition]
	}
	if _, err := events.DecodeRequest(r.Value, events.As[events.Header](r.Headers)); err != nil {
		one.Problem = err.Error()
	}
	v.Requests = append(v.Requests, one)
	return nil
}

func (g *gathering) letter(r kafka.Record) error {
	if !g.mayName(r.Value) {
		return nil
	}
	l := letterOf(r)
	if l.RefundNo != g.refundNo && (l.RefundNo != "" || !bytes.Contains(r.Value, []byte(g.refundNo))) {
		return nil
	}
	if v := g.view(l.Merchant); v != nil {
		v.DeadLetters = append(v.DeadLetters, l)
	}
	return nil
}

func (g *gathering) wait(r kafka.Record, delay time.Duration) error {
	if !g.mayName(r.Value) {
		return nil
	}
	request, err := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers))
	if err != nil || request.RefundNo != g.refundNo {
		return nil
	}
	v := g.view(request.Merchant)
	if v == nil {
		return nil
	}
	w, _ := consumer.ReadWaiting(r, delay) // what cannot be read becomes a dead letter, in words
	v.Waits = append(v.Waits, waiting{Place: place(r), Topic: r.Topic, Due: w.Due, Cause: string(w.Cause), FollowUp: w.FollowUp, GoesOn: true, chain: w.Place})
	return nil
}

func (g *gathering) operator(r kafka.Record) error {
	if !bytes.Contains(r.Value, []byte(g.refundNo)) {
		return nil
	}
	e, ok := entryOf(r)
	if !ok || e.RefundNo != g.refundNo {
		return nil
	}
	if v := g.view(e.Merchant); v != nil {
		v.Operators = append(v.Operators, e)
	}
	return nil
}

func (g *gathering) status(r kafka.Record) error {
	merchant, no, _ := strings.Cut(string(r.Key), "/")
	if no != g.refundNo {
		return nil
	}
	v := g.view(merchant)
	if v == nil {
		return nil
	}
	status, err := events.DecodeStatus(r.Value, events.As[events.Header](r.Headers))
	e := event{Place: place(r), Written: r.Time, status: status}
	if err != nil {
		e.Problem = err.Error()
	}
	e.Again = slices.ContainsFunc(v.Timeline, func(old event) bool { return old.Problem == "" && old.status.Sequence == status.Sequence })
	v.Timeline = append(v.Timeline, e)
	return nil
}

// records asks Redis, which may be away: then the topics say what they can.
func (g *gathering) records(ctx context.Context) error {
	merchants := []string{g.merchant}
	if g.merchant == "" {
		merchants = merchants[:0]
		for _, m := range g.system.Config.Merchants {
			merchants = append(merchants, m.Name)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, g.run.timeout)
	defer cancel()
	away := g.system.PingRedis(ctx)
	for _, merchant := range merchants {
		rec, err := refund.Record{}, away
		if err == nil {
			rec, err = g.system.record(ctx, refund.Key{Merchant: merchant, RefundNo: g.refundNo})
		}
		v := g.views[merchant]
		switch {
		case err == nil && rec.Known():
			g.view(merchant).Record = recordOf(rec)
		case err != nil && v != nil:
			v.StoreAway = err.Error()
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return nil
}

func place(r kafka.Record) string { return fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset) }
