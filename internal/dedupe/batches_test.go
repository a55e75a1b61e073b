package dedupe_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/dedupe/dedupetest"
	"github.com/refundworker/refundworker/internal/refund"
)

// TestStepsTogetherAreStepsOneByOne: random steps of several merchants, with some that fail among them, leave and answer the
// same in one script as each in a script of its own.
func TestStepsTogetherAreStepsOneByOne(t *testing.T) {
	for _, server := range servers[:2] {
		t.Run(server.name, func(t *testing.T) {
			client := server.dial(t)
			count := counts(client)
			together := 0
			rapid.Check(t, func(r *rapid.T) {
				one, alone := partOf(t, client)
				other, joint := partOf(t, client)
				b := &batches{T: r, client: client, count: count, stores: [2]*dedupe.Store{alone, joint}, parts: [2]*dedupetest.Part{one, other}, seen: map[string]refund.Record{}}
				for _, merchant := range dedupetest.Merchants {
					for _, s := range b.stores {
						if _, err := s.Begin(t.Context(), merchant, 0); err != nil {
							r.Fatal(err)
						}
					}
				}
				for range rapid.IntRange(1, 6).Draw(r, "batches") {
					together += b.batch()
				}
				one.Wipe()
				other.Wipe()
			})
			if together == 0 {
				t.Error("no steps went together")
			}
		})
	}
}

type batches struct {
	*rapid.T
	client redis.UniversalClient
	count  *counter
	stores [2]*dedupe.Store
	parts  [2]*dedupetest.Part
	seen   map[string]refund.Record
	tokens int
}

type oneStep struct {
	what string
	take func(*dedupe.Store) (refund.Record, string)
}

func (b *batches) batch() (together int) {
	ctx := context.Background()
	if rapid.Bool().Draw(b.T, "later") {
		d := rapid.SampledFrom([]time.Duration{time.Microsecond, 150 * time.Millisecond, 2 * time.Second, 40 * time.Second}).Draw(b.T, "by")
		for _, p := range b.parts {
			p.Advance(d)
		}
	}
	if rapid.IntRange(0, 4).Draw(b.T, "hurt") == 0 {
		merchant := rapid.SampledFrom(dedupetest.Merchants).Draw(b.T, "whose")
		how := rapid.IntRange(0, 1).Draw(b.T, "how")
		for _, s := range b.stores {
			switch how {
			case 0:
				b.client.Set(ctx, s.RecordKey(merchant, "r3"), "1|2", 0)
			case 1:
				b.client.Del(ctx, s.OrderKey(merchant, "o2"))
				b.client.RPush(ctx, s.OrderKey(merchant, "o2"), "x")
			}
		}
	}
	steps := make([]oneStep, rapid.IntRange(2, 14).Draw(b.T, "steps"))
	for i := range steps {
		steps[i] = b.step()
	}
	type said struct {
		rec refund.Record
		how string
	}
	want, got := make([]said, len(steps)), make([]said, len(steps))
	for i, s := range steps {
		want[i].rec, want[i].how = s.take(b.stores[0])
	}
	release := b.count.holdUp(func(int) {
		_, _ = b.stores[1].Load(ctx, refund.Key{Merchant: dedupetest.Merchants[0], RefundNo: "none"})
	})
	var all sync.WaitGroup
	var refused atomic.Int64 // before they were sent
	for i, s := range steps {
		all.Go(func() {
			got[i].rec, got[i].how = s.take(b.stores[1])
			refused.Add(1)
		})
		for b.stores[1].Waiting()+int(refused.Load()) <= i {
			time.Sleep(50 * time.Microsecond)
		}
	}
	release()
	all.Wait()
	for i, s := range steps {
		if got[i] != want[i] {
			b.Fatalf("step %d, %s\ntogether %s %+v\nalone    %s %+v", i, s.what, got[i].how, got[i].rec, want[i].how, want[i].rec)
		}
		if got[i].rec.Known() {
			b.seen[got[i].rec.Key().String()] = got[i].rec
		}
	}
	if left, right := b.left(0), b.left(1); !slices.Equal(left, right) {
		b.Fatalf("left together\n%s\nalone\n%s", strings.Join(right, "\n"), strings.Join(left, "\n"))
	}
	return len(steps)
}

