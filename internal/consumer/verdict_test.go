package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// always gives the same verdict.
func always(v func() Verdict) HandlerFunc {
	return byValue(func(context.Context, Delivery) Verdict { return v() })
}

func TestLaterWritesTheMessageAndThenCountsItAsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(func() Verdict { return Later(90*time.Second, CauseFollowUp, 7) }))
		w.put("delay.10s", 2, value("x"), kafka.Record{Key: []byte("k"), Value: []byte("v"), Time: time.Now().Add(-time.Hour), Headers: []kafka.Header{
			{Key: "traceparent", Value: []byte("00-1")}, {Key: "refund-v", Value: []byte("1")}, {Key: "refund-cause", Value: []byte("parked")},
			{Key: "refund-follow-up", Value: []byte("3")}, {Key: "refund-origin", Value: []byte("requests/4/5")},
			{Key: "refund-first-seen", Value: []byte("2024-05-06T07:08:09Z")}, {Key: "refund-cause", Value: []byte("retry")}}})
		w.source("delay.10s", 2).SeekTo(1)
		stop := w.start()
		pass(time.Second + time.Nanosecond) // no whole millisecond
		stop()
		written := w.writes()
		if len(written) != 1 || w.gen.at("delay.10s", 2) != 2 {
			t.Fatalf("%d written, committed %d", len(written), w.gen.at("delay.10s", 2))
		}
		r := written[0]
		if r.Topic != "delay.1m" || string(r.Key) != "k" || string(r.Value) != "v" || r.Time.IsZero() {
			t.Errorf("wrote %+v", r)
		}
		for name, want := range map[string]string{"traceparent": "00-1", "refund-v": "1", "refund-cause": "follow-up", "refund-follow-up": "7",
			"refund-origin": "requests/4/5", "refund-first-seen": "2024-05-06T07:08:09Z"} {
			if got := header(r.Headers, name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
}

func TestADelayedMessageIsReadAsItWasWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []Delivery
		w := newWorld(t, byValue(func(_ context.Context, d Delivery) Verdict {
			got = append(got, d)
			if d.Cause == "" {
				return Later(0, CauseParked, 0)
			}
			return Done()
		}))
		headers := []kafka.Header{{Key: "refund-cause", Value: []byte("retry")}, {Key: "ce_id", Value: []byte("1")}} // not ours to believe here
		w.put("requests", 1, kafka.Record{Value: []byte("v"), Time: time.Now(), Headers: headers})
		stop := w.start()
		pass(time.Second)
		first := w.writes()[0]
		w.put("delay.10s", 0)
		stop()
		w.put("delay.10s", 0, first)
		stop = w.start()
		pass(time.Minute)
		stop()
		if len(got) != 2 {
			t.Fatalf("%d deliveries", len(got))
		}
		fresh, again := got[0], got[1]
		if fresh.Cause != "" || fresh.Origin != "requests/1/0" || fresh.FirstSeen.IsZero() || fresh.Place() != "requests/1/0" {
			t.Errorf("fresh: %+v", fresh)
		}
		if again.Cause != CauseParked || again.Origin != fresh.Origin || !again.FirstSeen.Equal(fresh.FirstSeen) || again.Place() != "delay.10s/0/0" || header(again.Headers, "ce_id") != "1" {
			t.Errorf("again: %+v", again)
		}
	})
}

// A follow-up that is parked keeps its place: whoever took its number by that name, and died, is known when it comes
// back. The next number is a new message with a place of its own.
func TestAParkedFollowUpKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var places []string
		w := newWorld(t, byValue(func(_ context.Context, d Delivery) Verdict {
			places = append(places, fmt.Sprint(d.FollowUp, " ", d.Place()))
			if len(places) < 3 {
				return Later(0, CauseFollowUp, d.FollowUp)
			}
			return Later(0, CauseFollowUp, d.FollowUp+1)
		}))
		headers := delayHeaders{cause: CauseFollowUp, followUp: 2, firstSeen: time.Now()}.replaceIn(nil)
		next := kafka.Record{Value: []byte("v"), Time: time.Now(), Headers: headers}
		for range 4 {
			w.put("delay.10s", 0, next)
			stop := w.start()
			pass(time.Minute)
			stop()
			all := w.writes()
			next = all[len(all)-1]
		}
		if want := []string{"2 delay.10s/0/0", "2 delay.10s/0/0", "2 delay.10s/0/0", "3 delay.10s/0/3"}; !slices.Equal(places, want) {
			t.Errorf("got %q, want %q", places, want)
		}
	})
}

