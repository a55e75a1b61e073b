package consumer

import (
	"slices"
	"sync"
	"time"
)

// lanes run tasks: those of one lane one after another in the order of their arrival, those of different lanes side by
// side up to a maximum, in turns among their shares. A task that rests (it waits for its next try) holds its lane, but
// none of the running places. Lanes outlive generations: a work that did not end in the drain keeps its lane, so that the
// next generation's work of the same lane waits for it.
type lanes struct {
	max     int
	changed func(running int) // told under the mutex; may be nil

	mu      sync.Mutex
	byKey   map[laneKey]*lane
	unnamed uint64
	shares  map[string]*share // those that have lanes
	turns   []*share          // those of them that have a task to run; each once, the next one first
	running int
	aside   int            // of those that run: out of turn
	at      *run           // whose goroutine goes on with the next step that begins; nil: none
	owners  map[any]*owner // of tasks that run, or that were dropped and still run
}

// laneKey tells lanes apart: by their name, or by a number where they have none.
type laneKey struct {
	name   string
	number uint64
}

// lane is a queue whose head runs, rests, or waits for a running place. It is forgotten when it is empty.
type lane struct {
	key   laneKey
	share *share
	queue []*task
	busy  bool        // the head runs
	early bool        // it has an appointment
	wake  *time.Timer // set while the head rests
	since time.Time   // when the head began to run, rest or wait
	until time.Time   // the end of its rest
}

// task is what lanes run. owner is whom drop asks for.
type task struct {
	owner any
	early bool // it was told when to come, and comes then: it goes before those that were not
	// step is one try. It says whether the task is finished, and if not, how long it rests before the next try. crowded is
	// 0 in its turn; else see turnAway.
	step func(crowded time.Duration) (finished bool, rest time.Duration)
	of   *delivering // what it is about, for the watchdog
}

// run is one step of a lane's head.
type run struct {
	lane    *lane
	head    *task
	crowded time.Duration
}

type owner struct {
	running int
	idle    chan struct{} // set by drop, closed when none runs
}

func newLanes(maxRunning int, changed func(int)) *lanes {
	return &lanes{max: maxRunning, changed: changed, byKey: map[laneKey]*lane{}, shares: map[string]*share{}, owners: map[any]*owner{}}
}

// add queues a task behind the others of its lane. A lane without a name is one of its own.
func (l *lanes) add(to Lane, t *task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := laneKey{name: to.Name}
	if to.Name == "" {
		l.unnamed++
		key.number = l.unnamed
	}
	one := l.byKey[key]
	if one == nil {
		one = &lane{key: key, share: l.enter(to)}
		l.byKey[key] = one
	}
	one.queue = append(one.queue, t)
	if len(one.queue) == 1 {
		l.makeReady(one)
		l.start()
	}
}

// makeReady gives the lane its place among those of its share: behind all others, but before those without an
// appointment where its head has one, from another time or from its rest.
func (l *lanes) makeReady(one *lane) {
	one.early = one.queue[0].early || one.wake != nil
	one.wake, one.since = nil, time.Now()
	if !one.share.waiting() {
		l.turns = append(l.turns, one.share)
	}
	if one.early {
		one.share.early = append(one.share.early, one)
	} else {
		one.share.ready = append(one.share.ready, one)
	}
}

// start runs the heads of ready lanes while there are places, one of each share in turn.
func (l *lanes) start() {
	for refused := 0; l.running < l.max && refused < len(l.turns); {
		s := l.turns[refused]
		if !l.may(s) {
			refused++
			continue
		}
		copy(l.turns[1:], l.turns[:refused]) // who is refused keeps his turn
		l.turns = l.turns[1:]
		one := s.next()
		if s.waiting() {
			l.turns = append(l.turns, s)
		}
		s.running++
		if !one.early {
			s.fresh++
		}
		l.begin(one, 0)
	}
}

