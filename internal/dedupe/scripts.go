package dedupe

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/refund"
)

//go:embed lua/*.lua
var sources embed.FS

// clockOfServer is the clock of the scripts; tests put another in its place.
//
//go:embed lua/clock.lua
var clockOfServer string

// scripts are sent by their hash, and in full where the server does not have
// them (after a restart, a failover, a SCRIPT FLUSH).
type scripts struct {
	claim, resend, record, load, published                     *redis.Script
	epoch, begin, lock, unlock, restore, note, notes, identity *redis.Script
}

// scriptsOfServer are those that go by the server's clock.
var scriptsOfServer = sync.OnceValue(func() scripts { return load(clockOfServer) })

func load(clock string) scripts {
	compose := func(names ...string) *redis.Script {
		text := clock
		for _, name := range append([]string{"lib"}, names...) {
			source, err := sources.ReadFile("lua/" + name + ".lua")
			if err != nil {
				panic(err) // embedded at build time: only a wrong name gets here
			}
			text += string(source) + "\n"
		}
		return redis.NewScript(inPlace(text))
	}
	return scripts{
		claim:     compose("form", "order", "rate", "claim"),
		resend:    compose("form", "order", "rate", "resend"),
		record:    compose("form", "order", "record"),
		load:      compose("load"),
		published: compose("published"),
		epoch:     compose("epoch"),
		begin:     compose("begin"),
		lock:      compose("lock"),
		unlock:    compose("unlock"),
		restore:   compose("form", "order", "restore"),
		note:      compose("note"),
		notes:     compose("notes"),
		identity:  compose("identity"),
	}
}

var (
	constants = regexp.MustCompile(`(?m)^local [A-Z_, ]+ = [0-9, ]+$`)
	names     = regexp.MustCompile(`[A-Z][A-Z_]+`)
)

// inPlace puts the numbers that a script declares as constants where they are used. Lua 5.1 has none: a local that a
// function uses is bound to it anew at each run, a sixteenth of what a claim costs.
func inPlace(text string) string {
	numbers := map[string]string{}
	text = constants.ReplaceAllStringFunc(text, func(line string) string {
		left, right, _ := strings.Cut(strings.TrimPrefix(line, "local "), " = ")
		values := strings.Split(right, ", ")
		for i, name := range strings.Split(left, ", ") {
			numbers[name] = values[i]
		}
		return ""
	})
	return names.ReplaceAllStringFunc(text, func(name string) string {
		if number, ok := numbers[name]; ok {
			return number
		}
		return name
	})
}

// reply is what every script answers.
type reply struct {
	word  string
	clock int64 // microseconds since 1970, by the server
	value string
	extra []any
	seen  time.Time // ours, just before the script was sent
	epoch int64     // under which it was answered
}

func (r reply) storeTime() time.Time { return time.UnixMilli(r.clock / 1000).UTC() }

func (r reply) number(i int) int64 {
	if i >= len(r.extra) {
		return 0
	}
	n, _ := r.extra[i].(int64)
	return n
}

// run sends one script for a merchant under the epoch that its sentinel had last
// time. Where it has moved on since (another worker ended a rebuild) the step is
// sent once more under the new one; keysAndArgs begin after the sentinel and the
// epoch.
func (s *Store) run(ctx context.Context, script *redis.Script, merchant string, names []string, args ...any) (reply, error) {
	epoch, err := s.epoch(ctx, merchant)
	if err != nil {
		return reply{}, err
	}
	answer, err := s.runAt(ctx, script, merchant, epoch, names, args...)
	if moved, ok := errors.AsType[*movedError](err); ok {
		s.epochs.Store(merchant, moved.to)
		answer, err = s.runAt(ctx, script, merchant, moved.to, names, args...)
	}
	return answer, err
}

// runAt sends one script under a given epoch. *movedError: the sentinel has
// another.
func (s *Store) runAt(ctx context.Context, script *redis.Script, merchant string, epoch int64, names []string, args ...any) (reply, error) {
	names = append([]string{s.keys(merchant).sentinel()}, names...)
	args = append([]any{epoch}, args...)
	seen := time.Now()
	raw, err := s.eval(ctx, script, names, args)
	if err != nil {
		return reply{}, unavailable(err)
	}
	answer, err := parse(raw)
	if err != nil {
		return reply{}, err
	}
	answer.seen, answer.epoch = seen, epoch
	switch answer.word {
	case "gone":
		s.epochs.Delete(merchant)
		return reply{}, gone(merchant)
	case "server":
		s.epochs.Delete(merchant)
		return reply{}, changed(merchant, answer.value)
	case "moved":
		to, err := strconv.ParseInt(answer.value, 10, 64)
		if err != nil {
			return reply{}, fmt.Errorf("dedupe: the sentinel of %s holds the epoch %q: %w", merchant, answer.value, err)
		}
		return reply{}, &movedError{merchant: merchant, to: to}
	}
	return answer, nil
}

func parse(raw []any) (reply, error) {
	if len(raw) < 3 {
		return reply{}, fmt.Errorf("dedupe: a script answered %d values, want 3 or more", len(raw))
	}
	word, ok1 := raw[0].(string)
	clock, ok2 := raw[1].(int64)
	value, ok3 := raw[2].(string)
	if !ok1 || !ok2 || !ok3 {
		return reply{}, fmt.Errorf("dedupe: a script answered %T, %T, %T, want string, int64, string", raw[0], raw[1], raw[2])
	}
	return reply{word: word, clock: clock, value: value, extra: raw[3:]}, nil
}

// record unpacks the answered record, or makes that of a refund which the store
// does not know.
func (r reply) record(key refund.Key) (refund.Record, error) {
	rec := refund.Record{Request: refund.Request{Key: key}}
	if r.value != "" {
		var err error
		if rec, err = unpack(key, r.value); err != nil {
			return refund.Record{}, err
		}
	}
	rec.Epoch, rec.StoreTime, rec.Seen = r.epoch, r.storeTime(), r.seen
	return rec, nil
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// stamp is an instant in ms since 1970; 0 is the zero time.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
