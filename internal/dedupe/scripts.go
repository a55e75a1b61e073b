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
	steps                                                *redis.Script // takes all that goes on under an epoch
	text                                                 string        // of steps: redis.Script does not tell it
	epoch, begin, lock, unlock, restore, notes, identity *redis.Script
}

// stepNames are the steps that lua/steps.lua takes, and their files.
var stepNames = []string{"claim", "resend", "record", "load", "published", "note"}

// scriptsOfServer are those that go by the server's clock.
var scriptsOfServer = sync.OnceValue(func() scripts { return load(clockOfServer) })

func load(clock string) scripts {
	read := func(name string) string {
		source, err := sources.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(err) // embedded at build time: only a wrong name gets here
		}
		return string(source) + "\n"
	}
	compose := func(names ...string) string {
		text := clock + read("lib")
		for _, name := range names {
			text += read(name)
		}
		return text
	}
	script := func(names ...string) *redis.Script { return redis.NewScript(inPlace(compose(names...))) }
	text := compose("form", "order", "rate") + "local steps = {}\n"
	for _, name := range stepNames {
		text += "function steps." + name + "()\n" + read(name) + "end\n"
	}
	text = inPlace(text + read("steps"))
	return scripts{
		steps:    redis.NewScript(text),
		text:     text,
		epoch:    script("epoch"),
		begin:    script("begin"),
		lock:     script("lock"),
		unlock:   script("unlock"),
		restore:  script("form", "order", "restore"),
		notes:    script("notes"),
		identity: script("identity"),
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

// run takes a step of lua/steps.lua for a merchant under the epoch that its sentinel
// had last time. Where it has moved on since (another worker ended a rebuild) the
// step is sent once more under the new one; names and args begin after the
// sentinel and the epoch.
func (s *Store) run(ctx context.Context, step, merchant string, names []string, args ...string) (reply, error) {
	epoch, err := s.epoch(ctx, merchant)
	if err != nil {
		return reply{}, err
	}
	answer, err := s.runAt(ctx, step, merchant, epoch, names, args...)
	if moved, ok := errors.AsType[*movedError](err); ok {
		s.epochs.see(merchant, moved.to)
		answer, err = s.runAt(ctx, step, merchant, moved.to, names, args...)
	}
	return answer, err
}

// runAt takes one step under a given epoch. *movedError: the sentinel has
// another.
func (s *Store) runAt(ctx context.Context, name, merchant string, epoch int64, names []string, args ...string) (reply, error) {
	one := &step{
		ctx: ctx, name: name, done: make(chan struct{}),
		keys: append([]string{s.keys(merchant).sentinel()}, names...),
		args: append([]string{number(epoch)}, args...),
	}
	seen := time.Now()
	raw, err := s.take(one)
	if err != nil {
		return reply{}, unavailable(err)
	}
	answer, err := parse(raw)
	if err != nil {
		return reply{}, err
	}
	answer.seen, answer.epoch = seen, epoch
	switch answer.word {
	case "failed":
		return reply{}, unavailable(stepError(answer.value))
	case "gone":
		s.epochs.forget(merchant)
		return reply{}, gone(merchant)
	case "server":
		s.epochs.forget(merchant)
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

// stepError is what Redis said to one of the steps of a script. It is a
// redis.Error.
type stepError string

func (e stepError) Error() string { return string(e) }
func (e stepError) RedisError()   {}

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

// record unpacks the answered record into rec, or makes that of a refund which the
// store does not know.
func (r reply) record(key refund.Key, rec *refund.Record) error {
	rec.Request.Key = key
	if r.value != "" {
		if err := unpack(rec, key, r.value); err != nil {
			return err
		}
	}
	rec.Epoch, rec.StoreTime, rec.Seen = r.epoch, r.storeTime(), r.seen
	return nil
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func millis(d time.Duration) string { return number(d.Milliseconds()) }

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