// begin starts one step of the lane's head.
func (l *lanes) begin(one *lane, crowded time.Duration) {
	one.busy, one.since = true, time.Now()
	head := one.queue[0]
	if l.owners[head.owner] == nil {
		l.owners[head.owner] = &owner{}
	}
	l.owners[head.owner].running++
	l.count(+1)
	if l.at != nil && l.at.lane == nil {
		*l.at = run{one, head, crowded}
		return
	}
	go l.run(run{one, head, crowded})
}

// run runs a step, and then what its end made room for: with a backlog a goroutine, whose stack has grown to what a work
// needs, goes from step to step.
func (l *lanes) run(now run) {
	for now.lane != nil {
		finished, rest := now.head.step(now.crowded)
		now = l.ended(now, finished, rest)
	}
}

// ended decides what the lane does after a step of its head, and answers the step to go on with, if there is one.
func (l *lanes) ended(was run, finished bool, rest time.Duration) (next run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, head := was.lane, was.head
	one.busy = false
	l.count(-1)
	if was.crowded > 0 {
		l.aside--
	} else {
		one.share.ended(one, head, finished)
	}
	of := l.owners[head.owner]
	if of.idle != nil {
		finished = true // dropped: no next try here
	}
	if of.running--; of.running == 0 {
		delete(l.owners, head.owner)
		if of.idle != nil {
			close(of.idle)
		}
	}
	if finished {
		one.queue[0] = nil
		one.queue = one.queue[1:]
	}
	switch {
	case len(one.queue) == 0:
		l.forget(one)
	case finished || rest <= 0:
		l.makeReady(one)
	default:
		l.rest(one, rest)
	}
	l.at = &next
	l.start()
	l.at = nil
	return next
}

func (l *lanes) forget(one *lane) {
	delete(l.byKey, one.key)
	l.leave(one.share)
}

// rest makes the lane ready after d.
func (l *lanes) rest(one *lane, d time.Duration) {
	one.since = time.Now()
	one.until = one.since.Add(d)
	var wake *time.Timer
	wake = time.AfterFunc(d, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if one.wake == wake { // not dropped meanwhile
			l.makeReady(one)
			l.start()
		}
	})
	one.wake = wake
}

func (l *lanes) count(by int) {
	l.running += by
	if l.changed != nil {
		l.changed(l.running)
	}
}

// drop forgets the owner's tasks that do not run, and answers a channel that closes when those that do have ended their
// step; none of them gets another. The owner must have added its last.
func (l *lanes) drop(who any) (idle <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.byKey {
		keep := 0
		if one.busy {
			keep = 1
		}
		wasHead := one.queue[0]
		one.queue = append(one.queue[:keep:keep], slices.DeleteFunc(slices.Clone(one.queue[keep:]), func(t *task) bool { return t.owner == who })...)
		switch {
		case len(one.queue) == 0:
			one.stopRest()
			l.forget(one)
		case one.queue[0] != wasHead && one.stopRest():
			l.makeReady(one)
		}
	}
	l.dropEmpty()
	l.start()
	done := make(chan struct{})
	if of := l.owners[who]; of != nil {
		of.idle = done
	} else {
		close(done)
	}
	return done
}

// stopRest answers whether the lane was resting.
func (one *lane) stopRest() bool {
	was := one.wake != nil
	if was {
		one.wake.Stop()
		one.wake = nil
	}
	return was
}

// laneView is what the watchdog tells of a lane.
type laneView struct {
	name    string
	head    *task
	busy    bool
	resting bool
	since   time.Time
	until   time.Time
	queued  int // behind the head
}

// views are the lanes with at least one task for which match is true.
func (l *lanes) views(match func(*task) bool) []laneView {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []laneView
	for _, one := range l.byKey {
		if slices.ContainsFunc(one.queue, match) {
			out = append(out, laneView{one.key.name, one.queue[0], one.busy, one.wake != nil, one.since, one.until, len(one.queue) - 1})
		}
	}
	return out
}
