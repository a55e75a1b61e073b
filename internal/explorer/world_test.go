package explorer

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/dedupe/memstore"
	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/refund"
)

// The settings of every world: those of the example configuration where they have a say.
const (
	lease       = 30 * time.Second
	session     = 10 * time.Second
	callTimeout = 10 * time.Second
	resendAfter = time.Minute
	drain       = 15 * time.Second
	grace       = 15 * time.Second // failover_grace, where Redis has replicas
	retention   = 9600 * time.Hour
)

var delays = must(consumer.NewDelays(10*time.Second, time.Minute, 5*time.Minute, 10*time.Minute, 30*time.Minute, time.Hour, 6*time.Hour))

// director decides what happens at each gate. It may change the world (kill, freeze, wipe), and says what becomes of the
// step itself.
type director interface {
	at(*world, *waiter) action
	choose(*world, []*waiter) *waiter
}

// action is what becomes of a step.
type action struct {
	fail  bool          // it is refused (before), or its answer is lost (after)
	delay time.Duration // on its way
	ghost time.Duration // it is done once more after this long, as by a packet that was long on its way
}

// setup is what a world is made of.
type setup struct {
	merchants []string
	director  director
	defect    *defect // nil: the system as it is
	review    time.Duration
	replicas  bool               // Redis has some: a primary that was cut off takes writes for as long as the grace
	lanes     bool               // works of one order run one after another, as in the consumer
	store     func(*world) store // nil: memstore
	trace     io.Writer          // nil: none
}

// world is the whole system and all that surrounds it, in one bubble.
type world struct {
	setup
	start   time.Time
	gates   *gates
	broker  *broker
	store   store
	sim     *gatewaysim.Sim
	workers [2]*process
	bridge  atomic.Pointer[process] // callbacks of the gateway read it
	events  schedule
	seq     int
	skew    atomic.Int64 // of Redis's clock, ns
	mu      sync.Mutex
	notes   []note // of goroutines between two gates; guarded by mu
	late    []ghost
	names   int // of deliveries

	asked    []asking                // what was published to the request topic
	newest   map[string]refund.Event // by key, the highest sequence on the status topic
	torn     map[string]bool         // keys of which somebody stopped, or gave up, between an event and the look behind it; guarded by mu
	scratch  scratch                 // of defects; guarded by mu
	foreign  map[string]bool         // keys that staff made at the gateway's portal before they were asked for here
	lastCall time.Time               // when the last call left
	problems []string                // what the world itself saw go wrong
}

// asking is one record of the request topic.
type asking struct {
	request refund.Request
	tp      topicPartition
	offset  int64
}

func newWorld(s setup) *world {
	w := &world{setup: s, start: time.Now(), gates: newGates(), newest: map[string]refund.Event{}, torn: map[string]bool{}, foreign: map[string]bool{},
		scratch: scratch{marked: map[refund.Key]string{}, opened: map[string]time.Time{}, chains: map[refund.Key]int{}}}
	if w.review == 0 {
		w.review = 24 * time.Hour
	}
	if w.defect == nil {
		w.defect = &defect{}
	}
	w.broker = newBroker()
	if w.defect.forgetful {
		w.broker.compaction = 0
	}
	if s.store != nil {
		w.store = s.store(w)
	} else {
		w.store = memory{memstore.New(memstore.Options{Retention: retention, History: 64, Now: w.storeTime}), w.storeTime}
	}
	w.sim = newSim(w)
	w.bridge.Store(w.boot("B", 0, 1))
	for i := range w.workers {
		w.workers[i] = w.boot(fmt.Sprintf("W%d", i+1), i, 1)
	}
	return w
}

// close ends every process and the gateways, and lets the time pass in which whoever still sleeps comes to his end: no
// goroutine is left.
func (w *world) close() {
	for _, p := range []*process{w.bridge.Load(), w.workers[0], w.workers[1]} {
		p.end()
	}
	w.sim.Close()
	for range 2 {
		for w.gates.settle(); w.gates.bury(); w.gates.settle() {
		}
		time.Sleep(longestSleep)
	}
}

// longestSleep bounds what a process does by a clock of its own, not by its context: the bridge's time for a callback.
const longestSleep = 15 * time.Second

