package dedupe

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

const (
	pipelines    = 2  // under way to one server at a time: one is on the wire while Redis works on the other
	pipelineMost = 64 // scripts of one: Redis does nothing else meanwhile, some 30 us each
)

// eval sends a script to the server that has the merchant, in a pipeline with those of other callers. Whoever comes alone
// waits for nobody. What a pipeline cannot carry (a script that the server does not have, a slot that has moved) goes
// alone. An error leaves open whether the step was taken, as ever.
func (s *Store) eval(ctx context.Context, script *redis.Script, names []string, args []any) ([]any, error) {
	server, err := s.serverOf(ctx, names[0])
	if err != nil {
		return nil, err
	}
	shared, there := s.queues.Load(server)
	if !there {
		shared, _ = s.queues.LoadOrStore(server, &pipeline{server: server})
	}
	cmd, err := shared.(*pipeline).eval(ctx, script, names, args)
	if err != nil {
		return nil, err
	}
	if err := cmd.Err(); err != nil && alone(err) {
		return script.Run(ctx, s.client, names, args...).Slice()
	}
	return cmd.Slice()
}

// alone says whether a script was not run for a reason that a call of its own overcomes.
func alone(err error) bool {
	for _, reason := range []string{"NOSCRIPT", "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"} {
		if redis.HasErrorPrefix(err, reason) {
			return true
		}
	}
	return false
}

// pipeline is the way to one server.
type pipeline struct {
	server *redis.Client

	mu      sync.Mutex
	waiting []*step
	running int
}

// step is one script on its way; cmd is set before done is closed.
type step struct {
	ctx    context.Context
	script *redis.Script
	names  []string
	args   []any
	cmd    *redis.Cmd
	done   chan struct{}
}

func (p *pipeline) eval(ctx context.Context, script *redis.Script, names []string, args []any) (*redis.Cmd, error) {
	one := &step{ctx: ctx, script: script, names: names, args: args, done: make(chan struct{})}
	p.mu.Lock()
	p.waiting = append(p.waiting, one)
	if p.running < pipelines {
		p.running++
		go p.run()
	}
	p.mu.Unlock()
	select {
	case <-one.done:
		return one.cmd, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run sends until nobody waits.
func (p *pipeline) run() {
	for steps := p.take(); steps != nil; steps = p.take() {
		pipe := p.server.Pipeline()
		for _, one := range steps {
			one.cmd = one.script.EvalSha(context.Background(), pipe, one.names, one.args...)
		}
		_, _ = pipe.Exec(context.Background()) // the client's time-outs bound it; each command has its own error
		for _, one := range steps {
			close(one.done)
		}
	}
}

// take is the next pipeline, without those whose callers have gone; nil: nobody waits.
func (p *pipeline) take() (steps []*step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.waiting) > 0 && len(steps) < pipelineMost {
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
