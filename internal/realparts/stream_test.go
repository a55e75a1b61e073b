//go:build unix

package realparts_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// stream is four writers and a reader at work while brokers are hurt.
type stream struct {
	scene   *scene
	stop    chan struct{}
	all     sync.WaitGroup
	written atomic.Int64
	slowest atomic.Int64

	mu    sync.Mutex
	acked map[string]bool
	read  map[string]int // how often
	order map[int][]int  // by writer: what was read, in order
}

const writers = 4

func (s *scene) stream() *stream {
	st := &stream{scene: s, stop: make(chan struct{}), acked: map[string]bool{}, read: map[string]int{}, order: map[int][]int{}}
	ctx, cancel := context.WithCancel(s.t.Context())
	var reader sync.WaitGroup
	reader.Go(func() {
		err := s.client.Tail(ctx, s.topic, kafka.FromFirst(), st.take)
		if err != nil {
			s.t.Errorf("reading: %v", err)
		}
	})
	s.t.Cleanup(func() { cancel(); reader.Wait() })
	producer := s.client.Producer()
	s.t.Cleanup(func() { _ = producer.Close() })
	for w := range writers {
		st.all.Go(func() { st.write(producer, w) })
	}
	return st
}

// write is one writer: one record after another, none before the last is
// acknowledged.
func (st *stream) write(producer *kafka.Producer, w int) {
	key := []byte(fmt.Sprint(w))
	for i := 0; ; i++ {
		select {
		case <-st.stop:
			return
		default:
		}
		v, began := value(w, i), time.Now()
		if err := producer.Write(st.scene.t.Context(), kafka.Record{Topic: st.scene.topic, Key: key, Value: []byte(v)}); err != nil {
			st.scene.t.Errorf("writing %s for %s: %v", v, time.Since(began), err)
			return
		}
		st.slowest.Store(max(st.slowest.Load(), int64(time.Since(began))))
		st.written.Add(1)
		st.mu.Lock()
		st.acked[v] = true
		st.mu.Unlock()
	}
}

func (st *stream) take(r kafka.Record) error {
	var w, i int
	if _, err := fmt.Sscanf(string(r.Value), "%d.%d", &w, &i); err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.read[string(r.Value)]++
	st.order[w] = append(st.order[w], i)
	return nil
}

// more waits until so many further records are acknowledged: the stream flows.
func (st *stream) more(n int64) {
	st.scene.t.Helper()
	from := st.written.Load()
	st.scene.eventually(fmt.Sprintf("%d more records", n), func() bool { return st.written.Load() >= from+n || st.scene.t.Failed() })
}

// end stops the writers, waits until everything acknowledged is read, and checks
// the order: a writer's first reading of each record comes in the order of the
// writes. A record may be there twice: an acknowledgement that was lost.
func (st *stream) end() {
	t := st.scene.t
	t.Helper()
	close(st.stop)
	st.all.Wait()
	st.scene.eventually("everything acknowledged to be read", func() bool {
		st.mu.Lock()
		defer st.mu.Unlock()
		for v := range st.acked {
			if st.read[v] == 0 {
				return false
			}
		}
		return true
	})
	st.mu.Lock()
	defer st.mu.Unlock()
	repeats := 0
	for _, n := range st.read {
		repeats += n - 1
	}
	for w, order := range st.order {
		highest := -1
		for _, i := range order {
			if i > highest+1 {
				t.Errorf("writer %d: %d was read before %d", w, i, highest+1)
			}
			highest = max(highest, i)
		}
	}
	t.Logf("%d records acknowledged and read, %d of them twice; the slowest write took %s", len(st.acked), repeats, time.Duration(st.slowest.Load()))
}
