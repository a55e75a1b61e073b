package explorer

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// process is one life of a worker or of the bridge: it is killed, or frozen and woken, as a whole.
type process struct {
	world  *world
	name   string // W1, W2, B; W1.2 in its second life
	slot   int
	life   int
	ctx    context.Context
	cancel context.CancelFunc
	dead   atomic.Bool
	frozen atomic.Int64  // until when, ns since 1970
	gaps   []gap         // in which no commit was acknowledged; guarded by the broker's mutex
	owes   map[debt]bool // looks at records behind events that it has published; guarded by mu

	store   store
	member  *member
	handler *refund.Handler
	keepers []*statuslog.Keeper
	bridge  *bridgeHandler
	tokens  int
	mu      sync.Mutex
	woke    time.Time // when trouble last woke its keepers; guarded by mu
	lanes   map[string]chan struct{}
	own     map[string]string        // what a defect remembers; guarded by mu
	leases  map[refund.Key]time.Time // when it takes them to end; of a defect; guarded by mu
}

// gap is a time without a sign of life.
type gap struct{ from, to time.Time }

// boot starts a process.
func (w *world) boot(name string, slot, life int) *process {
	if life > 1 {
		name = fmt.Sprintf("%s.%d", name, life)
	}
	p := &process{world: w, name: name, slot: slot, life: life, lanes: map[string]chan struct{}{}, owes: map[debt]bool{}}
	p.store = w.store.fork()
	p.ctx, p.cancel = context.WithCancel(context.WithValue(context.Background(), processKey{}, p))
	recorder := &refund.Recorder{
		Records: w.defect.ofRecords(p, redisPort{p}), Publisher: w.defect.ofPublisher(p, statusPort{p}),
		Fresh: session / 2, Trouble: p.trouble,
	}
	if w.defect.fresh > 0 {
		recorder.Fresh = w.defect.fresh
	}
	if strings.HasPrefix(name, "B") {
		p.bridge = newBridgeHandler(p, recorder)
		return p
	}
	p.handler = &refund.Handler{
		Accounts: newAccounts(p), Claims: w.defect.ofClaims(p, redisPort{p}), Recorder: recorder,
		Schedule: refund.Schedule(delays), Lease: lease, ReviewAfter: w.review, Token: p.token,
	}
	if w.defect.handler != nil {
		w.defect.handler(p.handler)
	}
	quiet := lease + time.Millisecond // not the instant at which the lock is refreshed
	if w.replicas {
		quiet += grace
	}
	if w.defect.quiet != nil {
		quiet = *w.defect.quiet
	}
	for _, m := range w.merchants { // each alone, so that a run does not depend on the order of a map
		keeper := statuslog.NewKeeper(statuslog.Config{
			Merchants: []string{m}, Index: w.defect.ofIndex(p, redisPort{p}),
			Log:       &statuslog.Log{Reader: topicPort{p}, Topic: statusTopic},
			Control:   &statuslog.Control{Reader: topicPort{p}, Writer: topicPort{p}, Topic: controlTopic},
			FollowUps: followUpPort{p}, After: refund.Schedule(delays).After,
			Quiet: quiet, Every: keeperEvery, Logger: zerolog.Nop(),
		})
		p.keepers = append(p.keepers, keeper)
		go keeper.Run(withActor(p.ctx, "keeper "+m))
	}
	return p
}

// keeperEvery is rarer than in production, where it is seconds: the driver and every trouble wake the keeper.
const keeperEvery = 6 * time.Hour

type processKey struct{}

func processOf(ctx context.Context) *process {
	p, _ := ctx.Value(processKey{}).(*process)
	return p
}

// token is random in production; here it is the next of its process.
func (p *process) token() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens++
	return fmt.Sprintf("%s:%d", p.name, p.tokens)
}

// trouble wakes the keepers, as often as production looks by itself: while a merchant is closed everybody asks each second.
func (p *process) trouble(_ string, err error) {
	if statuslog.LossOf(err).Kind == statuslog.Nothing {
		return
	}
	p.mu.Lock()
	rested := time.Since(p.woke) >= wakeEvery
	if rested {
		p.woke = time.Now()
	}
	p.mu.Unlock()
	if rested {
		p.wakeKeepers()
	}
}

const wakeEvery = 5 * time.Second

func (p *process) wakeKeepers() {
	for _, k := range p.keepers {
		k.Wake()
	}
}

// lane is a token that the running work of an order holds.
func (p *process) lane(order string) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lanes[order] == nil {
		p.lanes[order] = make(chan struct{}, 1)
	}
	return p.lanes[order]
}

// kill ends the process where it stands: no goroutine of it passes another gate.
func (p *process) kill() {
	if p.dead.Load() {
		return
	}
	p.world.logf("-- %s is killed", p.name)
	p.torn()
	p.end()
	p.world.leave(p)
}

func (p *process) end() {
	p.dead.Store(true)
	p.cancel()
}

// freeze stops the process for d, as SIGSTOP does.
func (p *process) freeze(d time.Duration) {
	p.world.logf("-- %s is frozen for %s", p.name, d)
	p.torn()
	now := time.Now()
	p.frozen.Store(now.Add(d).UnixNano())
	p.world.broker.mu.Lock()
	defer p.world.broker.mu.Unlock()
	p.gaps = append(p.gaps, gap{now, now.Add(d)})
}

// torn notes that the process stopped between publishing an event and having looked at the record again: only then, and
// where its generation ended in between, may an older event stay the last one on the topic.
func (p *process) torn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for owed := range p.owes {
		p.world.tear(owed.key)
	}
}

// rests is told when an actor has ended or given up, which is torn for what he owes.
func (p *process) rests(ctx context.Context, gaveUp bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for owed := range p.owes {
		if owed.actor == actorOf(ctx) {
			delete(p.owes, owed)
			if gaveUp {
				p.world.tear(owed.key)
			}
		}
	}
}

func (w *world) tear(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.torn[key] = true
}

// debt is a look at a refund's record that somebody owes.
type debt struct{ actor, key string }

// wrote and looked tell when somebody owes a look at the record behind an event.
func (p *process) wrote(ctx context.Context, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owes[debt{actorOf(ctx), key}] = true
}

func (p *process) looked(ctx context.Context, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.owes, debt{actorOf(ctx), key})
}

// wake ends a freeze.
func (p *process) wake() { p.frozen.Store(0) }

func (p *process) frozenUntil() time.Time { return time.Unix(0, p.frozen.Load()) }

// thaw waits at a gate while the process is frozen.
func (p *process) thaw(ctx context.Context) {
	if p.frozenUntil().After(time.Now()) {
		p.pass(ctx, "frozen", before, "")
	}
}

// restart boots the process again, unless that was done already.
func (w *world) restart(p *process) *process {
	if now := w.inPlaceOf(p); now != p {
		return now
	}
	first, _, _ := strings.Cut(p.name, ".")
	next := w.boot(first, p.slot, p.life+1)
	w.logf("-- %s starts", next.name)
	if p.bridge != nil {
		w.bridge.Store(next)
	} else {
		w.workers[p.slot] = next
	}
	return next
}

// inPlaceOf is the process that runs, or was the last to run, where p does or did.
func (w *world) inPlaceOf(p *process) *process {
	if p.bridge != nil {
		return w.bridge.Load()
	}
	return w.workers[p.slot]
}