func TestNothingIsCommittedPastAVerdictThatCannotBeWritten(t *testing.T) {
	for name, verdict := range map[string]func() Verdict{
		"later": func() Verdict { return Later(time.Minute, CauseRetry, 0) },
		"dead":  func() Verdict { return Dead(ReasonInvalid, errors.New("bad")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				works := 0
				w := newWorld(t, byValue(func(_ context.Context, d Delivery) Verdict {
					if d.Offset == 0 {
						works++
						return verdict()
					}
					return Done()
				}), func(c *Config) { c.MaxInFlight = 1; c.StuckAfter = 20 * time.Second })
				w.put("requests", 0, many(5)...)
				w.setFail(func(kafka.Record) error { return errors.New("the topic is missing") })
				stop := w.start()
				pass(30 * time.Second)
				// The one that cannot be written holds neither the only running place nor the others.
				if w.gen.at("requests", 0) != 0 || w.count("done") != 4 {
					t.Errorf("committed %d, %d done", w.gen.at("requests", 0), w.count("done"))
				}
				if err := w.c.Ready(); err == nil || !strings.Contains(err.Error(), "the topic is missing") {
					t.Errorf("ready: %v", err)
				}
				if !strings.Contains(w.log.String(), "nothing is committed past it") {
					t.Errorf("log: %s", w.log)
				}
				w.setFail(nil)
				pass(time.Minute)
				if w.gen.at("requests", 0) != 5 || works != 1 {
					t.Errorf("committed %d after the trouble, %d works", w.gen.at("requests", 0), works)
				}
				if err := w.c.Ready(); err != nil {
					t.Errorf("ready: %v", err)
				}
				stop()
			})
		})
	}
}

func TestATooLargeDeadLetterAlarmsAndStopsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(func() Verdict { return Dead(ReasonInvalid, errors.New("bad")) }))
		tries := 0
		w.setFail(func(kafka.Record) error { tries++; return &kafka.TooLargeError{Topic: "dlq", Bytes: 1 << 21} })
		w.put("requests", 0, value("x"))
		stop := w.start()
		pass(5 * time.Minute)
		if w.gen.at("requests", 0) != 0 || tries < 5 || tries > 20 || !strings.Contains(w.log.String(), "raise its max.message.bytes") {
			t.Errorf("committed %d after %d tries: %s", w.gen.at("requests", 0), tries, w.log)
		}
		stop()
	})
}

func TestADeadLetterCarriesTheMessageUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(func() Verdict { return Dead(ReasonUndecodable, errors.New("not JSON: \xff")) }))
		at := time.Now().Add(-time.Hour)
		w.put("requests", 3, kafka.Record{Key: []byte("k\x00"), Value: []byte{0xff, 0, 1}, Time: at, Headers: []kafka.Header{
			{Key: "ce_id", Value: []byte("1")}, {Key: "dlq-attempts", Value: []byte("4")}, {Key: "dlq-first-failed-at", Value: []byte("2024-01-01T00:00:00Z")},
			{Key: "dlq-reason", Value: []byte("conflict")}, {Key: "dlq-mine", Value: nil}}})
		stop := w.start()
		pass(time.Second)
		stop()
		r := w.writes()[0]
		if r.Topic != "dlq" || string(r.Key) != "k\x00" || string(r.Value) != "\xff\x00\x01" || w.gen.at("requests", 3) != 1 {
			t.Errorf("wrote %+v, committed %d", r, w.gen.at("requests", 3))
		}
		last := header(r.Headers, "dlq-last-failed-at")
		if when, err := time.Parse(time.RFC3339Nano, last); err != nil || time.Since(when) > time.Minute {
			t.Errorf("dlq-last-failed-at %q", last)
		}
		for name, want := range map[string]string{"ce_id": "1", "dlq-mine": "", "dlq-reason": "undecodable", "dlq-error": "not JSON: ?", "dlq-topic": "requests",
			"dlq-partition": "3", "dlq-offset": "0", "dlq-timestamp": at.UTC().Format(time.RFC3339Nano), "dlq-attempts": "5",
			"dlq-first-failed-at": "2024-01-01T00:00:00Z"} {
			if got := header(r.Headers, name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if len(r.Headers) != 11 {
			t.Errorf("%d headers: %v", len(r.Headers), r.Headers)
		}
	})
}