// run lets things happen until the end, or until done says so while nothing can happen at this instant.
func (w *world) run(end time.Time, done func() bool) {
	for {
		w.gates.settle()
		w.tell()
		w.haunt()
		if w.gates.bury() || w.fire() || w.feed() {
			continue
		}
		now := time.Now()
		ready, next := w.gates.runnable(now)
		if len(ready) > 0 && w.gates.passed <= endless {
			w.step(w.director.choose(w, ready))
			continue
		}
		if !now.Before(end) || done() || w.gates.passed > endless {
			return
		}
		next = earliest(next, w.broker.nextDue(now))
		if len(w.events) > 0 {
			next = earliest(next, w.events[0].at)
		}
		w.sleep(earliest(next, end))
	}
}

// endless is so many gates that a run must be going round in circles: it ends there, unsettled.
const endless = 20_000

// step asks the director, once, and lets the waiter go unless it was told to wait.
func (w *world) step(one *waiter) {
	if !one.asked {
		one.asked = true
		do := w.director.at(w, one)
		one.fail, one.ghost = do.fail, do.ghost
		if do.delay > 0 {
			one.ready = time.Now().Add(do.delay)
		}
		if one.proc.dead.Load() || do.delay > 0 || one.proc.frozenUntil().After(time.Now()) {
			return
		}
	}
	w.logf("%s%s", one, map[bool]string{true: " FAILS"}[one.fail])
	w.gates.release(one)
}

// sleep until the instant, or until somebody comes to a gate.
func (w *world) sleep(until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-w.gates.bell:
	case <-timer.C:
	}
}

// at makes something happen after d.
func (w *world) at(d time.Duration, what string, do func()) {
	w.seq++
	heap.Push(&w.events, event{time.Now().Add(d), w.seq, what, do})
}

func (w *world) fire() bool {
	if len(w.events) == 0 || w.events[0].at.After(time.Now()) {
		return false
	}
	e := heap.Pop(&w.events).(event)
	w.logf("-- %s", e.what)
	e.do()
	return true
}

// storeTime is what Redis's clock shows.
func (w *world) storeTime() time.Time { return time.Now().Add(time.Duration(w.skew.Load())) }

// now is how long the world has existed.
func (w *world) now() time.Duration { return time.Since(w.start) }

func (w *world) logf(format string, args ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace, "%14s  %s\n", w.now(), fmt.Sprintf(format, args...))
	}
}

// note is a line for the log by a goroutine that has passed a gate.
type note struct{ actor, words string }

// notef is logf for everybody but the scheduler: of several goroutines that run at one instant the lines are put in order.
func (w *world) notef(ctx context.Context, format string, args ...any) {
	if w.trace != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.notes = append(w.notes, note{actorOf(ctx), fmt.Sprintf(format, args...)})
	}
}

// tell writes the notes.
func (w *world) tell() {
	w.mu.Lock()
	notes := w.notes
	w.notes = nil
	w.mu.Unlock()
	slices.SortStableFunc(notes, func(a, b note) int { return cmp.Compare(a.actor, b.actor) })
	for _, n := range notes {
		w.logf("   %s", n.words)
	}
}

func (w *world) problem(ctx context.Context, format string, args ...any) {
	words := fmt.Sprintf(format, args...)
	w.notef(ctx, "!! %s", words)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, words)
}

// event is something that happens to the world at an instant.
type event struct {
	at   time.Time
	seq  int
	what string
	do   func()
}

// schedule is a heap of events.
type schedule []event

func (s schedule) Len() int { return len(s) }
func (s schedule) Less(i, j int) bool {
	return s[i].at.Before(s[j].at) || s[i].at.Equal(s[j].at) && s[i].seq < s[j].seq
}
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)   { *s = append(*s, x.(event)) }
func (s *schedule) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// request asks for a refund.
func request(merchant, no, order string, minor, total int64, flow refund.Flow) refund.Request {
	return refund.Request{
		Key: refund.Key{Merchant: merchant, RefundNo: no}, OrderNo: order, Method: "WeChat", Wallet: "WECHATHK",
		Amount: refund.Money{Minor: minor, Currency: hkd}, OrderAmount: refund.Money{Minor: total, Currency: hkd}, Flow: flow,
	}
}

var hkd = refund.Currency{Code: "HKD", Exponent: 2}

// publish writes a request to a partition of the request topic.
func (w *world) publish(r refund.Request, partition int) {
	tp := topicPartition{Topic: requestTopic, Partition: partition}
	offset := w.broker.append(tp, requestRecord(r))
	w.asked = append(w.asked, asking{r, tp, offset})
	w.logf("-- request %s of %s %s at %s/%d", r.RefundNo, r.OrderNo, r.Amount, tp, offset)
}
