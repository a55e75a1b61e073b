package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func fill(t *testing.T, c *cluster, topic string, values ...string) {
	t.Helper()
	var records []Record
	for _, v := range values {
		records = append(records, Record{Topic: topic, Key: []byte(v), Value: []byte(v)})
	}
	must(t, c.producer().Write(within(t, 10*time.Second), records...))
}

func TestScanReadsUpToWhatWasThere(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("scan", 3)
	fill(t, c, topic, numbered("a", 50)...)
	late := false
	var got []string
	reached, err := c.client.Scan(within(t, 20*time.Second), topic, FromFirst(), func(r Record) error {
		if !late { // written during the scan: not part of it
			late = true
			fill(t, c, topic, numbered("b", 20)...)
		}
		got = append(got, string(r.Value))
		return nil
	})
	must(t, err)
	slices.Sort(got)
	want := numbered("a", 50)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("got %d records", len(got))
	}
	got = nil
	_, err = c.client.Scan(within(t, 20*time.Second), topic, FromOffsets(reached), func(r Record) error { got = append(got, string(r.Value)); return nil })
	must(t, err)
	if slices.Sort(got); len(got) != 20 || got[0] != "b0" {
		t.Fatalf("going on from %v gave %v", reached, got)
	}
}

// The end of a topic of transactions is a marker, and an open transaction is before the end: a scan must end all the same.
func TestScanEndsBehindMarkersAndBeforeOpenTransactions(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("scantx", 1)
	upstream := c.kgo(kgo.TransactionalID("u." + c.suffix))
	transactional(t, upstream, topic, true, "a")
	transactional(t, upstream, topic, false, "b")
	must(t, upstream.BeginTransaction())
	must(t, upstream.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("c")}).FirstErr())
	var got []string
	reached, err := c.client.Scan(within(t, 20*time.Second), topic, FromFirst(), func(r Record) error { got = append(got, string(r.Value)); return nil })
	if err != nil || !slices.Equal(got, []string{"a"}) || reached[0] != 4 {
		t.Fatalf("got %v, reached %v, %v", got, reached, err)
	}
	must(t, upstream.EndTransaction(t.Context(), kgo.TryAbort))
}

func TestScanFromATime(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("time", 1)
	at := time.UnixMilli(1_700_000_000_000)
	p := c.producer()
	for i := range 10 {
		must(t, p.Write(within(t, 10*time.Second), Record{Topic: topic, Value: fmt.Append(nil, i), Time: at.Add(time.Duration(i) * time.Minute)}))
	}
	for _, one := range []struct {
		from time.Time
		want int
	}{{at.Add(-time.Hour), 10}, {at.Add(7 * time.Minute), 3}, {at.Add(time.Hour), 0}} {
		n := 0
		_, err := c.client.Scan(within(t, 20*time.Second), topic, FromTime(one.from), func(Record) error { n++; return nil })
		if err != nil || n != one.want {
			t.Errorf("from %s: got %d records, %v, want %d", one.from, n, err, one.want)
		}
	}
}

func TestScanStopsAtTheCallersError(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("stop", 2)
	fill(t, c, topic, numbered("a", 10)...)
	stop := errors.New("enough")
	n := 0
	_, err := c.client.Scan(within(t, 20*time.Second), topic, FromFirst(), func(Record) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Fatalf("got %v after %d records", err, n)
	}
}

func TestTailGoesOn(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("tail", 2)
	fill(t, c, topic, "a")
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	defer cancel()
	var got []string
	var writing sync.WaitGroup
	defer writing.Wait()
	err := c.client.Tail(ctx, topic, FromFirst(), func(r Record) error {
		got = append(got, string(r.Value))
		switch len(got) {
		case 1:
			writing.Go(func() { fill(t, c, topic, "b") })
		case 2:
			cancel()
		}
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestTailFromTheEndSkipsWhatIsThere(t *testing.T) {
	c := newCluster(t)
	topic := c.topic("tailend", 1)
	fill(t, c, topic, "old")
	reached, err := c.client.Scan(within(t, 20*time.Second), topic, FromEnd(), func(Record) error { return errors.New("nothing to see") })
	if err != nil || reached[0] != 1 {
		t.Fatalf("got %v, %v", reached, err)
	}
}
