package explorer

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/dedupe/memstore"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// store is Redis, and what may happen to it.
type store interface {
	refund.Claims
	refund.Records
	statuslog.Index
	fork() store // the way of one process to it
	old() store  // a primary that was cut off, with all that is stored; nil: not to be had
	wipe()
	failover(lost int) int // the last acknowledged writes are lost; how many were
	down(error)
	Begin(ctx context.Context, merchant string, epoch int64) (int64, error)
	peek(refund.Key) (refund.Record, bool) // what is stored, although the merchant is closed
}

// memory is the store in plain Go.
type memory struct {
	*memstore.Store
	now func() time.Time
}

func (m memory) fork() store { return m }

func (m memory) old() store {
	copied := memory{memstore.New(memstore.Options{Retention: retention, Now: m.now}), m.now}
	copied.Put(m.Take())
	return copied
}

func (m memory) wipe()                 { m.Wipe() }
func (m memory) failover(lost int) int { return m.Failover(lost) }
func (m memory) down(err error)        { m.Down(err) }

// peek opens a copy under its own server.
func (m memory) peek(key refund.Key) (refund.Record, bool) {
	copied := memstore.New(memstore.Options{Retention: retention, Now: m.now})
	copied.Put(m.Take())
	token, err := copied.Lock(context.Background(), key.Merchant, time.Minute)
	if err != nil {
		copied.BreakLock(key.Merchant)
		token = must(copied.Lock(context.Background(), key.Merchant, time.Minute))
	}
	_, _ = copied.Finish(context.Background(), key.Merchant, token, 1<<40)
	rec, err := copied.Load(context.Background(), key)
	return rec, err == nil && rec.Known()
}

// redisPort is a process's way to Redis: a gate before each script and one behind it.
type redisPort struct{ proc *process }

var errReplyLost = &refund.Unavailable{Why: "the connection broke", Err: errors.New("EOF")}

// step takes one script through its gates.
func step[T any](p *process, ctx context.Context, op, key string, script func() (T, error)) (T, error) {
	var none T
	told := p.enter(ctx, op, before, key)
	if told.fail {
		return none, errReplyLost
	}
	if err := ctx.Err(); err != nil {
		return none, &refund.Unavailable{Why: "too late", Err: err}
	}
	answer, err := script()
	if told.ghost > 0 {
		p.world.ghosts(told, func() { _, _ = script() })
	}
	if p.pass(ctx, op, after, key) {
		return none, errReplyLost
	}
	return answer, err
}

// ghosts has a script run once more, later: the server had it twice, and the second answer reaches nobody.
func (w *world) ghosts(of *waiter, script func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late = append(w.late, ghost{time.Now().Add(of.ghost), of.String(), script})
}

type ghost struct {
	at     time.Time
	what   string
	script func()
}

// haunt takes the ghosts into the world's events.
func (w *world) haunt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.late {
		w.at(time.Until(g.at), "ghost of "+g.what, g.script)
	}
	w.late = nil
}

func plain(err error) (struct{}, error) { return struct{}{}, err }

func (r redisPort) Claim(ctx context.Context, c refund.Claim) (refund.Claimed, error) {
	return step(r.proc, ctx, "claim", c.Request.Key.String(), func() (refund.Claimed, error) {
		claimed, err := r.proc.store.Claim(ctx, c)
		r.proc.world.notef(ctx, "claim by %s: answer %d, %s", c.Token, claimed.Answer, recordWords(claimed.Record))
		return claimed, err
	})
}

func (r redisPort) Resend(ctx context.Context, rec refund.Record, token string, d time.Duration) (refund.Claimed, error) {
	return step(r.proc, ctx, "resend", rec.Key().String(), func() (refund.Claimed, error) {
		return r.proc.store.Resend(ctx, rec, token, d)
	})
}

func (r redisPort) Load(ctx context.Context, key refund.Key) (refund.Record, error) {
	return step(r.proc, ctx, "load", key.String(), func() (refund.Record, error) { return r.proc.store.Load(ctx, key) })
}

type recorded struct {
	rec refund.Record
	won bool
}

func (r redisPort) Record(ctx context.Context, next refund.Record, endLease string) (refund.Record, bool, error) {
	answer, err := step(r.proc, ctx, "record", next.Key().String(), func() (recorded, error) {
		rec, won, err := r.proc.store.Record(ctx, next, endLease)
		r.proc.world.notef(ctx, "record %s: stored %t, %s", recordWords(next), won, recordWords(rec))
		return recorded{rec, won}, err
	})
	return answer.rec, answer.won, err
}

func (r redisPort) Published(ctx context.Context, key refund.Key, sequence int64) (refund.Record, error) {
	return step(r.proc, ctx, "published", key.String(), func() (refund.Record, error) {
		rec, err := r.proc.store.Published(ctx, key, sequence)
		if err == nil && rec.Last.Sequence <= sequence {
			r.proc.looked(ctx, key.String())
		}
		return rec, err
	})
}

func (r redisPort) Epoch(ctx context.Context, merchant string) (int64, error) {
	return step(r.proc, ctx, "epoch", merchant, func() (int64, error) { return r.proc.store.Epoch(ctx, merchant) })
}

func (r redisPort) Restore(ctx context.Context, merchant, token string, recs []refund.Record) ([]refund.Record, error) {
	return step(r.proc, ctx, "restore", keysOf(recs), func() ([]refund.Record, error) {
		return r.proc.store.Restore(ctx, merchant, token, recs)
	})
}

func (r redisPort) Finish(ctx context.Context, merchant, token string, epoch int64) (int64, error) {
	return step(r.proc, ctx, "finish", merchant, func() (int64, error) {
		return r.proc.store.Finish(ctx, merchant, token, epoch)
	})
}

func (r redisPort) Lock(ctx context.Context, merchant string, ttl time.Duration) (string, error) {
	return step(r.proc, ctx, "lock", merchant, func() (string, error) { return r.proc.store.Lock(ctx, merchant, ttl) })
}

func (r redisPort) Refresh(ctx context.Context, merchant, token string, ttl time.Duration) error {
	_, err := step(r.proc, ctx, "refresh", merchant, func() (struct{}, error) {
		return plain(r.proc.store.Refresh(ctx, merchant, token, ttl))
	})
	return err
}

func (r redisPort) Unlock(ctx context.Context, merchant, token string) error {
	_, err := step(r.proc, ctx, "unlock", merchant, func() (struct{}, error) {
		return plain(r.proc.store.Unlock(ctx, merchant, token))
	})
	return err
}

func (r redisPort) Note(ctx context.Context, merchant, offsets string) error {
	_, err := step(r.proc, ctx, "note", merchant, func() (struct{}, error) {
		return plain(r.proc.store.Note(ctx, merchant, offsets))
	})
	return err
}

func (r redisPort) Noted(ctx context.Context, merchant string) (string, error) {
	return step(r.proc, ctx, "noted", merchant, func() (string, error) { return r.proc.store.Noted(ctx, merchant) })
}

func recordWords(r refund.Record) string {
	if !r.Known() {
		return "nothing stored"
	}
	words := string(r.Last.Status)
	if r.Doubt {
		words += " in doubt"
	}
	if r.Accepted {
		words += " accepted"
	}
	return words + sequenceWords(r)
}

// keysOf names the refunds of a batch.
func keysOf(recs []refund.Record) string {
	var keys []string
	for _, rec := range recs {
		keys = append(keys, rec.Key().String())
	}
	return strings.Join(keys, " ")
}
