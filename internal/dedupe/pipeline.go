package dedupe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

const (
	pipelines = 2  // under way to one server at a time: one is on the wire while Redis works on the other
	stepsMost = 64 // of one pipeline: Redis does nothing else meanwhile, some 20 us each
)

// step is one of those that lua/steps.lua takes, on its way; answer and err are set before done is closed.
type step struct {
	ctx        context.Context
	name       string
	keys, args []string
	answer     any
	err        error
	done       chan struct{}
}

// take sends a step to the server that has the merchant, in one script with those of other callers. Whoever comes alone
// waits for nobody. A script that the server refuses as a whole (a slot has moved, a proxy sees several slots) is sent once
// more for each step. An error leaves open whether the step was taken, as ever.
func (s *Store) take(one *step) ([]any, error) {
	server, err := s.serverOf(one.ctx, one.keys[0])
	if err != nil {
		return nil, err
	}
	shared, there := s.queues.Load(server)
	if !there {
		_, slots := s.client.(*redis.ClusterClient)
		shared, _ = s.queues.LoadOrStore(server, &pipeline{server: server, script: s.scripts.steps, text: s.scripts.text, slots: slots})
	}
	err = shared.(*pipeline).join(one)
	if mayGoAlone(err) {
		err = handOut([]*step{one}, s.scripts.steps.Run(one.ctx, s.client, one.keys, one.appendTo(nil)...))
	}
	if err != nil {
		return nil, err
	}
	answer, ok := one.answer.([]any)
	if !ok {
		return nil, fmt.Errorf("dedupe: a step answered %T, want a list", one.answer)
	}
	return answer, nil
}

// appendTo appends what lua/steps.lua is told of a step beside its keys. Go-redis takes pointers to strings, and putting
// those into an interface allocates nothing.
func (one *step) appendTo(args []any) []any {
	args = append(args, &one.name, len(one.keys), len(one.args))
	for i := range one.args {
		args = append(args, &one.args[i])
	}
	return args
}

// handOut gives each step of a script its answer.
func handOut(steps []*step, script *redis.Cmd) error {
	answers, err := script.Slice()
	if err != nil {
		return err
	}
	if len(answers) != len(steps) {
		return fmt.Errorf("dedupe: a script answered %d steps, want %d", len(answers), len(steps))
	}
	for i, one := range steps {
		one.answer = answers[i]
	}
	return nil
}

// pipeline is the way to one server. What goes in it at a time is parted into batches, the steps of one script each.
type pipeline struct {
	server *redis.Client
	script *redis.Script
	text   string // of the script
	slots  bool   // the server is one of a cluster: a script has one slot, so one merchant

	mu      sync.Mutex
	waiting []*step
	running int
}

func (p *pipeline) join(one *step) error {
	p.mu.Lock()
	p.waiting = append(p.waiting, one)
	if p.running < pipelines {
		p.running++
		go p.run()
	}
	p.mu.Unlock()
	select {
	case <-one.done:
		return one.err
	case <-one.ctx.Done():
		return one.ctx.Err()
	}
}

// run sends until nobody waits.
func (p *pipeline) run() {
	for steps := p.next(); steps != nil; steps = p.next() {
		p.send(p.batches(steps))
	}
}

// next is what goes in the next pipeline, without the steps whose callers have gone; nil: nobody waits.
func (p *pipeline) next() (steps []*step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.waiting) > 0 && len(steps) < stepsMost {
		one := p.waiting[0]
		p.waiting = p.waiting[1:]
		if one.ctx.Err() == nil {
			steps = append(steps, one)
		}
	}
	if steps == nil {
		p.waiting = nil
		p.running--
	}
	return steps
}

// batches parts steps into those that one script may take.
func (p *pipeline) batches(steps []*step) (batches [][]*step) {
	if !p.slots {
		return [][]*step{steps}
	}
	slices.SortStableFunc(steps, func(a, b *step) int { return strings.Compare(a.keys[0], b.keys[0]) })
	for from, i := 0, 1; i <= len(steps); i++ {
		if i == len(steps) || steps[i].keys[0] != steps[from].keys[0] {
			batches = append(batches, steps[from:i])
			from = i
		}
	}
	return batches
}

// send sends the script's hash, and the script to a server that does not have it. It may have got it between two batches:
// the steps of the later one are taken twice then, as when a reply is lost.
func (p *pipeline) send(batches [][]*step) {
	cmds := p.exec(batches, "evalsha", p.script.Hash())
	if redis.HasErrorPrefix(cmds[0].Err(), "NOSCRIPT") {
		cmds = p.exec(batches, "eval", p.text)
	}
	for i, steps := range batches {
		err := handOut(steps, cmds[i])
		for _, one := range steps {
			one.err = err
			close(one.done)
		}
	}
}

func (p *pipeline) exec(batches [][]*step, how, script string) []*redis.Cmd {
	pipe := p.server.Pipeline()
	cmds := make([]*redis.Cmd, len(batches))
	for i, steps := range batches {
		cmds[i] = pipe.Do(context.Background(), command(steps, how, script)...)
	}
	_, _ = pipe.Exec(context.Background()) // the client's time-outs bound it; each command has its own error
	return cmds
}

// command is one batch: Redis wants the number of all keys, them, and then what appendTo tells of each step.
func command(steps []*step, how, script string) []any {
	keys, args := 0, 0
	for _, one := range steps {
		keys, args = keys+len(one.keys), args+3+len(one.args)
	}
	command := append(make([]any, 0, 3+keys+args), how, script, keys)
	for _, one := range steps {
		for i := range one.keys {
			command = append(command, &one.keys[i])
		}
	}
	for _, one := range steps {
		command = one.appendTo(command)
	}
	return command
}
