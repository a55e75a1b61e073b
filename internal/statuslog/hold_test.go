package statuslog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// oneTopic is one partition in memory.
type oneTopic struct{ records []kafka.Record }

func (c *oneTopic) Write(_ context.Context, records ...kafka.Record) error {
	for _, r := range records {
		r.Offset = int64(len(c.records))
		c.records = append(c.records, r)
	}
	return nil
}

func (c *oneTopic) Scan(_ context.Context, _ string, _ kafka.From, each func(kafka.Record) error) (map[int]int64, error) {
	for _, r := range c.records {
		if err := each(r); err != nil {
			return nil, err
		}
	}
	return map[int]int64{0: int64(len(c.records))}, nil
}

func (c *oneTopic) Tail(ctx context.Context, topic string, from kafka.From, each func(kafka.Record) error) error {
	_, err := c.Scan(ctx, topic, from, each)
	return err
}

func (c *oneTopic) Spans(context.Context, string) ([]kafka.Span, error) { return nil, nil }

func TestHolds(t *testing.T) {
	ctx, topic := t.Context(), &oneTopic{}
	c := &Control{Reader: topic, Writer: topic, Topic: "control"}
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, step := range []error{
		c.Write(ctx, Known{Merchant: "a"}),
		c.Hold(ctx, Hold{Merchant: "a", Reason: "audit", Who: "ann", At: at}),
		c.Hold(ctx, Hold{Merchant: "b", Reason: "first", Who: "bob", At: at}),
		c.Hold(ctx, Hold{Merchant: "b", Reason: "second", Who: "bob", At: at}),
		c.Hold(ctx, Hold{Merchant: "c", Who: "cy", At: at}),
		c.Release(ctx, "c"),
		topic.Write(ctx, kafka.Record{Key: []byte("hold/d"), Value: []byte("{")}),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	held, _, err := c.Holds(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, merchant := range slices.Sorted(maps.Keys(held)) {
		got = append(got, fmt.Sprintf("%s: %s by %s", held[merchant].Merchant, held[merchant].Reason, held[merchant].Who))
	}
	if want := []string{"a: audit by ann", "b: second by bob", "d: the hold cannot be read by "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	var changes []string
	if err := c.FollowHolds(ctx, kafka.FromFirst(), func(merchant string, h *Hold) { changes = append(changes, fmt.Sprint(merchant, h != nil)) }); err != nil {
		t.Fatal(err)
	}
	if want := []string{"atrue", "btrue", "btrue", "ctrue", "cfalse", "dtrue"}; !slices.Equal(changes, want) {
		t.Errorf("%q, want %q", changes, want)
	}
	roll, err := c.Read(ctx) // a hold makes its merchant known: to take a served one for new may cost money
	if err != nil || len(roll.Merchants) != 4 {
		t.Errorf("%v, %v", roll, err)
	}
}