func (b *batches) step() oneStep {
	r := b.T
	ctx := context.Background()
	merchant := rapid.SampledFrom(dedupetest.Merchants).Draw(r, "merchant")
	no := rapid.SampledFrom([]string{"r1", "r2", "r3"}).Draw(r, "no")
	key := refund.Key{Merchant: merchant, RefundNo: no}
	rec, known := b.seen[key.String()]
	say := func(rec refund.Record, how any, err error) (refund.Record, string) {
		rec.Seen = time.Time{}
		text := fmt.Sprint(err)
		if i := strings.Index(text, "user_script:"); i >= 0 { // the line differs in nothing that matters, the place may
			text = text[:i] + text[strings.LastIndex(text, ": ")+1:]
		}
		return rec, fmt.Sprint(how, " ", text)
	}
	what := rapid.SampledFrom([]string{"claim", "claim", "claim", "record", "record", "resend", "published", "load", "note"}).Draw(r, "what")
	if !known && (what == "record" || what == "resend") {
		what = "claim"
	}
	switch what {
	case "claim":
		c := claimFor(no, map[string]string{"r1": "o1", "r2": "o1", "r3": "o2"}[no])
		c.Request.Merchant = merchant
		c.Request.Amount.Minor = rapid.SampledFrom([]int64{1, 600, 1001}).Draw(r, "amount")
		c.FirstSeen = dedupetest.Start
		if b.tokens++; rapid.IntRange(0, 3).Draw(r, "old token") > 0 || !known {
			c.Token = fmt.Sprint("t", b.tokens)
		} else {
			c.Token = "t" + fmt.Sprint(b.tokens-1)
		}
		c.FollowUp = rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(r, "follow-up")
		c.Limits = rapid.SampledFrom([]refund.Limits{{}, {Rate: 1}, {Rate: 3}, {OrderInterval: time.Second}, {MaxRefundsPerOrder: 1}}).Draw(r, "limits")
		return oneStep{fmt.Sprintf("claim %+v", c), func(s *dedupe.Store) (refund.Record, string) {
			got, err := s.Claim(ctx, c)
			return say(got.Record, fmt.Sprint(got.Answer, got.Wait), err)
		}}
	case "record":
		next := rec
		next.Last.Sequence = rec.NextSequence()
		next.Last.Status = rapid.SampledFrom([]refund.Status{refund.StatusSucceeded, refund.StatusWaiting, refund.StatusUnknown, refund.StatusFailed}).Draw(r, "status")
		next.Holding = map[bool]refund.Holding{true: refund.HoldsNothing, false: refund.HoldsReserved}[next.Last.Status == refund.StatusFailed || next.Last.Status == refund.StatusWaiting]
		if next.Last.Status == refund.StatusSucceeded {
			next.Holding = refund.HoldsSucceeded
		}
		end := rapid.SampledFrom([]string{"", rec.Token}).Draw(r, "end")
		return oneStep{fmt.Sprintf("record %+v", next), func(s *dedupe.Store) (refund.Record, string) {
			got, won, err := s.Record(ctx, next, end)
			return say(got, won, err)
		}}
	case "resend":
		if rec.Token == "" {
			rec.Token = "none"
		}
		return oneStep{fmt.Sprintf("resend %+v", rec), func(s *dedupe.Store) (refund.Record, string) {
			got, err := s.Resend(ctx, rec, rec.Token, time.Second)
			return say(got.Record, got.Answer, err)
		}}
	case "published":
		return oneStep{"published " + key.String(), func(s *dedupe.Store) (refund.Record, string) {
			got, err := s.Published(ctx, key, max(1, rec.Last.Sequence))
			return say(got, "", err)
		}}
	case "note":
		return oneStep{"note " + merchant, func(s *dedupe.Store) (refund.Record, string) {
			return say(refund.Record{}, "", s.Note(ctx, merchant, no))
		}}
	}
	return oneStep{"load " + key.String(), func(s *dedupe.Store) (refund.Record, string) {
		got, err := s.Load(ctx, key)
		return say(got, "", err)
	}}
}

// left is all that a store has, without its prefix.
func (b *batches) left(of int) (all []string) {
	ctx := context.Background()
	prefix, _, _ := strings.Cut(b.stores[of].SentinelKey("M"), ":")
	keys, err := b.client.Keys(ctx, prefix+":*").Result()
	if err != nil {
		b.Fatal(err)
	}
	for _, key := range keys {
		value := ""
		switch b.client.Type(ctx, key).Val() {
		case "string":
			value = b.client.Get(ctx, key).Val()
		case "zset":
			value = fmt.Sprint(b.client.ZRangeWithScores(ctx, key, 0, -1).Val())
		}
		all = append(all, strings.TrimPrefix(key, prefix)+" "+value)
	}
	slices.Sort(all)
	return slices.DeleteFunc(all, func(s string) bool { return strings.Contains(s, "sentinel") })
}