// Again and Soon keep the place in the lane and in the watermark, and let others run. They are counted apart: only Again
// is trouble.
func TestAgainAndSoonRunTheWorkAgainInItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order, counted []string
		w := newWorld(t, func(d Delivery) (string, Work) {
			lane := "one"
			if d.Offset == 2 {
				lane = "two"
			}
			tries := 0
			return lane, func(context.Context) Verdict {
				tries++
				order = append(order, fmt.Sprintf("%d.%d", d.Offset, tries))
				switch {
				case d.Offset == 0 && tries == 1:
					return Soon(10*time.Second, "its turn at the merchant's rate")
				case d.Offset == 0 && tries == 2:
					return Again(10*time.Second, "redis cannot be reached")
				}
				return Done()
			}
		}, func(c *Config) {
			c.MaxInFlight, c.StuckAfter = 1, 12*time.Second
			c.Metrics.Delivered = func(_, verdict string) { counted = append(counted, verdict) }
		})
		w.put("requests", 0, many(3)...)
		stop := w.start()
		pass(15 * time.Second)
		if w.gen.at("requests", 0) != 0 {
			t.Errorf("committed %d", w.gen.at("requests", 0))
		}
		if err := w.c.Ready(); err == nil || !strings.Contains(err.Error(), "redis cannot be reached") || !strings.Contains(err.Error(), "requests/0") {
			t.Errorf("ready: %v", err)
		}
		pass(15 * time.Second)
		if w.gen.at("requests", 0) != 3 || !slices.Equal(order, []string{"0.1", "2.1", "0.2", "0.3", "1.1"}) {
			t.Errorf("committed %d, order %v", w.gen.at("requests", 0), order)
		}
		if !slices.Equal(counted, []string{"soon", "done", "again", "done", "done"}) {
			t.Errorf("counted %v", counted)
		}
		stop()
	})
}

// An abandoned delivery whose generation lives on after all would else wait for a rebalance that never comes.
func TestAbandonedWorkRunsAgainOnceTheGenerationShowsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		w := newWorld(t, byValue(func(_ context.Context, d Delivery) Verdict {
			tries++
			if time.Since(d.Alive()) > 5*time.Second {
				return Abandon()
			}
			return Done()
		}))
		w.put("requests", 0)
		stop := w.start()
		pass(1500 * time.Millisecond)
		w.gen.setErr(errors.New("the coordinator does not answer"))
		pass(10 * time.Second)
		w.put("requests", 0, value("x"))
		pass(20 * time.Second)
		if tries != 1 || w.gen.at("requests", 0) != 0 {
			t.Errorf("%d tries without a sign of life, committed %d", tries, w.gen.at("requests", 0))
		}
		w.gen.setErr(nil)
		pass(5 * time.Second)
		if tries != 2 || w.gen.at("requests", 0) != 1 || w.count("abandoned") != 1 {
			t.Errorf("%d tries, committed %d", tries, w.gen.at("requests", 0))
		}
		stop()
	})
}

func TestAPanicHurtsOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, byValue(func(_ context.Context, d Delivery) Verdict {
			if d.Offset == 1 {
				panic("boom")
			}
			return Done()
		}))
		w.put("requests", 0, many(3)...)
		stop := w.start()
		pass(5 * time.Second)
		stop()
		written := w.writes()
		if w.count("panic") != 3 || len(written) != 1 || header(written[0].Headers, "dlq-reason") != "internal" || w.gen.at("requests", 0) != 3 {
			t.Errorf("%d panics, wrote %v, committed %d", w.count("panic"), written, w.gen.at("requests", 0))
		}
		if !strings.Contains(header(written[0].Headers, "dlq-error"), "boom") || !strings.Contains(w.log.String(), "verdict_test.go") {
			t.Errorf("the error or the stack is missing: %s", w.log)
		}
	})
}

func TestTheLastPanicAsksTheHook(t *testing.T) {
	for name, hook := range map[string]func() Verdict{
		"decides": func() Verdict { return Later(time.Minute, CauseFollowUp, 0) },
		"panics":  func() Verdict { panic("too") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, always(func() Verdict { panic("boom") }), func(c *Config) {
					c.Panicked = func(_ context.Context, d Delivery, cause error) Verdict {
						if d.Offset != 0 || !strings.Contains(cause.Error(), "boom") {
							t.Errorf("asked about %d: %v", d.Offset, cause)
						}
						return hook()
					}
				})
				w.put("requests", 0, value("x"))
				stop := w.start()
				pass(5 * time.Second)
				stop()
				want := map[string]string{"decides": "delay.1m", "panics": "dlq"}[name]
				if written := w.writes(); len(written) != 1 || written[0].Topic != want {
					t.Errorf("wrote %v", written)
				}
			})
		})
	}
}

func TestAPanicInRouteIsCountedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(d Delivery) (string, Work) {
			if d.Offset == 0 {
				panic("boom")
			}
			return "", func(context.Context) Verdict { return Done() }
		})
		w.put("requests", 0, many(2)...)
		stop := w.start()
		pass(5 * time.Second)
		stop()
		if w.count("panic") != 3 || len(w.writes()) != 1 || w.gen.at("requests", 0) != 2 {
			t.Errorf("%d panics, wrote %v, committed %d", w.count("panic"), w.writes(), w.gen.at("requests", 0))
		}
	})
}

func TestWrongVerdictsAreTheirWorksPanic(t *testing.T) {
	for _, make := range []func() Verdict{
		func() Verdict { return Later(time.Second, "whatever", 0) },
		func() Verdict { return Dead("whatever", nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("taken")
				}
			}()
			make()
		}()
	}
	if (Verdict{}).String() != "abandoned" {
		t.Error("the zero verdict must commit nothing")
	}
}

func delayed(version, followUp string) kafka.Record {
	return kafka.Record{Value: []byte(version + followUp), Time: time.Now().Add(-time.Hour), Headers: []kafka.Header{
		{Key: "refund-v", Value: []byte(version)}, {Key: "refund-cause", Value: []byte("retry")}, {Key: "refund-follow-up", Value: []byte(followUp)},
		{Key: "refund-first-seen", Value: []byte("2024-05-06T07:08:09Z")}}}
}

func TestANewerVersionIsLeftForANewerWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(Done))
		w.put("delay.10s", 0, delayed("1", "0"), delayed("2", "a new form"), delayed("1", "1"))
		stop := w.start()
		pass(time.Minute)
		if w.gen.at("delay.10s", 0) != 1 || w.count("done") != 2 || len(w.writes()) != 0 {
			t.Errorf("committed %d, %d done, wrote %v", w.gen.at("delay.10s", 0), w.count("done"), w.writes())
		}
		if err := w.c.Ready(); err == nil || !strings.Contains(err.Error(), "offset 1 has refund-v 2") {
			t.Errorf("ready: %v", err)
		}
		stop()
	})
}

func TestDelayHeadersThatCannotBeReadAreADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []Delivery
		w := newWorld(t, byValue(func(_ context.Context, d Delivery) Verdict { got = append(got, d); return Done() }))
		w.put("delay.10s", 0, delayed("1", "many"), delayed("one", "1"), kafka.Record{Value: []byte("by hand"), Time: time.Now().Add(-time.Hour)})
		stop := w.start()
		pass(time.Second)
		stop()
		written := w.writes()
		if len(written) != 2 || w.gen.at("delay.10s", 0) != 3 {
			t.Fatalf("wrote %v, committed %d", written, w.gen.at("delay.10s", 0))
		}
		for _, r := range written {
			if header(r.Headers, "dlq-reason") != "undecodable" {
				t.Errorf("wrote %v", r)
			}
		}
		if len(got) != 1 || got[0].Cause != CauseRetry || got[0].Origin != "delay.10s/0/2" {
			t.Errorf("by hand: %+v", got)
		}
	})
}

func TestOutOfRange(t *testing.T) {
	gone := &kafka.OutOfRangeError{TopicPartition: kafka.TopicPartition{Topic: "requests"}, Offset: 0, First: 3, End: 5}
	for choice, want := range map[OutOfRange]int64{OutOfRangeAlarm: 0, OutOfRangeEarliest: 5} {
		t.Run(string(choice), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, always(Done), func(c *Config) { c.OnOutOfRange = choice })
				w.put("requests", 0, many(5)...)
				w.source("requests", 0).setErr(gone)
				stop := w.start()
				pass(time.Minute)
				err := w.c.Ready()
				if w.gen.at("requests", 0) != want || (err == nil) != (choice == OutOfRangeEarliest) {
					t.Errorf("committed %d, ready %v", w.gen.at("requests", 0), err)
				}
				if !strings.Contains(w.log.String(), "3 records were deleted") {
					t.Errorf("log: %s", w.log)
				}
				stop()
			})
		})
	}
}

func TestReadyNamesThePartitionAndItsLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(d Delivery) (string, Work) {
			return "shop/order-" + string(d.Value), func(ctx context.Context) Verdict {
				if d.Partition == 1 {
					<-ctx.Done()
				}
				return Done()
			}
		}, func(c *Config) { c.DrainTimeout = time.Second })
		if err := w.c.Ready(); err == nil {
			t.Error("ready before the first generation")
		}
		w.put("requests", 0, value("a"))
		w.put("requests", 1, value("b"), value("b"), value("b"))
		stop := w.start()
		pass(time.Minute)
		if err := w.c.Ready(); err != nil {
			t.Error(err)
		}
		pass(90 * time.Second)
		err := w.c.Ready()
		for _, want := range []string{"requests/1", "offset 0", "shop/order-b", "its work", "2 behind it", "2m30s"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is missing in: %v", want, err)
			}
		}
		if err != nil && strings.Contains(err.Error(), "requests/0") {
			t.Errorf("the other partition goes on: %v", err)
		}
		stop()
		if err := w.c.Ready(); err != nil {
			t.Errorf("between two generations: %v", err)
		}
	})
}

func TestReadySaysThatABrokerDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(Done))
		w.put("requests", 0)
		stop := w.start()
		pass(1500 * time.Millisecond)
		w.gen.setErr(errors.New("no answer"))
		w.source("requests", 0).setErr(errors.New("connection refused"))
		pass(time.Minute)
		err := w.c.Ready()
		if err == nil || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), "no commit for 1m1s") {
			t.Errorf("ready: %v", err)
		}
		w.gen.setErr(nil)
		w.source("requests", 0).setErr(nil)
		pass(5 * time.Second)
		if err := w.c.Ready(); err != nil {
			t.Error(err)
		}
		stop()
	})
}

func TestTheWatchdogLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(func() Verdict { return Again(time.Second, "redis cannot be reached") }))
		ctx, cancel := context.WithCancel(t.Context())
		watched := make(chan struct{})
		w.put("requests", 0, value("a"))
		stop := w.start()
		go func() { w.c.watch(ctx); close(watched) }()
		pass(5 * time.Minute)
		cancel()
		<-watched
		stop()
		if n := strings.Count(w.log.String(), "not ready"); n < 2 || n > 5 {
			t.Errorf("%d lines in 5 minutes: %s", n, w.log)
		}
	})
}
