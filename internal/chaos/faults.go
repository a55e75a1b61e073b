//go:build unix

package chaos

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/refundworker/refundworker/internal/realparts"
)

// monkey hurts everything at once. What it does to each victim, and when, comes
// from the seed and the victim's name alone: a run repeats, as far as processes do.
type monkey struct {
	system *System
	seed   uint64
	length time.Duration // of the faults
	log    io.Writer     // one line a fault

	mu    sync.Mutex
	tally faults
	wrong []error
}

// faults counts what was done.
type faults struct {
	Kills                                             map[string]int // by victim
	Pauses, Stops, Frozen                             int            // of workers and bridge; clean stops; of Kafka and Redis
	BrokerRestarts, RedisRestarts, Forgotten, Flushed int
	Emptied, Outages                                  int
}

// Total of kill -9, and of wipes of Redis.
func (f faults) kills() (n int) {
	for _, k := range f.Kills {
		n += k
	}
	return n
}

func (f faults) wipes() int { return f.Flushed + f.Emptied }

// run hurts for its length, then sees to it that everybody is up.
func (m *monkey) run(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, m.length)
	defer cancel()
	var all sync.WaitGroup
	victim := func(name string, torment func(context.Context, *rand.Rand)) {
		rng := rand.New(rand.NewPCG(m.seed, digest(name)))
		all.Go(func() { torment(ctx, rng) })
	}
	for _, worker := range m.system.Workers {
		victim(worker.Name, func(ctx context.Context, rng *rand.Rand) { m.daemon(ctx, rng, worker) })
	}
	victim("bridge", func(ctx context.Context, rng *rand.Rand) { m.daemon(ctx, rng, m.system.Bridge) })
	victim("redis", m.redis)
	victim("kafka", m.kafka)
	victim("gateway", m.gateway)
	all.Wait()
}

// daemon kills, pauses and stops one of the binaries, over and over.
func (m *monkey) daemon(ctx context.Context, rng *rand.Rand, p *realparts.Process) {
	defer func() { m.note(p.Resume()) }()
	for rest(ctx, between(rng, 1500*time.Millisecond, 6*time.Second)) {
		m.checkAlive(p)
		switch dice := rng.IntN(10); {
		case dice < 7:
			m.did(p.Name, "kill -9", func(f *faults) { f.Kills[p.Name]++ })
			p.Kill()
			rest(ctx, between(rng, 0, 1500*time.Millisecond))
			m.note(p.Start())
		case dice < 9: // up to well past its lease
			pause := between(rng, 500*time.Millisecond, 2*claimLease)
			m.did(p.Name, fmt.Sprintf("paused for %s", pause.Round(time.Millisecond)), func(f *faults) { f.Pauses++ })
			m.note(p.Pause())
			rest(ctx, pause)
			m.note(p.Resume())
		default:
			m.did(p.Name, "SIGTERM", func(f *faults) { f.Stops++ })
			m.note(endCleanly(p))
			m.note(p.Start())
		}
	}
	m.checkAlive(p)
}

// checkAlive: nobody ends but by us. Whoever did is an error, and started again.
func (m *monkey) checkAlive(p *realparts.Process) {
	select {
	case <-p.Exited():
		m.note(fmt.Errorf("%s ended by itself with exit code %d: see %s", p.Name, p.ExitCode(), p.Log))
		m.note(p.Start())
	default:
	}
}

// redis does each of five things in an order of the seed, again and again: each of
// them happens in every run, also in a short one.
func (m *monkey) redis(ctx context.Context, rng *rand.Rand) {
	server := m.system.Redis
	actions := []func() error{
		func() error {
			m.did("redis", "kill -9 and restart", func(f *faults) { f.Kills["redis"]++; f.RedisRestarts++ })
			return server.Restart()
		},
		func() error {
			lost := int64(1 + rng.IntN(20_000))
			m.did("redis", fmt.Sprintf("kill -9 and restart without its last %d bytes", lost), func(f *faults) { f.Kills["redis"]++; f.Forgotten++ })
			return server.Forget(lost)
		},
		func() error {
			m.did("redis", "FLUSHALL", func(f *faults) { f.Flushed++ })
			return flush(server)
		},
		func() error {
			m.did("redis", "kill -9 and restart empty", func(f *faults) { f.Kills["redis"]++; f.Emptied++ })
			return server.Empty()
		},
		func() error {
			m.did("redis", "frozen", func(f *faults) { f.Frozen++ })
			err := server.Pause()
			rest(ctx, between(rng, time.Second, 4*time.Second))
			if err == nil {
				err = server.Resume()
			}
			return err
		},
	}
	pace := min(30*time.Second, m.length/time.Duration(len(actions)+1))
	for {
		rng.Shuffle(len(actions), func(i, j int) { actions[i], actions[j] = actions[j], actions[i] })
		for _, action := range actions {
			if !rest(ctx, between(rng, pace/2, pace)) {
				return
			}
			m.note(action())
		}
	}
}

