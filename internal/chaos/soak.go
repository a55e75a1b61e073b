//go:build unix

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/realparts"
)

// Soak is a quiet run: first both workers and the bridge are restarted one after
// another, as an upgrade does, while refunds flow; then nobody is touched for the
// run's length, and what each of them holds is measured. Its error says what must
// not have happened: what a chaos run's says; a line at level error; memory,
// goroutines or open files that grow.
func Soak(ctx context.Context, o Options) error {
	return play(ctx, o, plan{name: "soak", rates: everyday, logLevel: "info", begin: func(s *System, seen *statuses, log io.Writer) deed {
		return &soak{system: s, seen: seen, length: o.Length, log: log, held: map[string][]holding{}}
	}})
}

// everyday is what gateways do to one in fifty refunds on a good day, in refunds
// per thousand.
var everyday = map[string]int{
	"timeout_after": 1, "reset_before": 1, "slow": 2, "decline": 10, "settle_by_query": 2, "callback_lost": 2, "callback_doubled": 2,
}

const (
	rollouts     = 3                // of all daemons, one after another
	rolloutPause = 5 * time.Second  // between two of them: the group is at rest again
	soakLook     = 10 * time.Second // between two measurements
	fewestLooks  = 8
)

// soak restarts, then measures.
type soak struct {
	system *System
	seen   *statuses
	length time.Duration
	log    io.Writer

	restarts int
	rolled   time.Duration // that the restarts took
	silence  time.Duration // the longest without a status event meanwhile
	held     map[string][]holding
	wrong    []error
}

// holding is what a process holds at one moment.
type holding struct{ bytes, goroutines, files float64 }

func (s *soak) run(ctx context.Context) {
	rest(ctx, rolloutPause)
	s.rollOut(ctx)
	began := time.Now()
	for time.Since(began) < s.length && rest(ctx, soakLook) {
		for name, admin := range s.system.admins() {
			h, err := measure(ctx, admin)
			if err != nil {
				if ctx.Err() == nil {
					s.note(fmt.Errorf("measuring %s: %w", name, err))
				}
				continue
			}
			s.held[name] = append(s.held[name], h)
			fmt.Fprintf(s.log, "%s %s holds %.0f MB, %.0f goroutines, %.0f files\n", time.Now().Format(clockForm), name, h.bytes/1e6, h.goroutines, h.files)
		}
	}
}

// rollOut restarts each daemon, the next once the one before is ready and has had
// its pause.
func (s *soak) rollOut(ctx context.Context) {
	began := time.Now()
	s.seen.longestSilence() // until now nobody asked
	for range rollouts {
		for _, p := range append(slices.Clone(s.system.Workers), s.system.Bridge) {
			if ctx.Err() != nil {
				return
			}
			fmt.Fprintf(s.log, "%s %s: SIGTERM and restart\n", time.Now().Format(clockForm), p.Name)
			s.note(endCleanly(p))
			s.note(p.Start())
			s.note(p.Await(func() bool { return ready(s.system.admins()[p.Name]) }, readyTime))
			s.restarts++
			rest(ctx, rolloutPause)
		}
	}
	s.rolled, s.silence = time.Since(began), s.seen.longestSilence()
}

func (s *soak) note(err error) {
	if err != nil {
		s.wrong = append(s.wrong, err)
	}
}

// measure reads what the process says of itself.
func measure(ctx context.Context, admin string) (holding, error) {
	text, err := exchange(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return holding{}, err
	}
	var h holding
	for name, into := range map[string]*float64{"process_resident_memory_bytes": &h.bytes, "go_goroutines": &h.goroutines, "process_open_fds": &h.files} {
		_, rest, found := bytes.Cut(text, []byte("\n"+name+" "))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		if *into, err = strconv.ParseFloat(string(line), 64); !found || err != nil {
			return holding{}, fmt.Errorf("/metrics has no %s", name)
		}
	}
	return h, nil
}

// wrongs are also what grows, and lines at level error.
func (s *soak) wrongs() []error {
	all := slices.Clone(s.wrong)
	for _, p := range s.system.daemons() {
		lines, err := errorLines(p)
		all = append(all, err)
		if len(lines) > 0 {
			all = append(all, fmt.Errorf("%s wrote %d lines at level error, the first: %s", p.Name, len(lines), lines[0]))
		}
	}
	for name := range s.system.admins() {
		held := s.held[name]
		if len(held) < fewestLooks {
			all = append(all, fmt.Errorf("%s was measured %d times: too seldom to say that nothing grows", name, len(held)))
			continue
		}
		for _, q := range quantities {
			if before, after := trend(held, q); q.grows(before, after) {
				all = append(all, fmt.Errorf("%s: %s grows, %.0f to %.0f", name, q.name, before, after))
			}
		}
	}
	return all
}

// quantity is one that must not grow by more than a tenth and its slack.
type quantity struct {
	name  string
	of    func(holding) float64
	slack float64
}

func (q quantity) grows(before, after float64) bool { return after > 1.1*before+q.slack }

var quantities = []quantity{
	{"MB", func(h holding) float64 { return h.bytes / 1e6 }, 5},
	{"goroutines", func(h holding) float64 { return h.goroutines }, 20},
	{"files", func(h holding) float64 { return h.files }, 10},
}

// trend is the median of the second quarter of the time, by which everybody is
// warm, and of the last.
func trend(held []holding, q quantity) (before, after float64) {
	median := func(part []holding) float64 {
		if len(part) == 0 {
			return 0
		}
		values := make([]float64, len(part))
		for i, h := range part {
			values[i] = q.of(h)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	n := len(held)
	return median(held[n/4 : n/2]), median(held[n-n/4:])
}

func (s *soak) words(line func(name, words string, args ...any)) {
	line("restarts", "%d in %s under load, one after another, each exit 0; %s without a status event at the most", s.restarts, s.rolled.Round(time.Second), s.silence.Round(10*time.Millisecond))
	for _, p := range s.system.daemons() {
		held := s.held[p.Name]
		if len(held) == 0 {
			continue
		}
		var parts []string
		for _, q := range quantities {
			before, after := trend(held, q)
			most := 0.0
			for _, h := range held {
				most = max(most, q.of(h))
			}
			parts = append(parts, fmt.Sprintf("%s %.0f, then %.0f, %.0f at the most", q.name, before, after, most))
		}
		line(p.Name, "%s", strings.Join(parts, "; "))
	}
}

// errorLines are those at level error, or above.
func errorLines(p *realparts.Process) (lines []string, err error) {
	file, err := os.Open(p.Log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line struct{ Level string }
		if json.Unmarshal(scanner.Bytes(), &line) == nil && slices.Contains([]string{"error", "fatal", "panic"}, line.Level) {
			lines = append(lines, scanner.Text())
		}
	}
	return lines, scanner.Err()
}
