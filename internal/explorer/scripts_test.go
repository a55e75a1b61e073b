package explorer

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/refund"
)

// onScripts is how much runs on the real scripts, in an embedded Redis: five in a hundred.
var onScripts = flag.Int("scripts", part(1_100, 60), "how many runs TestOnTheScripts makes")

// TestOnTheScripts plays drawn schedules and lives, half and half, on the scripts in place of the store in Go.
func TestOnTheScripts(t *testing.T) {
	t.Parallel()
	began := time.Now()
	next := drawing(t, 9)
	plans := make([]plan, *onScripts/2)
	for i := range plans {
		plans[i] = next()
	}
	var at, steps, broken atomic.Int64
	t.Run("run", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				server := newScriptServer(t)
				for n := at.Add(1); n <= int64(*onScripts) && broken.Load() < 10; n = at.Add(1) {
					s := setup{store: server.open}
					var j *judgement
					var line string
					if n <= int64(len(plans)) {
						p := plans[n-1]
						j, _ = play(t, p, s)
						line = p.String()
					} else {
						j, _ = live(t, uint64(n), s)
						line = fmt.Sprintf("life=%d", n)
					}
					steps.Add(int64(j.steps))
					if !j.ok() {
						broken.Add(1)
						reportLine(t, "scripts "+line, j)
					}
				}
			})
		}
	})
	t.Logf("%d schedules and %d lives on the scripts in miniredis, %d gates passed, %d broken, %s",
		len(plans), *onScripts-len(plans), steps.Load(), broken.Load(), time.Since(began).Round(time.Millisecond))
}

// scriptServer is an embedded Redis outside of every bubble: its one servant carries out, in real time, what a bubble asks.
type scriptServer struct {
	server  *miniredis.Miniredis
	connect func(prefix string) *dedupe.Store
	asks    chan func()
	done    chan struct{}
	runs    int
}

func newScriptServer(t *testing.T) *scriptServer {
	s := &scriptServer{server: miniredis.RunT(t), asks: make(chan func()), done: make(chan struct{})}
	s.server.ClockTTL(true)
	client := dedupe.Dial(dedupe.Address{Addrs: []string{s.server.Addr()}})
	s.connect = func(prefix string) *dedupe.Store {
		return dedupe.New(client, dedupe.Options{Prefix: prefix, Retention: retention})
	}
	go func() {
		for ask := range s.asks {
			ask()
			s.done <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		close(s.asks)
		_ = client.Close()
	})
	return s
}

// open makes an empty store of one run.
func (s *scriptServer) open(w *world) store {
	s.runs++
	shared := &scriptState{scriptServer: s, world: w, prefix: fmt.Sprintf("run%d", s.runs)}
	shared.do(s.server.FlushAll)
	return shared.connected()
}

// scriptState is the server in one run: its content after each write, for failovers.
type scriptState struct {
	*scriptServer
	world   *world
	prefix  string
	mu      sync.Mutex
	history []map[string]value
	away    error
}

// value is one key's.
type value struct {
	text   string
	scores string // of a sorted set, printed
	set    map[string]float64
	until  time.Time
}

func (v value) same(o value) bool {
	return v.text == o.text && v.scores == o.scores && v.until.Equal(o.until)
}

// do has the servant do something at the bubble's time.
func (s *scriptState) do(what func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.world.storeTime()
	s.asks <- func() {
		s.server.SetTime(now)
		what()
	}
	<-s.done
}

// connected is the way of one process to the server: with an epoch of its own in mind.
func (s *scriptState) connected() store {
	var st *dedupe.Store
	s.do(func() { st = s.connect(s.prefix) })
	return &scripts{s, st}
}

// scripts is the store of package dedupe behind the servant.
type scripts struct {
	*scriptState
	store *dedupe.Store
}

func (s *scripts) fork() store { return s.connected() }

func (s *scripts) old() store { return nil }

// script runs one, and remembers what it changed. The clock of the answer is the bubble's.
func script[T any](s *scripts, writes bool, run func(ctx context.Context) (T, error)) (answer T, err error) {
	if s.away != nil {
		return answer, &refund.Unavailable{Why: "Redis cannot be reached", Err: s.away}
	}
	s.do(func() {
		answer, err = run(context.Background())
		if err != nil || !writes {
			return
		}
		content := s.content()
		if last := len(s.history) - 1; last < 0 || !maps.EqualFunc(s.history[last], content, value.same) {
			s.history = append(s.history, content)
			s.history = s.history[max(0, len(s.history)-65):]
		}
	})
	return answer, err
}

// content copies what is stored.
func (s *scriptState) content() map[string]value {
	all := map[string]value{}
	for _, key := range s.server.Keys() {
		v := value{}
		if s.server.Type(key) == "zset" {
			v.set, _ = s.server.SortedSet(key)
			v.scores = fmt.Sprint(v.set)
		} else {
			v.text, _ = s.server.Get(key)
		}
		if ttl := s.server.TTL(key); ttl > 0 {
			v.until = s.world.storeTime().Add(ttl)
		}
		all[key] = v
	}
	return all
}

// put brings a content back.
func (s *scriptState) put(content map[string]value) {
	s.server.FlushAll()
	for _, key := range slices.Sorted(maps.Keys(content)) {
		v := content[key]
		left := time.Duration(0)
		if !v.until.IsZero() {
			if left = v.until.Sub(s.world.storeTime()); left <= 0 {
				continue
			}
		}
		for member, score := range v.set {
			_, _ = s.server.ZAdd(key, score, member)
		}
		if v.set == nil {
			_ = s.server.Set(key, v.text)
		}
		if left > 0 {
			s.server.SetTTL(key, left)
		}
	}
}

func (s *scripts) wipe() {
	s.do(s.server.FlushAll)
	s.history = nil
}

// failover goes back by so many writes, and leaves sentinels and locks that another server has written.
func (s *scripts) failover(lost int) int {
	lost = max(0, min(lost, len(s.history)-1))
	s.do(func() {
		if len(s.history) > 0 {
			s.history = s.history[:len(s.history)-lost]
			s.put(s.history[len(s.history)-1])
		}
		for _, key := range s.server.Keys() {
			if strings.HasSuffix(key, ":epoch") || strings.HasSuffix(key, ":rebuild") {
				text, _ := s.server.Get(key)
				head, _, _ := strings.Cut(text, "|")
				left := s.server.TTL(key)
				_ = s.server.Set(key, head+"|another")
				s.server.SetTTL(key, left)
			}
		}
		s.history = []map[string]value{s.content()}
	})
	return lost
}

func (s *scripts) down(err error) { s.scriptState.away = err }

func (s *scripts) peek(refund.Key) (refund.Record, bool) { return refund.Record{}, false }

// seen gives a record the bubble's clock of its asker.
func seen(rec refund.Record, at time.Time) refund.Record {
	rec.Seen = at
	return rec
}