// flush wipes a running server. A server that is not there yet is tried again.
func flush(server *realparts.Redis) error {
	_, port, _ := strings.Cut(server.Addr, ":")
	out, err := exec.Command("redis-cli", "-p", port, "flushall").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "OK") {
		return fmt.Errorf("FLUSHALL: %w: %s", err, out)
	}
	return nil
}

// kafka hurts one broker at a time.
func (m *monkey) kafka(ctx context.Context, rng *rand.Rand) {
	cluster := m.system.Kafka
	pace := min(20*time.Second, m.length/4)
	for rest(ctx, between(rng, pace/2, pace)) {
		i := rng.IntN(len(cluster.Nodes))
		node := cluster.Nodes[i]
		switch dice := rng.IntN(10); {
		case dice < 6:
			m.did(node.Name, "kill -9 and restart", func(f *faults) { f.Kills["kafka"]++; f.BrokerRestarts++ })
			node.Kill()
			rest(ctx, between(rng, 0, 3*time.Second))
			m.note(node.Start())
		case dice < 8:
			m.did(node.Name, "SIGTERM and restart", func(f *faults) { f.BrokerRestarts++ })
			node.Stop(stopTime)
			m.note(node.Start())
		default:
			m.did(node.Name, "frozen", func(f *faults) { f.Frozen++ })
			m.note(node.Pause())
			rest(ctx, between(rng, time.Second, 5*time.Second))
			m.note(node.Resume())
		}
		m.note(cluster.AwaitBroker(i))
	}
}

// gateway closes the gateways' door now and then.
func (m *monkey) gateway(ctx context.Context, rng *rand.Rand) {
	for rest(ctx, between(rng, m.length/8, m.length/4)) {
		away := between(rng, time.Second, 5*time.Second)
		m.did("gateways", fmt.Sprintf("refuse connections for %s", away.Round(time.Millisecond)), func(f *faults) { f.Outages++ })
		m.note(m.system.Books.Command(context.WithoutCancel(ctx), map[string]any{"refuse_for": away.String()}))
	}
}

// did counts a fault and writes it down before it is done.
func (m *monkey) did(victim, what string, count func(*faults)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	count(&m.tally)
	fmt.Fprintf(m.log, "%s %s: %s\n", time.Now().Format(clockForm), victim, what)
}

const clockForm = "15:04:05.000"

// note keeps what must not happen.
func (m *monkey) note(err error) {
	if err == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrong = append(m.wrong, err)
	fmt.Fprintf(m.log, "%s WRONG %v\n", time.Now().Format(clockForm), err)
}

func (m *monkey) wrongs() []error { return m.wrong }

func (m *monkey) words(line func(name, words string, args ...any)) {
	f := m.tally
	line("kills", "%d (%s)", f.kills(), victims(f.Kills))
	line("pauses", "%d of workers and bridge, %d of Kafka and Redis; %d clean stops, exit 0", f.Pauses, f.Frozen, f.Stops)
	line("Kafka", "%d broker restarts", f.BrokerRestarts)
	line("Redis", "%d restarts, %d without its last writes, %d wipes (%d FLUSHALL, %d restarted empty)", f.RedisRestarts, f.Forgotten, f.wipes(), f.Flushed, f.Emptied)
	line("outages", "%d of the gateways", f.Outages)
}

func victims(kills map[string]int) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(kills)) {
		words = append(words, fmt.Sprintf("%s %d", name, kills[name]))
	}
	return strings.Join(words, ", ")
}

// rest waits, and answers false once ctx has ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}

// digest makes a number of a name.
func digest(name string) uint64 {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(name)) // never fails
	return sum.Sum64()
}
